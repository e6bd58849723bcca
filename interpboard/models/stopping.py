"""A pass that nobody waits for any more ends at its next layer, and not when all of them have run.

Where a layer takes a second, a pass of the model takes a minute, and what is asked between two steps is
asked too seldom. ``finite`` asks ``stop_if_unwanted`` wherever it listens to a pass: behind each layer, and
inside its attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from interpboard.errors import Cancelled

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("stopped by", default=None)


@contextmanager
def stopped_by(cancelled: Callable[[], bool]) -> Iterator[None]:
    """While open, a pass raises ``Cancelled`` as soon as ``cancelled`` says so."""
    token = _asked.set(cancelled)
    try:
        yield
    finally:
        _asked.reset(token)


def stop_if_unwanted() -> None:
    """Raise ``Cancelled`` if the pass is not wanted any more."""
    cancelled = _asked.get()
    if cancelled is not None and cancelled():
        raise Cancelled


def look_on_the_way_back(value: torch.Tensor) -> None:
    """The same when the backward pass comes to ``value``, in whatever thread."""
    cancelled = _asked.get()
    if cancelled is None or not value.requires_grad:
        return

    def look_again(_gradient: torch.Tensor) -> None:
        if cancelled():
            raise Cancelled

    value.register_hook(look_again)
