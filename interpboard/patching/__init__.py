"""Interventions between two runs: ``activation``, ``causal_tracing``, ``paths``; ``estimates`` of them."""

from interpboard.patching.corrupt import swap_span, swap_subjects
from interpboard.patching.patcher import ActivationPatcher
from interpboard.patching.tracer import CausalTrace, CausalTracer

__all__ = ["ActivationPatcher", "CausalTrace", "CausalTracer", "swap_span", "swap_subjects"]
