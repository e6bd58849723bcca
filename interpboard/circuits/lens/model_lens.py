"""``LogitLens``: what a loaded Hugging Face model would say after each of its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interpboard.circuits.lens.logit import logit_lens
from interpboard.circuits.lens.training import TrainingSettings, tune_lens
from interpboard.circuits.lens.translators import Translators
from interpboard.circuits.lens.tuned import tuned_lens
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


class LogitLens(ModelContext):
    """The lens on one model. A ``ModelContext``: usable as a context manager."""

    def read(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Probability [layer, token] of the target; options as in ``logit_lens``."""
        return on_text(logit_lens, self.lm, text, metric, **options)

    def read_tuned(
        self,
        text: str,
        translators: str | Path,
        *,
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """The same through the maps in the folder ``translators``; options as in ``tuned_lens``."""
        return on_text(tuned_lens, self.lm, text, metric, translators=str(translators), **options)

    def tune(self, corpus: str | Path, out: str | Path, **settings: Any) -> Translators:
        """Train translators on a text file into a folder; ``settings`` as in ``tune_lens.Settings``."""
        return tune_lens(self.lm, corpus, out, TrainingSettings(**settings))
