"""What the model says."""

from __future__ import annotations

from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="predictions",
        title="Next tokens",
        function="interpboard.runs.predictions:predictions",
        axes=("rank",),
        value="probability of each of the most likely next tokens",
        scale="probability",
        cost="passes",
        in_overview=True,
        parameters=(Parameter("top_k", int, 10, "how many tokens", minimum=1),),
    ),
)
