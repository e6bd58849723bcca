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
        title_of_labels="Labels",
        title_in_place="Likeliest tokens",
        value_of_labels={
            "in place": "probability of each of the most likely tokens at the position",
            "one": "probability of each label, one of which is true",
            "several": "probability of each label, each by itself",
            "vector": "components of the pooled vector, the largest first",
            "value": "the model's value, which is no probability",
        },
        value="probability of each of the most likely next tokens",
        scale="probability",
        cost="passes",
        in_overview=True,
        parameters=(Parameter("top_k", int, 10, "how many tokens, or labels", minimum=1),),
    ),
)
