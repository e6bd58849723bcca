"""What the parts of the model write into the answer, look at, and are."""

from __future__ import annotations

from interpboard.analyses.kind import Analysis
from interpboard.parameters import Parameter

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="direct_logit_attribution",
        title="Direct logit attribution",
        function="interpboard.circuits.direct:direct_logit_attribution",
        axes=("component",),
        meaning="what the component writes directly into the logit (or logit difference); positive: it "
        "raises it",
        scale="diverging",
        parameters=(Parameter("neurons", bool, False, "every neuron too, in extra"),),
    ),
)
