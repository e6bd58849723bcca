"""What single neurons write, and what makes them active."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import WRITING_SITES, Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="neurons",
        title="Neurons",
        function="interpboard.circuits.neurons.contributions:neurons",
        records=(*WRITING_SITES, "neuron"),
        axes=("layer", "neuron"),
        value="what the neuron writes directly into the logit (or logit difference), activation × "
        "effect of a unit",
        reading=reading.WRITTEN_READING,
        scale="diverging",
        cost="passes",
        gaps=("values",),
        parameters=(
            Parameter("neuron", str, "", "one to look at, e.g. 2.117: its tokens and activations"),
            Parameter("layers", int, None, "layers to show, e.g. 0,3 (all)", many=True),
            Parameter("top_k", int, 10, "tokens it promotes and suppresses", minimum=1),
        ),
    ),
    Analysis(
        name="max_activating",
        title="Max-activating examples",
        function="interpboard.circuits.neurons.max_activating:max_activating",
        axes=("layer", "neuron"),
        value="highest activation of the neuron anywhere in the corpus; the prompt is not looked at",
        scale="diverging",
        cost="search",
        gives_way=True,
        gaps=("values",),
        parameters=(
            Parameter("corpus", str, "", "a text file, or a folder of them, of any size"),
            Parameter(
                "out",
                str,
                "",
                "file that keeps what was found: gone on with, or read",
                written=True,
            ),
            Parameter("neuron", str, "", "one whose examples are shown, e.g. 2.117"),
            Parameter("top_k", int, 16, "examples kept per neuron", minimum=1),
            Parameter("layers", int, None, "layers to look into, e.g. 0,3 (all)", many=True),
            Parameter("length", int, 128, "tokens of a window of text", minimum=1),
            Parameter("batch", int, 16, "windows a step", minimum=1),
            Parameter("before", int, 15, "tokens kept before a peak", minimum=0),
            Parameter("after", int, 5, "tokens kept after a peak", minimum=0),
        ),
    ),
)
