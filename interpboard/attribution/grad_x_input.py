"""Which tokens mattered: gradient times input."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.gradients.embeddings import (
    metric_and_gradient,
    prompt_embeddings,
    require_slope,
    wide,
)
from interpboard.runs.metrics import Metric
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.watch import SILENT, Watch


@analysis("grad_x_input", path="autograd", refuses=refuse_a_gradient_without_room)
def grad_x_input(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    per_dimension: bool = False,
    watch: Watch = SILENT,
) -> Computed:
    """Signed score [token]: gradient of the metric · the token's embedding, in units of the metric.

    Shrikumar, Greenside and Kundaje 2017, "Not Just a Black Box". The first-order guess of
    metric(prompt) − metric(embedding zeroed). Exact only where
    the metric is linear in the embedding. ``per_dimension``: also ``extra["per_dimension"]``
    [token, dimension], which sums to the scores. Raises ``Unsupported`` for metrics without a gradient.
    """
    watch.step(0, 1)
    inputs = prompt_embeddings(lm, prompt)
    require_slope(metric)
    gradient = metric_and_gradient(lm, prompt, metric, inputs[None])[1][0]
    shares = (gradient.to(wide(inputs)) * inputs.to(wide(inputs))).cpu()
    extra = {}
    if per_dimension:
        dimensions = Axis("dimension", tuple(map(str, range(shares.shape[-1]))))
        extra["per_dimension"] = LabelledArray(
            (token_axis(prompt.tokens), dimensions), shares.numpy()
        )
    watch.step(1, 1)
    return Computed(
        values=shares.sum(-1).numpy(),
        axes=(token_axis(prompt.tokens),),
        extra=extra,
    )
