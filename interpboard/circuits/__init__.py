"""What the parts of a model do: the logit lens, head ablation, circuits and what is built on them."""

from interpboard.circuits.ablator import AttentionHeadAblator, CriticalHead
from interpboard.circuits.analyzer import CircuitAnalyzer
from interpboard.circuits.critical_components import find_critical_components
from interpboard.circuits.lens import LogitLens
from interpboard.circuits.neurons import NeuronAnalyzer
from interpboard.circuits.scorer import HeadScorer, ScoredHead

__all__ = [
    "AttentionHeadAblator",
    "CircuitAnalyzer",
    "CriticalHead",
    "HeadScorer",
    "LogitLens",
    "NeuronAnalyzer",
    "ScoredHead",
    "find_critical_components",
]
