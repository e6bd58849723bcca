"""Which tokens mattered, by the metric's gradient."""

from __future__ import annotations

from interpboard.analyses.kind import Analysis
from interpboard.parameters import Parameter

NORM = Parameter(
    "norm",
    str,
    "l2",
    "how a token's gradient becomes one number; sum is signed",
    choices=("l2", "l1", "sum"),
)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="saliency",
        title="Saliency",
        function="interpboard.attribution.saliency:saliency",
        axes=("token",),
        meaning="size of the metric's gradient at the token's embedding; l2 and l1 have no sign",
        scale="diverging",
        parameters=(NORM,),
    ),
    Analysis(
        name="grad_x_input",
        title="Gradient × input",
        function="interpboard.attribution.grad_x_input:grad_x_input",
        axes=("token",),
        meaning="first-order estimate of what the token's embedding adds to the metric; "
        "positive: the token raised the metric",
        scale="diverging",
        parameters=(
            Parameter("per_dimension", bool, False, "also the share of every embedding dimension"),
        ),
    ),
)
