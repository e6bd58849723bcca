"""A session without a screen, and plain stand-ins for what controllers need of the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.tui.fake import FakeEngine
from tui.catalogue import SLOTS
from tui.session.session import Session
from tui.session.state import Answer, Answers, State


class Spoken(list[str]):
    """What the user was told."""

    def __call__(self, message: str, severity: str = "information") -> None:
        self.append(message)


class OpenedScreens:
    """Remembers the screens that were opened; ``answer`` leaves the last one with a value."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self._answered: Callable[[Any], Any] | None = None

    def push_screen(self, screen: Any, answered: Any = None, /) -> None:
        self.opened.append(screen)
        self._answered = answered

    def answer(self, value: Any) -> None:
        assert self._answered is not None
        self._answered(value)


@asynccontextmanager
async def session(
    tell: Spoken | None = None, in_sight: tuple[str, ...] = (), slots: Any = SLOTS
) -> AsyncIterator[Session]:
    """A session with a fake engine whose model is loaded; ``in_sight`` has been asked and answered."""
    state = State(slots=Answers({slot.name: Answer() for slot in slots}))
    told = tell if tell is not None else Spoken()
    made = Session(state, slots, lambda _names: None, told, FakeEngine)
    made.in_sight = in_sight
    await made.boot("demo", "cpu", "float32")
    await made.settled()
    yield made
    await made.close()
