"""What the engine says is shown a part a turn while somebody types: a key waits for one part at the most.

All panes filled and painted at once take the loop three keys' time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

TYPING_S = 0.1  # after a key: the next one is on its way
BETWEEN_S = 0.002  # the loop waits for the terminal and reads what was typed


class TypedAt(Protocol):
    """What turns need of the app."""

    @property
    def keys_wait(self) -> bool:
        """Is there a key that has not acted yet?"""

    def paint_now(self) -> None:
        """Paint what has changed."""


class ShownInTurns:
    """Takes ``parts`` one after the other, each painted in a turn of its own, keys between them."""

    def __init__(self, app: TypedAt) -> None:
        self._app = app
        self._parts: Iterator[object] | None = None
        self._call: asyncio.Handle | None = None
        self._pressed_at = float("-inf")

    def pressed(self) -> None:
        """Somebody types."""
        self._pressed_at = asyncio.get_running_loop().time()

    @property
    def typing(self) -> bool:
        """Was a key pressed just now?"""
        return asyncio.get_running_loop().time() - self._pressed_at < TYPING_S

    @property
    def going(self) -> bool:
        """Is there a part that is not shown yet?"""
        return self._parts is not None

    def go(self, parts: Iterator[object]) -> None:
        """From the next turn on; what is left of those before is dropped."""
        self.stop()
        self._parts = parts
        self._later()

    def stop(self) -> None:
        """What is left is dropped."""
        if self._call is not None:
            self._call.cancel()
        self._parts = self._call = None

    def _later(self) -> None:
        self._call = asyncio.get_running_loop().call_later(BETWEEN_S, self._next)

    def _next(self) -> None:
        self._call = None
        parts = self._parts
        if parts is None:
            return
        if self._app.keys_wait:
            self._later()
            return
        done = object()
        try:
            ended = next(parts, done) is done
        except BaseException:
            self._parts = None
            raise
        if self._parts is not parts:  # a part has led to a change that is shown instead
            return
        if ended:
            self._parts = None
        else:
            self._later()
        self._app.paint_now()
