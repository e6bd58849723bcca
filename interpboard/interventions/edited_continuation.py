"""What a model writes on, clean and with interventions held, token by token until the two part."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from math import isfinite

import numpy as np
import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.interventions.grammar import Intervention, parse_interventions
from interpboard.interventions.resolve import edits_of, warnings_of
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import forward_logits
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.ending import end_tokens, require_room_behind
from interpboard.runs.finite import prompt_logits, require, require_logits
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.labels import require_tokens
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.prompt import input_ids, without_appended
from interpboard.runs.record import enter_edits
from interpboard.runs.token_texts import text_behind
from interpboard.runs.watch import SILENT, Watch

CLEAN_RUN, EDITED_RUN = "clean", "edited"


@analysis("edited_continuation", path="hooks")
@torch.no_grad()
def edited_continuation(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    interventions: str = "",
    source: str = "",
    new_tokens: int = 20,
    temperature: float = 0.0,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Probability [run, step] of each token that the model writes behind the prompt, clean and edited.

    ``run`` is ``clean``, and ``edited`` where there are ``interventions`` (in the grammar of ``what_if``;
    ``source`` is the prompt that ``patch`` takes its values from). They are held while it writes: what is
    zero, a mean or a vector at every position is so at the written ones too, a mean being that over the
    prompt; what is of positions, and a patch, stays at those of the prompt.

    ``temperature`` 0 takes the likeliest token. Above 0 tokens are drawn from softmax(logits /
    temperature), by ``seed``, both runs with the same random numbers (Gumbel-max): where they differ, it
    is the interventions' doing. At most ``new_tokens``; an end-of-text token is a run's last, and behind
    it its values are NaN.

    The metric is not looked at. ``extra``: what is written, ``token`` and ``token_ids`` [run, step] (−1
    behind an end) and ``text`` [run]; ``kl`` [step], KL(clean ‖ edited) of the predictions in nats, as long
    as both have written the same (NaN from then on), and ``parted``, the first step at which they wrote
    different tokens (NaN: at none).

    Raises ``BadParameter``, ``Unsupported`` for a model that continues no text, ``NotFinite``.
    """
    require_tokens(lm, "A continuation")
    if not lm.verified.causal and lm.anatomy.strips is None:
        raise Unsupported("An encoder continues no text.", "Choose a causal model.")
    if not isfinite(temperature) or temperature < 0:
        raise BadParameter("A temperature is a number from 0 on.", "0 takes the likeliest token.")
    own = without_appended(prompt)
    require_room_behind(lm, own, new_tokens)
    applied = parse_interventions(interventions) if interventions.strip() else ()
    edits = _held(lm, prompt, own, applied, source)
    runs = [_Run(CLEAN_RUN, (), list(own.token_ids))]
    if applied:
        runs.append(_Run(EDITED_RUN, edits, list(own.token_ids)))
    ends, kl = end_tokens(lm), np.full(new_tokens, np.nan)
    noise = torch.Generator().manual_seed(seed)
    for step in range(new_tokens):
        watch.step(step, new_tokens)
        together = all(run.ids == runs[0].ids for run in runs)
        going = [run for run in runs if not run.ended]
        if not going:
            break
        logits = {
            run.name: watch.once(f"{run.name} {step}", partial(_logits, lm, own, run))
            for run in going
        }
        drawn = gumbel_noise(lm, noise) if temperature else None
        for run in going:
            run.take(logits[run.name], temperature, drawn, ends)
        if applied and together:
            kl[step] = _divergence(logits[CLEAN_RUN], logits[EDITED_RUN])
    watch.step(new_tokens, new_tokens)
    steps = max(len(run.probabilities) for run in runs)
    axes = (
        Axis("run", tuple(run.name for run in runs)),
        Axis("step", tuple(map(str, range(steps)))),
    )
    length = len(own.token_ids)
    tokens = [shown_tokens(lm.tokenizer, run.ids)[length:] for run in runs]
    texts = [text_behind(lm.tokenizer, own.token_ids, run.words(length)) for run in runs]
    extra = {
        "token": LabelledArray(
            axes, np.stack([text_array((*row, *[""] * (steps - len(row)))) for row in tokens])
        ),
        "text": LabelledArray(axes[:1], text_array(texts)),
    }
    if applied:
        pairs = zip_longest(*(run.ids[length:] for run in runs))
        parted = next((float(at) for at, (one, other) in enumerate(pairs) if one != other), np.nan)
        extra["kl"] = LabelledArray(axes[1:], kl[:steps])
        extra["parted"] = LabelledArray((), np.array(parted))
    values, ids = np.full((len(runs), steps), np.nan), np.full((len(runs), steps), -1)
    for row, run in enumerate(runs):
        values[row, : len(run.probabilities)] = run.probabilities
        ids[row, : len(run.probabilities)] = run.ids[length:]
    extra["token_ids"] = LabelledArray(axes, ids)
    given = {"interventions": interventions, "source": source, "seed": temperature}
    return Computed(
        values=values,
        axes=axes,
        extra=extra,
        warnings=warnings_of(lm, applied),
        unused=tuple(name for name, value in given.items() if not value),
        baseline=None,
    )


@dataclass
class _Run:
    """A text as it is written: its ``ids`` so far, the probability of each written one."""

    name: str
    edits: Counterfactual
    ids: list[int]
    probabilities: list[float] = field(default_factory=list)
    ended: bool = False

    def take(
        self,
        logits: torch.Tensor,
        temperature: float,
        noise: torch.Tensor | None,
        ends: frozenset[int],
    ) -> None:
        """Write the next token of ``logits`` [d_vocab]; its probability is that of temperature 1."""
        token = int(logits.argmax())
        if noise is not None:
            token = int((at_least_float32(logits).double().cpu() / temperature + noise).argmax())
        self.ids.append(token)
        self.probabilities.append(float(at_least_float32(logits).softmax(-1)[token]))
        self.ended = token in ends

    def words(self, length: int) -> list[int]:
        """What it has written behind ``length`` tokens, without what ends it."""
        return self.ids[length : len(self.ids) - self.ended]


def gumbel_noise(lm: LanguageModel, generator: torch.Generator) -> torch.Tensor:
    """[d_vocab]: the largest of logits plus such numbers is a draw from their softmax."""
    uniform = torch.rand(lm.anatomy.d_vocab, generator=generator, dtype=torch.float64)
    return -(-uniform.clamp(min=1e-300).log()).log()


def _held(
    lm: LanguageModel,
    prompt: PromptInfo,
    own: PromptInfo,
    interventions: Sequence[Intervention],
    source: str,
) -> Counterfactual:
    """Edits that stay what they are on the prompt while text is written behind it."""
    if not interventions:
        return ()
    found = edits_of(lm, prompt, interventions, source)
    every = tuple(range(len(own.token_ids)))
    return tuple(
        replace(edit, positions=every) if each.what == "patch" and edit.positions is None else edit
        for each, edit in zip(interventions, found, strict=True)
    )


def _logits(lm: LanguageModel, prompt: PromptInfo, run: _Run) -> torch.Tensor:
    """Logits [d_vocab] of the token that follows."""
    given = PromptInfo("", (), tuple(run.ids), border=prompt.border)
    last, about = len(run.ids) - 1, f"The {run.name} continuation"
    if not run.edits:
        return prompt_logits(lm, given, last, about)
    ids = input_ids(lm, given)
    tally = Tally(1)
    with ExitStack() as stack:
        enter_edits(stack, lm, (run.edits,), lambda _edit: True, tally=tally)
        stack.enter_context(tally.over(lm.anatomy))
        logits = forward_logits(lm.anatomy, ids, last)
    require(tally, lm, about)
    require_logits(lm, about, logits)
    return logits[0]


def _divergence(clean: torch.Tensor, edited: torch.Tensor) -> float:
    one, other = (at_least_float32(own).double().log_softmax(-1) for own in (clean, edited))
    terms = one.exp() * (one - other)
    return float(torch.where(one.isinf(), torch.zeros_like(terms), terms).sum().clamp(min=0))
