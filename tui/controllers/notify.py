"""The one way to speak to the user: a message at the edge of the screen, harmless whatever is in it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from interpboard.display import visible

Severity = Literal["information", "warning", "error"]


class Tell(Protocol):
    """Says something to the user."""

    def __call__(self, message: str, severity: Severity = "information") -> None:
        """Say ``message``."""


class Toasts(Protocol):
    """What the app has for messages."""

    def notify(self, message: str, *, severity: Severity, markup: bool) -> Any:
        """Show one."""


class Notifier:
    """Token text is hostile: every line is made harmless, and none is read as markup."""

    def __init__(self, toasts: Toasts) -> None:
        self._toasts = toasts

    def tell(self, message: str, severity: Severity = "information") -> None:
        """Say ``message``."""
        shown = "\n".join(visible(line) for line in message.split("\n"))
        self._toasts.notify(shown, severity=severity, markup=False)
