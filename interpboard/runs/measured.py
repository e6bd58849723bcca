"""What was measured of a metric, known to every later job on the same prompt of the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.models.language_model import LanguageModel
    from interpboard.results import PromptInfo
    from interpboard.runs.metrics import Metric

_MOST = 32  # prompts and metrics


class MeasuredMetrics:
    """Of one model, whose weights stay as they are while this is kept."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, float]] = {}

    def recall(self, lm: LanguageModel, prompt: PromptInfo, metric: Metric) -> None:
        """Let ``metric`` know what was measured of an equal one of ``prompt``, and keep what will be."""
        key = repr((lm.info, lm.verified.path, prompt.token_ids, prompt.border, metric.info))
        metric.measured.update(self._of.pop(key, {}))
        self._of[key] = metric.measured
        for oldest in list(self._of)[:-_MOST]:
            del self._of[oldest]
