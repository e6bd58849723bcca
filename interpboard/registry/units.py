"""Which words, sentences, turns of a chat or marked spans mattered."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.marks import SPANS, UNITS
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_UNIT = Parameter(
    "unit",
    str,
    "sentence",
    "what is taken together; a turn is its words and the template's marks around them; spans are marked",
    choices=UNITS,
)
_MEAN_BASELINE = (
    Parameter(
        "baseline",
        str,
        "mean",
        "what takes a unit's place: the mean of the vocabulary's embeddings, zero, the pad token, or "
        "baseline_text",
        choices=("mean", "zero", "pad", "text"),
    ),
    Parameter(
        "baseline_text", str, "", "for the baseline text: one token, or as many as the prompt"
    ),
)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="unit_attribution",
        title="Words, sentences, turns",
        function="interpboard.attribution.units.by_unit:unit_attribution",
        axes=("unit",),
        value="what the metric owes to the word, sentence or turn",
        reading=reading.added("the unit"),
        scale="diverging",
        cost="cells",
        cells="units, or sets of them",
        parameters=(
            _UNIT,
            SPANS,
            Parameter(
                "method",
                str,
                "occlusion",
                "taken away, Shapley values, or the sum of integrated gradients",
                choices=("occlusion", "shapley", "integrated_gradients"),
            ),
            Parameter("samples", int, 16, "orders, for shapley", minimum=1, maximum=10_000),
            *_MEAN_BASELINE,
            Parameter("seed", int, 0, "of the orders", minimum=0),
        ),
    ),
    Analysis(
        name="context_cite",
        title="ContextCite",
        function="interpboard.attribution.units.context_cite:context_cite",
        axes=("unit",),
        value="weight of the unit in a sparse linear model of the metric, fitted to runs with random units",
        reading=reading.added("the unit"),
        scale="diverging",
        cost="cells",
        cells="runs with random units",
        gaps=("lds",),
        parameters=(
            _UNIT,
            SPANS,
            Parameter("samples", int, 64, "runs with random units", minimum=8, maximum=100_000),
            *_MEAN_BASELINE,
            Parameter("seed", int, 0, "of the units", minimum=0),
        ),
    ),
)
