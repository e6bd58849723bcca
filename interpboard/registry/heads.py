"""What attention heads do: switched off, looked at, and told apart by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interpboard.registry import reading
from interpboard.registry.marks import SPANS, UNITS
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_STRATEGIES = ("zero", "mean", "random", "dataset_mean", "position_mean", "resample")
_ABLATION = Parameter(
    "ablation",
    str,
    "zero",
    "what replaces the head's output z: zeros, its mean over the prompt, its outputs permuted, its "
    "mean over the references (pooled or by position), its outputs on one of them",
    choices=_STRATEGIES,
)
_REFERENCES = Parameter(
    "references", object, "", "reference prompts, one a line, or a file of rows"
)
_UNIT = Parameter(
    "unit",
    str,
    "sentence",
    "what is hidden together; a turn is its words and the template's marks around them; spans are marked",
    choices=UNITS,
)
_HIDDEN_IN = Parameter(
    "layers", int, None, "layers in which it is hidden, e.g. 0,3 (all)", many=True
)
_SEED = Parameter("seed", int, 0, "of random and resample")


def _replaced_by(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Zeros are known; anything else may come from what heads gave."""
    return () if params["ablation"] == "zero" else ("z",)


TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="head_ablation",
        title="Head ablation",
        function="interpboard.circuits.heads.ablation:head_ablation",
        records_of=_replaced_by,
        over_rows="interpboard.circuits.heads.ablation:head_ablation_over_rows",
        axes=("layer", "head"),
        value="effect = metric(head ablated) − metric(clean)",
        reading=reading.without("the head"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="heads",
        gaps=("values", "estimate", "estimate_error"),
        in_overview=True,
        parameters=(
            _ABLATION,
            Parameter("layers", int, None, "layers to ablate in, e.g. 0,3 (all)", many=True),
            Parameter("heads", int, None, "heads to ablate, e.g. 0,3 (all)", many=True),
            _REFERENCES,
            _SEED,
            Parameter("preview", bool, False, "show first-order estimates until exact values come"),
        ),
    ),
    Analysis(
        name="head_pairs",
        title="Pairs of heads",
        function="interpboard.circuits.heads.pairs:head_pairs",
        records_of=_replaced_by,
        axes=("head_a", "head_b"),
        value="interaction = effect(both ablated) − effect(a) − effect(b)",
        reading=reading.INTERACTION,
        scale="diverging",
        cost="cells",
        cells="heads and pairs",
        gaps=("values", "joint"),
        parameters=(
            _ABLATION,
            Parameter("top_k", int, 8, "heads with the largest effects alone", minimum=2),
            _REFERENCES,
            _SEED,
        ),
    ),
    Analysis(
        name="compare_ablations",
        title="Ablations side by side",
        function="interpboard.circuits.heads.compare:compare_ablations",
        records=("z",),
        axes=("component", "strategy"),
        value="effect = metric(head ablated) − metric(clean)",
        reading=reading.without("the head"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="ablations",
        gaps=("rank_agreement",),
        parameters=(
            Parameter(
                "strategies",
                str,
                None,
                "ablations to compare (zero, mean, random, and dataset_mean given references)",
                choices=_STRATEGIES,
                many=True,
            ),
            Parameter("components", object, None, "heads, e.g. 3.5,2.1 (all)", many=True),
            _REFERENCES,
            _SEED,
        ),
    ),
    Analysis(
        name="critical_components",
        title="Critical components",
        function="interpboard.circuits.heads.critical:find_critical_components",
        axes=("component",),
        value="effect = metric(component ablated) − metric(clean), largest first; empty: estimated "
        "only",
        reading=reading.without("the component"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="components",
        gaps=("values", "estimate", "error"),
        parameters=(
            Parameter("budget", int, 64, "components to measure exactly, at most", minimum=1),
            Parameter(
                "kinds",
                str,
                None,
                "of components (all)",
                choices=("head", "mlp", "layer", "embed"),
                many=True,
            ),
            Parameter(
                "ablation",
                str,
                "zero",
                "what replaces a component: zeros, or its mean over the prompt",
                choices=("zero", "mean"),
            ),
        ),
    ),
    Analysis(
        name="attention",
        title="Attention",
        function="interpboard.circuits.heads.attention:attention",
        axes=("layer", "head", "query", "key"),
        value="probability with which the head's query attends to the key",
        scale="probability",
        cost="passes",
        gaps=("values", "entropy", "distance", "first", "sink", "top_probs"),
        parameters=(
            Parameter("layers", int, None, "layers to look into, e.g. 0,3 (all)", many=True),
            Parameter("heads", int, None, "heads to look into, e.g. 0,3 (all)", many=True),
            Parameter("top_k", int, 5, "strongest pairs kept per head", minimum=1),
        ),
    ),
    Analysis(
        name="attention_knockout",
        title="Attention knock-out",
        function="interpboard.circuits.heads.knockout:attention_knockout",
        axes=("unit",),
        value="effect = metric(the unit hidden from the queries) − metric(clean)",
        reading=reading.without("sight of the unit"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="units that are hidden",
        parameters=(
            _UNIT,
            SPANS,
            Parameter(
                "queries",
                str,
                "answer",
                "from which positions the unit is hidden: those of the answer, or all behind the unit",
                choices=("answer", "later"),
            ),
            _HIDDEN_IN,
        ),
    ),
    Analysis(
        name="knockout_grid",
        title="Attention knock-out, unit by unit",
        function="interpboard.circuits.heads.knockout:knockout_grid",
        axes=("query_unit", "unit"),
        value="effect = metric(the unit hidden from the other unit) − metric(clean)",
        reading=reading.without("sight of the unit"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="pairs of units",
        gaps=("values", "kl"),
        parameters=(_UNIT, SPANS, _HIDDEN_IN),
    ),
    Analysis(
        name="head_scores",
        title="Head types",
        function="interpboard.circuits.heads.types:head_scores",
        axes=("score", "layer", "head"),
        value="how much of its type the head is, from 0 to 1; the same on shuffled data (null) and how "
        "far above it (z, in standard errors) are in extra",
        scale="probability",
        cost="runs",
        gives_way=True,
        gaps=("values", "null", "z", "copying_eigenvalue"),
        parameters=(
            Parameter("samples", int, 8, "random sequences", minimum=2, maximum=256),
            Parameter(
                "length", int, 0, "random tokens repeated once (0: 32, or what fits)", minimum=0
            ),
            Parameter("seed", int, 0, "of the random tokens"),
        ),
    ),
)
