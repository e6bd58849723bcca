"""What the parts of the model write into the answer."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import WRITING_SITES, Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="direct_logit_attribution",
        title="Direct logit attribution",
        function="interpboard.circuits.direct.attribution:direct_logit_attribution",
        over_rows="interpboard.circuits.direct.over_rows:direct_logit_attribution_over_rows",
        records=WRITING_SITES,
        axes=("component",),
        value="what the component writes directly into the logit (or logit difference)",
        reading=reading.WRITTEN_READING,
        scale="diverging",
        cost="passes",
        parameters=(Parameter("neurons", bool, False, "every neuron too, in extra"),),
    ),
)
