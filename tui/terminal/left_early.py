"""Screens that are left as soon as they open."""

from __future__ import annotations

from textual import events
from textual.widget import Widget


class LeftEarly(Widget):
    """For screens. Textual says Mount also to a screen that was left before its widgets were made.

    There is nothing to fill then, and every handler that looks for a widget would find none.
    """

    async def on_event(self, event: events.Event) -> None:
        """Handle ``event``, but not the Mount of a screen that is empty."""
        if isinstance(event, events.Mount) and not self.children:
            return
        await super().on_event(event)
