"""Parts of the model that work together."""

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
                "or a file of such lines",
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
    Analysis(
        name="steering",
        title="Steering",
        function="interpboard.interventions.steering:steering",
        axes=("scale",),
        value="effect = metric(steered) − metric(clean), with scale times the vector added at every "
        "position",
        reading=reading.STEERED,
        scale="diverging",
        parameters=(
            Parameter("positive", object, "", "prompts that the vector points to, one a line"),
            Parameter("negative", object, "", "prompts that it points away from, one a line"),
            Parameter("vector", str, "", "a saved vector instead: a safetensors file"),
            Parameter(
                "layer", int, -1, "layer behind which it is added; -1: the middle", minimum=-1
            ),
            Parameter(
                "scales",
                float,
                None,
                "e.g. 1,4 (-2 to 2); 0 is always there",
                many=True,
                minimum=-1e6,
                maximum=1e6,
            ),
            Parameter("new_tokens", int, 20, "length of the text", minimum=0, maximum=4096),
            Parameter("save", str, "", "write the vector to this safetensors file"),
        ),
    ),
    Analysis(
        name="neurons",
        title="Neurons",
        function="interpboard.circuits.neurons.contributions:neurons",
        axes=("layer", "neuron"),
        value="what the neuron writes directly into the logit (or logit difference), activation × "
        "effect of a unit",
        reading=reading.WRITTEN,
        scale="diverging",
        gaps=("values",),
        parameters=(
            Parameter("neuron", str, "", "one to look at, e.g. 2.117: its tokens and activations"),
            Parameter("layers", int, None, "layers to show, e.g. 0,3 (all)", many=True),
            Parameter("top_k", int, 10, "tokens it promotes and suppresses", minimum=1),
        ),
    ),
    Analysis(
        name="tune_lens",
        title="Training a tuned lens",
        function="interpboard.circuits.lens.training_analysis:lens_training",
        axes=("layer",),
        value="KL(final ‖ layer) on the last step's text, in nats a token: 0 is the output itself; the "
        "prompt is not looked at",
        scale="diverging",
        parameters=(
            Parameter("corpus", str, "", "a text file to train on, or a folder of them"),
            Parameter("out", str, "", "folder for the lens; a stopped training goes on there"),
            Parameter("steps", int, 250, "of training", minimum=1),
            Parameter("batch", int, 8, "windows of text a step", minimum=1),
            Parameter("length", int, 64, "tokens of a window", minimum=2),
            Parameter("rate", float, 1e-3, "learning rate, falling to zero", minimum=0, maximum=1),
        ),
    ),
    Analysis(
        name="max_activating",
        title="Max-activating examples",
        function="interpboard.circuits.neurons.max_activating:max_activating",
        axes=("layer", "neuron"),
        value="highest activation of the neuron anywhere in the corpus; the prompt is not looked at",
        scale="diverging",
        gaps=("values",),
        parameters=(
            Parameter("corpus", str, "", "a text file, or a folder of them, of any size"),
            Parameter("out", str, "", "file that keeps what was found: gone on with, or read"),
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
