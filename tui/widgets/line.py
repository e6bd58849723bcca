"""One row of text that repaints only when its text changes, and never re-lays out the screen."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget


class Line(Widget):
    """A row of text. ``set`` is cheap to call with what is already shown."""

    DEFAULT_CSS = "Line { height: 1; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(
        self, text: Text | None = None, *, id: str | None = None, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.text = text or Text()

    def set(self, text: Text) -> None:
        """Show ``text``."""
        if text != self.text:
            self.text = text
            self.refresh()

    def render(self) -> Text:
        """The text, as it is."""
        return self.text
