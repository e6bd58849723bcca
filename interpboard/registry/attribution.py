"""Which tokens mattered."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="integrated_gradients",
        title="Integrated gradients",
        function="interpboard.attribution.integrated_gradients:integrated_gradients",
        axes=("token",),
        value="share of metric(prompt) − metric(baseline) due to the token",
        reading=reading.added("the token"),
        scale="diverging",
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
            Parameter(
                "baseline_text",
                str,
                "",
                "for the baseline text: one token, or as many tokens as the prompt",
            ),
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
        gaps=("rank_agreement",),
        parameters=(
            Parameter(
                "methods",
                str,
                None,
                "to compare (all that can be)",
                choices=(
                    "integrated_gradients",
                    "grad_x_input",
                    "lrp",
                    "occlusion",
                    "shapley",
                    "saliency",
                    "smoothgrad",
                    "attention_rollout",
                    "value_weighted_rollout",
                    "attention_flow",
                    "noise_tunnel",
                ),
                many=True,
            ),
        ),
    ),
)
