"""What the parts of a model do: the logit lens, head ablation, circuits and what is built on them."""

from interpboard.circuits.discovery.analyzer import CircuitAnalyzer
from interpboard.circuits.heads.ablator import AttentionHeadAblator, CriticalHead
from interpboard.circuits.heads.critical import find_critical_components
from interpboard.circuits.heads.scorer import HeadScorer, ScoredHead
from interpboard.circuits.lens.model_lens import LogitLens
from interpboard.circuits.neurons.contributions import NeuronAnalyzer

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
