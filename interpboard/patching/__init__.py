"""Interventions between two runs: ``activation``, ``causal_tracing``, ``paths``; ``estimates`` of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpboard.patching.corrupt import swap_span, swap_subjects
    from interpboard.patching.patcher import ActivationPatcher
    from interpboard.patching.tracer import CausalTrace, CausalTracer

_HOMES = {
    "ActivationPatcher": "patcher",
    "CausalTrace": "tracer",
    "CausalTracer": "tracer",
    "swap_span": "corrupt",
    "swap_subjects": "corrupt",
}

__all__ = ["ActivationPatcher", "CausalTrace", "CausalTracer", "swap_span", "swap_subjects"]


def __getattr__(name: str) -> Any:
    # One analysis imports no other: the classes are looked up when somebody asks for them here.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
