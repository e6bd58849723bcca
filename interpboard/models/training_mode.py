"""Training mode: a model that drops activations at random gives other numbers at every pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from interpboard.errors import Unsupported


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While open, ``model`` is in evaluation mode; afterwards every module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def require_evaluating(model: nn.Module) -> None:
    """Raise ``Unsupported`` if a module of ``model`` that may drop at random is in training mode."""
    if any(module.training and _may_drop(module) for module in model.modules()):
        raise Unsupported(
            "The model is in training mode, where dropout makes every number another.",
            "Call model.eval(), or write `with lm.evaluating():` around the analyses.",
        )


def _may_drop(module: nn.Module) -> bool:
    """Modules of transformers drop by function calls, too; of others those that say so by their name."""
    of = type(module)
    return of.__module__.startswith("transformers.") or "drop" in of.__name__.lower()
