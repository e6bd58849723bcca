"""``LogitLens``: what a loaded Hugging Face model would say after each of its layers."""

from __future__ import annotations

from typing import Any

from interpboard.circuits.logit_lens import logit_lens
from interpboard.models.holder import Holder
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt


class LogitLens(Holder):
    """The lens on one model. A ``Holder``: usable as a context manager."""

    def read(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Probability [layer, token] of the target; options as in ``logit_lens``."""
        prompt, resolved = self._case(text, metric)
        return logit_lens(self.lm, prompt, resolved, **options)

    def _case(self, text: str, metric: MetricRequest | None) -> tuple[PromptInfo, Metric]:
        prompt = make_prompt(self.lm, text)
        return prompt, resolve_metric(self.lm, prompt, metric or MetricRequest())
