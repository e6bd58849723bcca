"""Interventions between two runs: ``activation`` patching, ``causal_tracing``, ``estimates`` of both."""

from interpboard.patching.patcher import ActivationPatcher
from interpboard.patching.tracer import CausalTrace, CausalTracer

__all__ = ["ActivationPatcher", "CausalTrace", "CausalTracer"]
