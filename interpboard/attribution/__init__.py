"""Which input tokens made the model say this: gradients, attention, perturbation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpboard.attribution.by_attention import AttentionAttributor
    from interpboard.attribution.gradients import GradientAttributor
    from interpboard.attribution.perturbation import PerturbationAttributor
    from interpboard.visualization.attribution_visualizer import AttributionVisualizer

_HOMES = {
    "AttentionAttributor": "interpboard.attribution.by_attention",
    "AttributionVisualizer": "interpboard.visualization.attribution_visualizer",  # a floor above
    "GradientAttributor": "interpboard.attribution.gradients",
    "PerturbationAttributor": "interpboard.attribution.perturbation",
}

__all__ = [
    "AttentionAttributor",
    "AttributionVisualizer",
    "GradientAttributor",
    "PerturbationAttributor",
]


def __getattr__(name: str) -> Any:
    # One analysis imports no other: the classes are looked up when somebody asks for them here.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
