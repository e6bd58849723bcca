"""What the parts of the model write into the answer, look at, and are."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="direct_logit_attribution",
        title="Direct logit attribution",
        function="interpboard.circuits.direct.attribution:direct_logit_attribution",
        axes=("component",),
        value="what the component writes directly into the logit (or logit difference)",
        reading=reading.WRITTEN,
        scale="diverging",
        parameters=(Parameter("neurons", bool, False, "every neuron too, in extra"),),
    ),
    Analysis(
        name="attention",
        title="Attention",
        function="interpboard.circuits.heads.attention:attention",
        axes=("layer", "head", "query", "key"),
        value="probability with which the head's query attends to the key",
        scale="probability",
        gaps=("values", "entropy", "distance", "first", "sink", "top_probs"),
        parameters=(
            Parameter("layers", int, None, "layers to look into, e.g. 0,3 (all)", many=True),
            Parameter("heads", int, None, "heads to look into, e.g. 0,3 (all)", many=True),
            Parameter("top_k", int, 5, "strongest pairs kept per head", minimum=1),
        ),
    ),
    Analysis(
        name="head_scores",
        title="Head types",
        function="interpboard.circuits.heads.types:head_scores",
        axes=("score", "layer", "head"),
        value="how much of its type the head is, from 0 to 1; the same on shuffled data (null) and how "
        "far above it (z, in standard errors) are in extra",
        scale="probability",
        gaps=("values", "null", "z", "copying_eigenvalue"),
        parameters=(
            Parameter("samples", int, 8, "random sequences", minimum=2, maximum=256),
            Parameter("length", int, 32, "random tokens that are repeated once", minimum=2),
            Parameter("seed", int, 0, "of the random tokens"),
        ),
    ),
    Analysis(
        name="tuned_lens",
        title="Tuned lens",
        function="interpboard.circuits.lens.tuned:tuned_lens",
        axes=("layer", "token"),
        value="probability of the target after the layer, read through a map trained for that layer",
        reading=reading.LIKELIER,
        scale="probability",
        parameters=(
            Parameter("translators", str, "", "folder that tune-lens wrote, or a published one"),
            Parameter("allow_pickle", bool, False, "read a published params.pt"),
            Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),
        ),
    ),
)
