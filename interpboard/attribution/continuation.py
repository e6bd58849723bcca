"""Why every token of a greedy continuation was written: each of them to all that stood before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from msgspec.structs import replace

from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.lrp import lrp
from interpboard.attribution.saliency import saliency
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, Result, TokenRef, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.ending import end_tokens, require_room_behind
from interpboard.runs.finite import prompt_logits
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.labels import require_tokens
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import show_tokens, without_appended
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.token_texts import text_behind
from interpboard.runs.watch import SILENT, Watch

CONTINUATION_METHODS: dict[str, Callable[..., Result]] = {
    "saliency": saliency,
    "grad_x_input": grad_x_input,
    "integrated_gradients": integrated_gradients,
    "lrp": lrp,
}


@analysis("continuation_attribution", path="autograd", refuses=refuse_a_gradient_without_room)
def continuation_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    new_tokens: int = 8,
    method: str = "grad_x_input",
    watch: Watch = SILENT,
) -> Computed:
    """Attribution [generated, source] of each greedily decoded token to every token before it.

    At most ``new_tokens``; an end-of-text token is the last, and a warning says so. What the tokenizer puts
    behind the prompt's text is not continued, and has no place here.

    The metric is that of the request with each generated token as target at the position before it
    (a foil stays the foil). ``method``: one of ``CONTINUATION_METHODS``, as by default; signs as there. A
    token has no score for what comes after it: NaN. ``extra``, each [generated]: ``metric``, what is
    explained, and ``text``, all that is written up to there, without an end-of-text token.

    Raises ``BadParameter`` where the continuation would pass the context, ``Unsupported`` for metrics
    without a gradient, ``NotFinite`` where it overflows.
    """
    if method not in CONTINUATION_METHODS:
        raise BadParameter(
            f"There is no method {method!r} here.", f"Use {', '.join(CONTINUATION_METHODS)}."
        )
    require_tokens(lm, "A continuation")
    if not lm.verified.causal and lm.anatomy.strips is None:
        raise Unsupported("An encoder continues no text.", "Choose a causal model.")
    prompt = without_appended(prompt)
    length = len(prompt.token_ids)
    whole = watch.once("continuation", lambda: _continued(lm, prompt, new_tokens, watch))
    count = len(whole.token_ids) - length
    scores = np.full((count, length + count - 1), np.nan)
    values, warnings = np.empty(count), []
    for number in range(count):
        watch.step(number, count)
        at = length + number
        before = PromptInfo("", whole.tokens[:at], whole.token_ids[:at], border=prompt.border)
        target = TokenRef(whole.token_ids[at], whole.tokens[at])
        found, values[number] = _explained(lm, before, metric, target, method, watch)
        scores[number, :at] = found.values
        warnings += [
            f"{number} {show_tokens((target.token,))}: {words}" for words in found.warnings
        ]
    watch.step(count, count)
    if whole.token_ids[-1] in end_tokens(lm):
        last = show_tokens(whole.tokens[-1:])
        warnings.append(
            f"The text ends with its end-of-text token {last}, {count} of {new_tokens}."
        )
    ends = end_tokens(lm)
    texts = [
        text_behind(
            lm.tokenizer,
            prompt.token_ids,
            [token for token in whole.token_ids[length : length + row + 1] if token not in ends],
        )
        for row in range(count)
    ]
    labels = whole.tokens
    axes = (Axis("generated", labels[length:]), Axis("source", labels[:-1]))
    return Computed(
        values=scores,
        axes=axes,
        extra={
            "metric": LabelledArray(axes[:1], values),
            "text": LabelledArray(axes[:1], text_array(texts)),
        },
        warnings=tuple(warnings),
    )


def _explained(
    lm: LanguageModel,
    before: PromptInfo,
    metric: Metric,
    target: TokenRef,
    method: str,
    watch: Watch,
) -> tuple[Result, float]:
    """The attribution of ``target`` behind ``before``, and its metric; kept where this gives way midway."""

    def made() -> tuple[Result, float]:
        token_metric = _metric(lm, before, metric, target)
        part = watch.part(f"token {len(before.token_ids)}")
        return CONTINUATION_METHODS[method](
            lm, before, token_metric, watch=part
        ), token_metric.baseline

    return watch.once(f"attribution {len(before.token_ids)}", made)


@torch.no_grad()
def _continued(lm: LanguageModel, prompt: PromptInfo, count: int, watch: Watch) -> PromptInfo:
    require_room_behind(lm, prompt, count)
    ids, ends = list(prompt.token_ids), end_tokens(lm)
    for _ in range(count):
        watch.check()
        given = PromptInfo("", (), tuple(ids), border=prompt.border)
        logits = prompt_logits(lm, given, len(ids) - 1, "The continuation")
        ids.append(int(logits.argmax()))
        if ids[-1] in ends:
            break
    new = shown_tokens(lm.tokenizer, ids)[len(prompt.token_ids) :]
    return PromptInfo(prompt.text, prompt.tokens + new, tuple(ids), border=prompt.border)


@torch.no_grad()
def _metric(lm: LanguageModel, prompt: PromptInfo, metric: Metric, target: TokenRef) -> Metric:
    position = len(prompt.token_ids) - 1
    logits = prompt_logits(lm, prompt, position)
    return Metric(replace(metric.info, position=position, target=target), logits)
