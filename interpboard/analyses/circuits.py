"""What the parts of the model do."""

from __future__ import annotations

from interpboard.analyses.kind import Analysis
from interpboard.parameters import Parameter

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="logit_lens",
        title="Logit lens",
        function="interpboard.circuits.logit_lens:logit_lens",
        axes=("layer", "token"),
        meaning="probability of the target if the model ended after the layer",
        scale="probability",
        in_overview=True,
        parameters=(Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),),
    ),
    Analysis(
        name="head_ablation",
        title="Head ablation",
        function="interpboard.circuits.head_ablation:head_ablation",
        axes=("layer", "head"),
        meaning="effect = metric(ablated) − metric(clean); negative: the head helped",
        scale="diverging",
        in_overview=True,
        parameters=(
            Parameter(
                "ablation",
                str,
                "zero",
                "what replaces the head's output z: zeros, its mean over the prompt, its outputs "
                "permuted, its mean or its outputs on the references",
                choices=("zero", "mean", "random", "dataset_mean", "resample"),
            ),
            Parameter("layers", int, None, "layers to ablate in, e.g. 0,3 (all)", many=True),
            Parameter("heads", int, None, "heads to ablate, e.g. 0,3 (all)", many=True),
            Parameter("references", str, "", "reference prompts, one a line"),
            Parameter("seed", int, 0, "of random and resample"),
        ),
    ),
)
