"""What the model says next: the likeliest tokens at one position."""

from __future__ import annotations

import time

from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, Result, text_array
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.prompt import token_text
from interpboard.runs.provenance import made_by
from interpboard.runs.watch import SILENT, Watch


def predictions(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, *, top_k: int = 10, watch: Watch = SILENT
) -> Result:
    """Probabilities [rank] of the ``top_k`` likeliest next tokens at the metric's position.

    ``extra``: ``token_ids``, ``tokens`` and ``logits``, each [rank]. Nothing of the prompt is edited.
    """
    started = time.perf_counter()
    watch.step(0, 1)
    logits = at_least_float32(metric.clean_logits)
    top = logits.softmax(-1).topk(min(top_k, logits.shape[-1]))
    ids = top.indices.cpu()
    axes = (Axis("rank", tuple(str(i + 1) for i in range(len(ids)))),)
    tokens = [token_text(lm.tokenizer, int(i)) for i in ids]
    watch.step(1, 1)
    return Result(
        analysis="predictions",
        params={"top_k": top_k},
        metric=metric.info,
        baseline=metric.baseline,
        axes=axes,
        values=top.values.cpu().numpy(),
        extra={
            "token_ids": LabelledArray(axes, ids.numpy()),
            "tokens": LabelledArray(axes, text_array(tokens)),
            "logits": LabelledArray(axes, logits[top.indices].cpu().numpy()),
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by("forward"),
    )
