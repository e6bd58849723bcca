"""The line in which a head is named, ``3.7``: it is selected as it is typed."""

from __future__ import annotations

from typing import Protocol

from textual import events

from tui.dialogs.line_over import LineOver


class JumpTarget(Protocol):
    """What the line acts on."""

    def named(self, typed: str) -> tuple[str, bool]:
        """Select what ``typed`` names; what is to be said of it, and whether it is a refusal."""

    def other_layer(self, typed: str) -> str:
        """The layer that may be meant instead; empty: there is none."""

    def other(self, typed: str) -> str:
        """``typed`` with the other layer that may be meant."""

    def back(self) -> None:
        """Select what was selected before."""


class JumpLine(LineOver):
    """Digits and a dot; anything else closes the line and acts."""

    sign = "head "

    def __init__(self, typed: str, target: JumpTarget) -> None:
        super().__init__(typed)
        self.target = target
        self._said = target.named(typed)

    def again(self) -> None:
        """Select it."""
        self._said = self.target.named(self.typed)

    def takes(self, event: events.Key) -> bool:
        """Digits, and one dot between them."""
        char = event.character or ""
        return (char.isascii() and char.isdigit()) or (char == "." and "." not in self.typed)

    def steps(self, event: events.Key) -> bool:
        """An arrow takes the other layer that may be meant."""
        other = self.target.other(self.typed) if event.key in ("down", "up") else self.typed
        if other == self.typed:
            return False
        self.typed = other
        self.again()
        self.draw()
        return True

    def said(self) -> tuple[str, bool]:
        """What is selected, or why nothing is, and the other layer that may be meant."""
        other, (said, refused) = self.target.other_layer(self.typed), self._said
        return f"{said}   ↓ layer {other}" if other else said, refused

    def hint(self) -> str:
        """The keys."""
        return "Enter keeps   Esc goes back"

    def back(self) -> None:
        """As it was."""
        self.target.back()
