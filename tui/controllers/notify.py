"""The one way to speak to the user: a line of its own on the screen, and a list of what was said.

A message stays until the next one, or until the user gives the next command; nothing goes away by the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from interpboard.display import visible

Severity = Literal["information", "warning", "error"]
KEPT = 200  # messages in the list


class Tell(Protocol):
    """Says something to the user."""

    def __call__(self, message: str, severity: Severity = "information") -> None:
        """Say ``message``."""


class Notice(NamedTuple):
    """What was said, harmless to show; it may have several lines."""

    text: str
    severity: Severity = "information"

    @property
    def line(self) -> str:
        """All of it in one line."""
        return "  ".join(line.strip() for line in self.text.split("\n") if line.strip())


class Messages:
    """Token text is hostile: every line is made harmless. ``changed`` is called with each new ``latest``."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.said: deque[Notice] = deque(maxlen=KEPT)
        self.latest: Notice | None = None

    def tell(self, message: str, severity: Severity = "information") -> None:
        """Say ``message``."""
        text = "\n".join(visible(line) for line in message.split("\n"))
        self.latest = Notice(text, severity)
        self.said.append(self.latest)
        self._changed()

    def seen(self) -> None:
        """The user goes on: the line is free; the list keeps what was said."""
        if self.latest is not None:
            self.latest = None
            self._changed()
