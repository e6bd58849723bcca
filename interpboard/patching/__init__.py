"""Interventions between two runs: ``activation``, ``causal_tracing``, ``paths``; ``estimates`` of them."""

from interpboard.patching.patcher import ActivationPatcher
from interpboard.patching.tracer import CausalTrace, CausalTracer

__all__ = ["ActivationPatcher", "CausalTrace", "CausalTracer"]
