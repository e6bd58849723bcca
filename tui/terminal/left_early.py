"""Screens that are left as soon as they open, or twice."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.await_complete import AwaitComplete
from textual.widget import Widget


class LeftEarly(Widget):
    """For screens. Textual says Mount also to a screen that was left before its widgets were made; where a
    second Enter was typed before the first had acted, it would leave the screen below, or the app.
    """

    async def on_event(self, event: events.Event) -> None:
        """Handle ``event``, but not the Mount of a screen that has no widgets."""
        if isinstance(event, events.Mount) and not self.children:
            return
        await super().on_event(event)

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Answer and leave, once: nothing where it has been left already."""
        if self.app.screen is not self:
            return AwaitComplete()
        left: AwaitComplete = super().dismiss(result)  # type: ignore[misc]
        return left
