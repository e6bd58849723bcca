"""Which input tokens made the model say this: gradients, attention, perturbation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from interpboard.attribution.by_attention import AttentionAttributor
from interpboard.attribution.gradients import GradientAttributor
from interpboard.attribution.perturbation import PerturbationAttributor

if TYPE_CHECKING:
    from interpboard.visualization.attribution_visualizer import AttributionVisualizer

__all__ = [
    "AttentionAttributor",
    "AttributionVisualizer",
    "GradientAttributor",
    "PerturbationAttributor",
]


def __getattr__(name: str) -> Any:
    # Drawing is a floor above; it is looked up only when somebody asks for it here.
    if name == "AttributionVisualizer":
        module = importlib.import_module("interpboard.visualization.attribution_visualizer")
        return module.AttributionVisualizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
