"""What the model says next: the likeliest tokens at one position."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.labels import logit_name, probabilities
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.watch import SILENT, Watch


@analysis("predictions", path="forward")
def predictions(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, *, top_k: int = 10, watch: Watch = SILENT
) -> Computed:
    """Probabilities [rank] of the ``top_k`` likeliest next tokens at the metric's position; of a model with
    labels those of its labels, or its values, the largest first.

    ``extra``: ``token_ids``, ``tokens`` and ``logits``, each [rank]. Nothing of the prompt is edited.
    """
    watch.step(0, 1)
    logits = at_least_float32(metric.clean_logits)
    top = probabilities(lm, logits).topk(min(top_k, logits.shape[-1]))
    ids = top.indices.cpu()
    axes = (Axis("rank", tuple(str(i + 1) for i in range(len(ids)))),)
    tokens = [logit_name(lm, int(i)) for i in ids]
    watch.step(1, 1)
    return Computed(
        values=top.values.cpu().numpy(),
        axes=axes,
        extra={
            "token_ids": LabelledArray(axes, ids.numpy()),
            "tokens": LabelledArray(axes, text_array(tokens)),
            "logits": LabelledArray(axes, logits[top.indices].cpu().numpy()),
        },
    )
