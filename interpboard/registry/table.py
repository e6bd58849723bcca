"""The table of all analyses, in order: the subjects' tables as one, and how a row of it is found."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from interpboard.errors import BadParameter
from interpboard.registry import (
    attribution,
    choices,
    direct,
    discovery,
    experts,
    heads,
    interventions,
    lens,
    neurons,
    patching,
    predictions,
    probes,
    similarity,
    units,
    whole_text,
)
from interpboard.registry.spec import Analysis

_SUBJECTS = (
    predictions, choices, attribution, similarity, units, lens, heads, direct, discovery, interventions,
    neurons, experts, patching, whole_text, probes,
)  # fmt: skip
# Across the subjects, in the order in which one asks them of a prompt; what is not named comes last.
_ORDER = (
    "predictions", "choices", "integrated_gradients", "compare_attributions", "saliency", "grad_x_input",
    "smoothgrad", "noise_tunnel", "lrp", "continuation_attribution", "occlusion", "shapley",
    "similarity_pairs",
    "unit_attribution", "context_cite", "attention_rollout", "value_weighted_rollout",
    "attention_flow", "logit_lens",
    "head_ablation", "choice_ablation", "head_pairs", "compare_ablations", "critical_components",
    "direct_logit_attribution", "attention", "attention_knockout", "knockout_grid", "head_scores",
    "tuned_lens", "circuit", "steering",
    "neurons", "tune_lens", "max_activating", "activation_patching", "patching_confidence",
    "attribution_patching", "path_patching", "causal_trace", "what_if",
    "edited_direct_attribution", "edited_continuation",
    "expert_routing", "expert_ablation", "expert_neurons",
    "token_losses", "linear_probe", "probe_transfer", "stream_pca", "stream_cosine",
)  # fmt: skip


def in_order() -> dict[str, Analysis]:
    """The rows of all subjects by name, in the order of the lists."""
    rows = [analysis for subject in _SUBJECTS for analysis in subject.TABLE]
    place = {name: at for at, name in enumerate(_ORDER)}
    rows.sort(key=lambda analysis: place.get(analysis.name, len(place)))
    return {analysis.name: analysis for analysis in rows}


ANALYSES: dict[str, Analysis] = in_order()


class Overview(tuple[str, ...]):
    """Names of analyses that nobody named: of those, a model runs the ones that it has."""


def analyses_for(given: Collection[str]) -> Overview:
    """The analyses of the overview that can run when the parameters named in ``given`` are there."""
    return Overview(
        name
        for name, analysis in ANALYSES.items()
        if analysis.in_overview and set(analysis.required) <= set(given)
    )


def find_analysis(name: str) -> Analysis:
    """The analysis called ``name``; raises ``BadParameter`` naming the nearest."""
    if name in ANALYSES:
        return ANALYSES[name]
    near = get_close_matches(name, ANALYSES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(ANALYSES)}."
    raise BadParameter(f"There is no analysis {name!r}.", remedy)
