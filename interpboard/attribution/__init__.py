"""Which input tokens made the model say this: gradients, attention, perturbation."""

from interpboard.attribution.gradients import GradientAttributor

__all__ = ["GradientAttributor"]
