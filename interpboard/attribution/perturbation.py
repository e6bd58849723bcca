"""``PerturbationAttributor``: attribution by taking tokens away, of a loaded Hugging Face model."""

from __future__ import annotations

from typing import Any

from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.shapley import shapley
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


class PerturbationAttributor(ModelContext):
    """Perturbation attribution with one model. A ``ModelContext``: usable as a context manager.

    Each method takes the options of the function it names; without a metric, the logit of the model's
    own next token is explained.
    """

    def occlusion(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """What is lost without the token [token], signed; see ``occlusion``."""
        return on_text(occlusion, self.lm, text, metric, **options)

    def shapley(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Shapley values [token] by sampling, signed; see ``shapley``."""
        return on_text(shapley, self.lm, text, metric, **options)
