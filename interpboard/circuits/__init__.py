"""What the parts of a model do: the logit lens, head ablation and what is built on it."""

from interpboard.circuits.ablator import AttentionHeadAblator, CriticalHead

__all__ = ["AttentionHeadAblator", "CriticalHead"]
