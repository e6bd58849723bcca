"""Which tokens mattered, by the metric's gradient."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

NORM = Parameter(
    "norm",
    str,
    "l2",
    "how a token's gradient becomes one number; sum is signed",
    choices=("l2", "l1", "sum"),
)

NOISE = (
    Parameter("samples", int, 16, "noisy copies of the embeddings", minimum=1, maximum=1000),
    Parameter(
        "noise",
        float,
        0.1,
        "standard deviation, in units of that of the vocabulary's embeddings",
        minimum=0,
        maximum=1e6,
    ),
    Parameter("seed", int, 0, "of the noise", minimum=0),
)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="saliency",
        title="Saliency",
        function="interpboard.attribution.saliency:saliency",
        axes=("token",),
        value="the metric's gradient at the token's embedding, as one number",
        reading=reading.GRADIENT,
        scale="diverging",
        unsigned=("norm", ("l2", "l1")),
        parameters=(NORM,),
    ),
    Analysis(
        name="grad_x_input",
        title="Gradient × input",
        function="interpboard.attribution.grad_x_input:grad_x_input",
        axes=("token",),
        value="first-order estimate of what the token's embedding adds to the metric",
        reading=reading.added("the token"),
        scale="diverging",
        parameters=(
            Parameter("per_dimension", bool, False, "also the share of every embedding dimension"),
        ),
    ),
    Analysis(
        name="smoothgrad",
        title="SmoothGrad",
        function="interpboard.attribution.smoothgrad:smoothgrad",
        axes=("token",),
        value="the metric's mean gradient over noisy embeddings, as one number",
        reading=reading.GRADIENT,
        scale="diverging",
        unsigned=("norm", ("l2", "l1")),
        parameters=(*NOISE, NORM),
    ),
    Analysis(
        name="noise_tunnel",
        title="Noise tunnel",
        function="interpboard.attribution.noise_tunnel:noise_tunnel",
        axes=("token",),
        value="mean over noisy embeddings of another method's score",
        reading=reading.added("the token"),
        scale="diverging",
        gaps=("std_error",),
        unsigned=("of", ("saliency",)),
        parameters=(
            Parameter(
                "of",
                str,
                "integrated_gradients",
                "the method",
                choices=("saliency", "grad_x_input", "integrated_gradients"),
            ),
            *NOISE,
            Parameter(
                "n_steps",
                int,
                32,
                "points on each path (integrated gradients)",
                minimum=1,
                maximum=1024,
            ),
            Parameter(
                "baseline",
                str,
                "zero",
                "start of each path (integrated gradients)",
                choices=("zero", "mean", "pad"),
            ),
        ),
    ),
    Analysis(
        name="lrp",
        title="Relevance propagation (AttnLRP)",
        function="interpboard.attribution.lrp:lrp",
        axes=("token",),
        value="relevance of what enters the first layer at the token",
        reading=reading.added("the token"),
        scale="diverging",
        parameters=(
            Parameter(
                "attention",
                str,
                "softmax",
                "follow queries and keys through the softmax, or take the pattern as a constant (CP-LRP's "
                "attention; gates as in AttnLRP)",
                choices=("softmax", "frozen"),
            ),
        ),
    ),
    Analysis(
        name="continuation_attribution",
        title="Attribution of a continuation",
        function="interpboard.attribution.continuation:continuation_attribution",
        axes=("generated", "source"),
        value="score of every earlier token for each token of the greedy continuation, by that "
        "token's own metric; empty: it comes later",
        reading=reading.added("the earlier token"),
        scale="diverging",
        gaps=("values",),
        unsigned=("method", ("saliency",)),
        parameters=(
            Parameter("new_tokens", int, 8, "tokens to generate", minimum=1),
            Parameter(
                "method",
                str,
                "grad_x_input",
                "how each is explained",
                choices=("saliency", "grad_x_input", "integrated_gradients", "lrp"),
            ),
        ),
    ),
)
