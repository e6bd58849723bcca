"""Parts of the model that work together: circuits."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="circuit",
        title="Circuit",
        function="interpboard.circuits.discovery.search:circuit",
        axes=("edge",),
        value="estimated effect of the edge's clean value in place of the corrupted one "
        "(faithfulness and completeness are measured, not estimated)",
        reading=reading.BEHAVIOUR,
        scale="diverging",
        cost="search",
        gives_way=True,
        gaps=("enters", "nodes"),
        parameters=(
            Parameter(
                "behavior",
                str,
                "",
                "ioi, induction, facts, agreement or greater_than of the demo model; or a name for "
                "the dataset",
            ),
            Parameter(
                "dataset",
                str,
                "",
                "prompts, one a line: clean => corrupted | target | foil, all but the first optional; "
                "or a file of such lines, or of rows",
            ),
            Parameter("corrupted", str, "", "a corrupted prompt for the prompt itself"),
            Parameter(
                "method",
                str,
                "eap_ig",
                "gradient at the clean run, or integrated on the way to it",
                choices=("eap", "eap_ig"),
            ),
            Parameter("n_steps", int, 5, "points on the way, for eap_ig", minimum=1, maximum=1024),
            Parameter(
                "search",
                str,
                "top",
                "the best edges by score, or those pruned further, each removal measured",
                choices=("top", "greedy"),
            ),
            Parameter(
                "keep", float, 0.85, "share of the behaviour to be kept", minimum=0, maximum=1
            ),
            Parameter("edges", int, 0, "size of the circuit; 0: as few as keep that", minimum=0),
            Parameter("sizes", int, None, "sizes to measure, e.g. 20,50,100 (a series)", many=True),
            Parameter(
                "ablation",
                str,
                "corrupted",
                "what edges outside the circuit carry",
                choices=("corrupted", "mean"),
            ),
            Parameter(
                "measure",
                str,
                "logit_diff",
                "of a dataset: targets against foils, in mean logits or in probability",
                choices=("logit_diff", "prob_diff"),
            ),
        ),
    ),
)
