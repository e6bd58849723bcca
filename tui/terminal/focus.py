"""Focus that repaints no more than it changes: Textual repaints the whole widget, over SSH a cost."""

from __future__ import annotations

from textual import events
from textual.scroll_view import ScrollView


class QuietScrollView(ScrollView):
    """For views whose cursor alone looks different with the focus."""

    def refresh_cursor(self) -> None:
        """Repaint where the cursor is."""
        self.refresh()

    def _on_focus(self, event: events.Focus) -> None:
        event.prevent_default()
        self.has_focus = True
        self.refresh_cursor()
        if self.parent is not None:
            self.parent.post_message(events.DescendantFocus(self))

    def _on_blur(self, event: events.Blur) -> None:
        event.prevent_default()
        self.has_focus = False
        self.refresh_cursor()
        if self.parent is not None:
            self.parent.post_message(events.DescendantBlur(self))
