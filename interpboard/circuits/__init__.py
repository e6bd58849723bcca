"""What the parts of a model do: the logit lens, head ablation and what is built on it."""

from interpboard.circuits.ablator import AttentionHeadAblator, CriticalHead
from interpboard.circuits.critical_components import find_critical_components
from interpboard.circuits.lens import LogitLens

__all__ = ["AttentionHeadAblator", "CriticalHead", "LogitLens", "find_critical_components"]
