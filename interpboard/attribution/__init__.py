"""Which input tokens made the model say this: gradients, attention, perturbation."""

from interpboard.attribution.gradients import GradientAttributor
from interpboard.attribution.perturbation import PerturbationAttributor

__all__ = ["GradientAttributor", "PerturbationAttributor"]
