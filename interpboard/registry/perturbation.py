"""Which tokens mattered, by taking them away."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_BASELINE = (
    Parameter(
        "baseline",
        str,
        "zero",
        "what stands in for a token: a zero embedding, the mean of the vocabulary's, the pad token, or "
        "baseline_text",
        choices=("zero", "mean", "pad", "text"),
    ),
    Parameter(
        "baseline_text",
        str,
        "",
        "for the baseline text: one token, or as many tokens as the prompt",
    ),
)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="occlusion",
        title="Occlusion",
        function="interpboard.attribution.occlusion:occlusion",
        axes=("token",),
        value="metric(clean) − metric(token taken away)",
        reading=reading.added("the token"),
        scale="diverging",
        parameters=(
            Parameter("window", int, 1, "tokens in a row taken away together", minimum=1),
            *_BASELINE,
        ),
    ),
    Analysis(
        name="shapley",
        title="Shapley values",
        function="interpboard.attribution.shapley:shapley",
        axes=("token",),
        value="what the token adds to the metric as it joins the others, mean over orders; they sum "
        "to metric(prompt) − metric(baseline)",
        reading=reading.added("the token"),
        scale="diverging",
        parameters=(
            Parameter("samples", int, 16, "orders of the tokens", minimum=1, maximum=10_000),
            *_BASELINE,
            Parameter("seed", int, 0, "of the orders", minimum=0),
        ),
    ),
)
