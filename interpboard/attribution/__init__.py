"""Which input tokens made the model say this: gradients, attention, perturbation."""

from interpboard.attribution.by_attention import AttentionAttributor
from interpboard.attribution.gradients import GradientAttributor
from interpboard.attribution.perturbation import PerturbationAttributor

__all__ = ["AttentionAttributor", "GradientAttributor", "PerturbationAttributor"]
