"""What the parts of a model do: the logit lens, head ablation, circuits and what is built on them.

The classes are looked up when somebody asks for them here: one analysis imports no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpboard.circuits.discovery.analyzer import CircuitAnalyzer
    from interpboard.circuits.heads.ablator import AttentionHeadAblator, CriticalHead
    from interpboard.circuits.heads.critical import find_critical_components
    from interpboard.circuits.heads.scorer import HeadScorer, ScoredHead
    from interpboard.circuits.lens.model_lens import LogitLens
    from interpboard.circuits.neurons.contributions import NeuronAnalyzer

_HOMES = {
    "AttentionHeadAblator": "heads.ablator",
    "CircuitAnalyzer": "discovery.analyzer",
    "CriticalHead": "heads.ablator",
    "HeadScorer": "heads.scorer",
    "LogitLens": "lens.model_lens",
    "NeuronAnalyzer": "neurons.contributions",
    "ScoredHead": "heads.scorer",
    "find_critical_components": "heads.critical",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
