"""What a made-up answer is made from, and where it puts what it says beside the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from interpboard.engine import protocol
from interpboard.results import Axis, LabelledArray, layer_axis

Answered = tuple[tuple[Axis, ...], np.ndarray]  # the axes, and the values on them


@dataclass
class Asked:
    """A request to a model of ``layers`` x ``heads``; an answer fills ``extra``, and ``found`` with the
    parameters that it found for itself."""

    request: protocol.RunAnalysis
    tokens: tuple[str, ...]
    layers: int
    heads: int
    extra: dict[str, LabelledArray] = field(default_factory=dict)
    found: dict[str, object] = field(default_factory=dict)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    @property
    def position(self) -> int:
        """The position that is explained, counted from the front."""
        position = self.request.metric.position
        return len(self.tokens) - 1 if position < 0 else position

    def by_head(self) -> tuple[Axis, Axis]:
        """Axes of a value for each head."""
        return layer_axis(self.layers), numbered("head", self.heads)

    def estimates(self, axes: tuple[Axis, ...], values: np.ndarray) -> None:
        """What was shown until the exact values came, where it was asked for."""
        if self.request.params.get("preview"):
            self.extra["estimate"] = LabelledArray(axes, values * 1.1)
            self.extra["estimate_error"] = LabelledArray(axes, np.abs(values) * 0.1)


Answer = Callable[[Asked], Answered]


def numbered(name: str, count: int, first: int = 0) -> Axis:
    """An axis whose labels are numbers."""
    return Axis(name, tuple(str(first + at) for at in range(count)))
