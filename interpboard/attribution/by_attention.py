"""``AttentionAttributor``: attribution by what attends to what, of a loaded Hugging Face model."""

from __future__ import annotations

from typing import Any

from interpboard.attribution.attention_flow import attention_flow
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.value_weighted_rollout import value_weighted_rollout
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


class AttentionAttributor(ModelContext):
    """Attention attribution with one model. A ``ModelContext``: usable as a context manager.

    Each method takes the options of the function it names. Of the metric only the position matters.
    """

    def attention_rollout(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Shares [token] by the product of the layers' attention; see ``attention_rollout``."""
        return on_text(attention_rollout, self.lm, text, metric, **options)

    def attention_flow(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Maximum flow [token] through the layers' attention; see ``attention_flow``."""
        return on_text(attention_flow, self.lm, text, metric, **options)

    def value_weighted_rollout(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Shares [token] by the norms of what moves; see ``value_weighted_rollout``."""
        return on_text(value_weighted_rollout, self.lm, text, metric, **options)
