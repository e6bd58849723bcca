"""``GradientAttributor``: gradient attribution of a loaded Hugging Face model."""

from __future__ import annotations

from typing import Any

from interpboard.attribution.continuation import continuation_attribution
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.lrp import lrp
from interpboard.attribution.noise_tunnel import noise_tunnel
from interpboard.attribution.saliency import saliency
from interpboard.attribution.smoothgrad import smoothgrad
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


class GradientAttributor(ModelContext):
    """Gradient attribution with one model. A ``ModelContext``: usable as a context manager.

    Each method takes the options of the function it names; without a metric, the logit of the
    model's own next token is explained.
    """

    def saliency(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Size of the gradient [token]; see ``saliency``."""
        return on_text(saliency, self.lm, text, metric, **options)

    def grad_x_input(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Gradient times input [token], signed; see ``grad_x_input``."""
        return on_text(grad_x_input, self.lm, text, metric, **options)

    def integrated_gradients(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Share of the metric's change from a baseline [token]; see ``integrated_gradients``."""
        return on_text(integrated_gradients, self.lm, text, metric, **options)

    def smoothgrad(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Size of the mean gradient over noisy copies [token]; see ``smoothgrad``."""
        return on_text(smoothgrad, self.lm, text, metric, **options)

    def noise_tunnel(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Mean score over noisy copies [token]; see ``noise_tunnel``."""
        return on_text(noise_tunnel, self.lm, text, metric, **options)

    def lrp(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Relevance [token] by the rules of AttnLRP; see ``lrp``."""
        return on_text(lrp, self.lm, text, metric, **options)

    def continuation(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Every generated token to every earlier one; see ``continuation_attribution``."""
        return on_text(continuation_attribution, self.lm, text, metric, **options)
