"""Canned and plausible answers, one of each analysis, with the axes and the extras of the real ones.

``ANSWERS`` names the function of each; a method that only scores tokens or units needs no row.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from interpboard.engine import protocol
from interpboard.registry import ANALYSES
from interpboard.results import MadeBy, MetricInfo, PromptInfo, Result, TokenRef
from tests.tui import answers_of_parts as parts
from tests.tui import answers_of_runs as runs
from tests.tui import answers_vocabulary as vocabulary
from tests.tui.asked import Answer, Asked

ANSWERS: dict[str, Answer] = {
    "activation_patching": runs.patching_answer,
    "attention": parts.attention_answer,
    "causal_trace": runs.trace_answer,
    "circuit": parts.circuit_answer,
    "compare_attributions": parts.methods_answer,
    "continuation_attribution": parts.continuation_answer,
    "direct_logit_attribution": parts.logits_answer,
    "edited_continuation": parts.edited_continuation_answer,
    "edited_direct_attribution": parts.edited_logits_answer,
    "expert_routing": parts.experts_answer,
    "head_ablation": parts.heads_answer,
    "head_scores": parts.head_types_answer,
    "logit_lens": runs.lens_answer,
    "max_activating": parts.collecting_answer,
    "neurons": parts.neurons_answer,
    "predictions": runs.predictions_answer,
    "steering": runs.steering_answer,
    "token_losses": runs.losses_answer,
    "tune_lens": runs.training_answer,
    "tuned_lens": runs.lens_answer,
    "what_if": runs.what_if_answer,
}
_BY_AXES: dict[tuple[str, ...], Answer] = {
    ("token",): runs.token_scores,
    ("unit",): runs.unit_scores,
}
_USUAL: dict[str, dict[str, Any]] = {
    "causal_trace": {"samples": 10},
    "circuit": {"behavior": "", "corrupted": "", "dataset": ""},
    "continuation_attribution": {"new_tokens": 8, "method": "grad_x_input"},
    "context_cite": {"unit": "sentence", "samples": 64},
    "attention_knockout": {"unit": "sentence", "queries": "answer"},
    "unit_attribution": {"unit": "sentence", "method": "occlusion"},
    "steering": {"positive": [], "negative": [], "vector": "", "layer": 2},
}


def tokens_of(text: str) -> tuple[str, ...]:
    """Words with their leading space; a space of its own where two follow each other."""
    tokens: list[str] = []
    for char in text:
        if char in " \n" or not tokens:
            tokens.append(char)
        else:
            tokens[-1] += char
    return tuple(tokens)


def ids_of(tokens: tuple[str, ...]) -> tuple[int, ...]:
    """An id for each text, the same wherever it stands."""
    return tuple(crc32(token.encode("utf-8", "surrogatepass")) % 50_000 for token in tokens)


def canned(
    request: protocol.RunAnalysis, tokens: tuple[str, ...], layers: int, heads: int
) -> tuple[PromptInfo, Result]:
    """A result that looks like one of the demo model."""
    answer = ANSWERS.get(request.analysis) or _BY_AXES[ANALYSES[request.analysis].axes]
    asked = Asked(request, tokens, layers, heads)
    axes, values = answer(asked)
    return PromptInfo(request.text, tokens, ids_of(tokens)), Result(
        analysis=request.analysis,
        params={**_USUAL.get(request.analysis, {}), **request.params, **asked.found},
        metric=_metric(asked),
        baseline=runs.CLEAN,
        axes=axes,
        values=values,
        extra=asked.extra,
        elapsed_s=0.04,
        made_by=MadeBy("0.1.0", "2.0", "5.0", path="replay"),
    )


def _metric(asked: Asked) -> MetricInfo:
    wanted, ids = asked.request.metric, vocabulary.VOCABULARY
    target = wanted.target or ids[0]
    foil = None if wanted.foil is None else TokenRef(ids.index(wanted.foil), wanted.foil)
    return MetricInfo(wanted.name, asked.position, TokenRef(ids.index(target), target), foil)
