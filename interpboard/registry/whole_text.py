"""How likely every token of a text was."""

from __future__ import annotations

from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="token_losses",
        title="Loss of each token",
        function="interpboard.whole_text.losses:token_losses",
        axes=("token",),
        value="−ln p(token | those before it), in nats, of an encoder given all others, itself masked: 0 is "
        "certain, and the mean's exponential is the perplexity, of an encoder the pseudo-perplexity",
        scale="magnitude",
        cost="cells",
        gives_way=True,
        own_measure=True,
        gaps=(
            "values",
            "rank",
            "entropy",
            "surprise",
            "context",
            "likeliest_prob",
            "edited",
            "effect",
        ),
        parameters=(
            Parameter("file", str, "", "a text file in place of the prompt"),
            Parameter("limit", int, 0, "its first so many tokens; 0: all", minimum=0),
            Parameter(
                "window", int, 0, "tokens seen together; 0: all, of a file at most 2,048", minimum=0
            ),
            Parameter("stride", int, 0, "by which windows move on; 0: half of one", minimum=0),
            Parameter("interventions", str, "", "put on beside the clean run: 1.mlp=mean"),
            Parameter(
                "reference", str, "", "what takes all away, for loss recovered: the same at zero"
            ),
            Parameter("source", str, "", "the prompt that patch takes its values from"),
        ),
    ),
)
