"""``HeadScorer``: the types of the heads of a loaded Hugging Face model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interpboard.circuits.heads.types import head_scores
from interpboard.errors import BadParameter
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


@dataclass(frozen=True)
class ScoredHead:
    """A head, its score, and how many standard errors that stands above chance."""

    layer: int
    head: int
    score: float
    z: float


class HeadScorer(ModelContext):
    """Head types of one model. A ``ModelContext``: usable as a context manager."""

    def score(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Scores [score, layer, head]; options as in ``head_scores``. ``text`` is for name_mover."""
        return on_text(head_scores, self.lm, text, metric, **options)

    def top_heads(self, result: Result, score: str, top_k: int = 5) -> list[ScoredHead]:
        """The heads of ``result`` with the highest ``score``, highest first."""
        names = result.axes[0].labels
        if score not in names:
            raise BadParameter(f"There is no score {score!r}.", f"Use {', '.join(names)}.")
        values = result.values[names.index(score)]
        z = result.extra["z"].values[names.index(score)]
        order = np.argsort(-values, axis=None, kind="stable")
        heads = [(int(i) // values.shape[1], int(i) % values.shape[1]) for i in order[:top_k]]
        return [
            ScoredHead(layer, head, float(values[layer, head]), float(z[layer, head]))
            for layer, head in heads
        ]
