"""``ActivationPatcher``: activation and path patching of a loaded Hugging Face model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interpboard.errors import BadParameter
from interpboard.models.model_context import ModelContext
from interpboard.patching.activation import activation_patching
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.corrupt import swap_span, swap_subjects
from interpboard.patching.estimates import attribution_patching
from interpboard.patching.paths import path_patching
from interpboard.patching.prompt_pairs import pair_fields
from interpboard.results import MetricRequest, Result
from interpboard.runs.on_text import on_text


class ActivationPatcher(ModelContext):
    """Activation patching of one model. A ``ModelContext``: usable as a context manager."""

    def patch(
        self,
        clean: str,
        corrupted: str | None = None,
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """The exact grid; options and values as in ``activation_patching``.

        With ``subject`` instead of ``corrupted`` the corrupted run has noise on its embeddings.
        """
        return on_text(activation_patching, self.lm, clean, metric, corrupted=corrupted, **options)

    def estimate(
        self, clean: str, corrupted: str, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """The same grid estimated from gradients; see ``attribution_patching``."""
        return on_text(attribution_patching, self.lm, clean, metric, corrupted=corrupted, **options)

    def confidence(
        self,
        pairs: str | Sequence[str | Sequence[str]],
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """Mean effect of each cell over ``pairs``, at least two; see ``patching_confidence``.

        ``metric`` is read on the first pair; the others' targets are their own.
        """
        fields = pair_fields(pairs)
        if not fields:
            raise BadParameter("No pair was given.", "Give at least two, one a line.")
        (clean, corrupted, *named), *further = fields
        request = metric or MetricRequest()
        if named:
            target, foil = (*named, request.foil)[:2]
            request = msgspec.structs.replace(request, target=target, foil=foil)
        return on_text(
            patching_confidence,
            self.lm,
            clean,
            request,
            corrupted=corrupted,
            pairs=further,
            **options,
        )

    def corrupt(self, clean: str, span: str, other: str, **options: Any) -> str:
        """``clean`` with ``span`` exchanged for ``other``, equally long; see ``swap_span``."""
        return swap_span(self.lm, clean, span, other, **options)

    def swap_subjects(self, first: str, second: str, subject: str, other: str) -> tuple[str, str]:
        """Both prompts with their subjects exchanged; see ``corrupt.swap_subjects``."""
        return swap_subjects(self.lm, first, second, subject, other)

    def paths(
        self,
        clean: str,
        corrupted: str,
        receiver: str | Sequence[str] = "output",
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """Every sender's effect through ``receiver`` alone; see ``path_patching``."""
        return on_text(
            path_patching, self.lm, clean, metric, corrupted=corrupted, receiver=receiver, **options
        )
