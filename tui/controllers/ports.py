"""What controllers need of the app, each by itself, so that they can be tested without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class OpensScreens(Protocol):
    """Puts a screen over the panes; ``answered`` is called with what it was left with."""

    def push_screen(self, screen: Any, answered: Any = None, /) -> Any:
        """Open ``screen``."""


class PromptField(Protocol):
    """The prompt's field."""

    @property
    def text(self) -> str:
        """What is written."""

    def show(self, text: str) -> None:
        """Write ``text``."""

    def place(self, words: str) -> None:
        """Say beside it where it stands in a list."""


class InputsLine(Protocol):
    """Asks for a line of text."""

    def __call__(
        self, title: str, hints: tuple[str, ...], value: str, then: Callable[[str], None]
    ) -> None:
        """``then`` is called with the line, unless the question is left."""
