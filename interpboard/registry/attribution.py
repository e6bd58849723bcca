"""Which tokens mattered: by gradients, by taking them away, by where attention could have fetched from."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis, Cost

_NORM = Parameter(
    "norm",
    str,
    "l2",
    "how a token's gradient becomes one number; sum is signed",
    choices=("l2", "l1", "sum"),
)
_NOISE = (
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
BASELINE_TEXT = Parameter(
    "baseline_text", str, "", "for the baseline text: one token, or as many tokens as the prompt"
)
BASELINE = (
    Parameter(
        "baseline",
        str,
        "zero",
        "what stands in for a token: a zero embedding, the mean of the vocabulary's, the pad token, or "
        "baseline_text",
        choices=("zero", "mean", "pad", "text"),
    ),
    BASELINE_TEXT,
)
_FUSED = (
    Parameter("fusion", str, "mean", "over the heads of a layer", choices=("mean", "max", "min")),
    Parameter(
        "discard", float, 0.0, "share of each row's smallest entries left out (ours: no paper has it)",
        minimum=0, maximum=0.99,
    ),
)  # fmt: skip


_COMPARED = (
    "integrated_gradients", "grad_x_input", "lrp", "occlusion", "shapley", "saliency", "smoothgrad",
    "attention_rollout", "value_weighted_rollout", "attention_flow", "noise_tunnel",
)  # fmt: skip
_ONE_PASS = "it is one backward pass: nothing comes between its steps"


def _of_gradient(name: str, title: str, value: str, cost: Cost, *parameters: Parameter) -> Analysis:
    """A gradient at each token as one number, without a sign where that number is a norm."""
    return Analysis(
        name=name,
        title=title,
        function=f"interpboard.attribution.{name}:{name}",
        axes=("token",),
        value=value,
        reading=reading.GRADIENT,
        scale="diverging",
        cost=cost,
        gives_way=cost == "paths",
        insists=_ONE_PASS if cost == "gradients" else "",
        unsigned=("norm", ("l2", "l1")),
        parameters=parameters,
    )


TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="integrated_gradients",
        title="Integrated gradients",
        function="interpboard.attribution.integrated_gradients:integrated_gradients",
        axes=("token",),
        value="share of metric(prompt) − metric(baseline) due to the token",
        reading=reading.added("the token"),
        scale="diverging",
        cost="paths",
        gives_way=True,
        in_overview=True,
        parameters=(
            Parameter(
                "n_steps",
                int,
                32,
                "points on the path from baseline to prompt; auto doubles them until complete",
                minimum=1,
                maximum=1024,
                words=("auto",),
            ),
            Parameter(
                "baseline",
                str,
                "zero",
                "start of the path: zero embeddings, the mean of the vocabulary's, the pad token, "
                "or baseline_text",
                choices=("zero", "mean", "pad", "text"),
            ),
            BASELINE_TEXT,
            Parameter(
                "method",
                str,
                "gauss_legendre",
                "quadrature rule along the path",
                choices=("gauss_legendre", "trapezoid", "riemann_left", "riemann_right"),
            ),
        ),
    ),
    Analysis(
        name="compare_attributions",
        title="Attributions side by side",
        function="interpboard.attribution.compare:compare_attributions",
        axes=("method", "token"),
        value="each method's scores, as shares of its largest (saliency, smoothgrad and the "
        "attention methods have no sign)",
        reading=reading.added("the token"),
        scale="diverging",
        cost="paths",
        gives_way=True,
        gaps=("rank_agreement",),
        parameters=(
            Parameter(
                "methods", str, None, "to compare (all that can be)", choices=_COMPARED, many=True
            ),
        ),
    ),
    _of_gradient(
        "saliency",
        "Saliency",
        "the metric's gradient at the token's embedding, as one number",
        "gradients",
        _NORM,
    ),
    Analysis(
        name="grad_x_input",
        title="Gradient × input",
        function="interpboard.attribution.grad_x_input:grad_x_input",
        axes=("token",),
        value="first-order estimate of what the token's embedding adds to the metric",
        reading=reading.added("the token"),
        scale="diverging",
        cost="gradients",
        insists=_ONE_PASS,
        parameters=(
            Parameter("per_dimension", bool, False, "also the share of every embedding dimension"),
        ),
    ),
    _of_gradient(
        "smoothgrad",
        "SmoothGrad",
        "the metric's mean gradient over noisy embeddings, as one number",
        "paths",
        *_NOISE,
        _NORM,
    ),
    Analysis(
        name="noise_tunnel",
        title="Noise tunnel",
        function="interpboard.attribution.noise_tunnel:noise_tunnel",
        axes=("token",),
        value="mean over noisy embeddings of another method's score",
        reading=reading.added("the token"),
        scale="diverging",
        cost="paths",
        gives_way=True,
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
            *_NOISE,
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
        cost="gradients",
        insists=_ONE_PASS,
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
        cost="paths",
        gives_way=True,
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
    Analysis(
        name="occlusion",
        title="Occlusion",
        function="interpboard.attribution.occlusion:occlusion",
        axes=("token",),
        value="metric(clean) − metric(token taken away)",
        reading=reading.added("the token"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="tokens",
        parameters=(
            Parameter("window", int, 1, "tokens in a row taken away together", minimum=1),
            *BASELINE,
        ),
    ),
    Analysis(
        name="shapley",
        title="Shapley values",
        function="interpboard.attribution.shapley:shapley",
        axes=("token",),
        value="what the token adds to the metric as it joins the others, mean over orders; they sum "
        "to metric(prompt) − metric(baseline)",
        reading=reading.added("the token"),
        scale="diverging",
        cost="cells",
        cells="sets of tokens",
        parameters=(
            Parameter("samples", int, 16, "orders of the tokens", minimum=1, maximum=10_000),
            *BASELINE,
            Parameter("seed", int, 0, "of the orders", minimum=0),
        ),
    ),
    Analysis(
        name="attention_rollout",
        title="Attention rollout",
        function="interpboard.attribution.attention_rollout:attention_rollout",
        axes=("token",),
        value="share of the position that attention could have brought from the token, all layers "
        "multiplied; at least 0, they sum to 1",
        scale="probability",
        cost="passes",
        parameters=_FUSED,
    ),
    Analysis(
        name="value_weighted_rollout",
        title="Value-weighted rollout",
        function="interpboard.attribution.value_weighted_rollout:value_weighted_rollout",
        axes=("token",),
        value="share of the position that came from the token by the norms of what heads move and "
        "the stream keeps; at least 0, they sum to 1",
        scale="probability",
        cost="passes",
    ),
    Analysis(
        name="attention_flow",
        title="Attention flow",
        function="interpboard.attribution.attention_flow:attention_flow",
        axes=("token",),
        value="the most that could flow from the token to the position through the layers' "
        "attention; from 0 to 1",
        scale="probability",
        cost="gradients",
        gives_way=True,
        parameters=_FUSED,
    ),
)
