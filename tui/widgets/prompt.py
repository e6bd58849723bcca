"""The prompt: one line of text. Enter runs; letters and digits are text, never commands."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from interpboard.display import visible
from tui import keys
from tui.widgets.line import Line


class PromptInput(Input):
    """The text field. A pasted text of several lines becomes one."""

    BINDINGS = keys.bindings("prompt")

    def __init__(self, text: str) -> None:
        super().__init__(
            visible(text),
            compact=True,
            select_on_focus=False,
            id="prompt-input",
            placeholder="a text to explain",
        )
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = " ".join(event.text.split("\n"))
        self.insert_text_at_cursor("".join(c for c in text if c.isprintable() or c == " "))


class Prompt(Horizontal, can_focus=False):
    """The field with its sign. ``text`` gives back exactly what was set until it is edited."""

    class Submitted(Message):
        """Enter was pressed."""

    class Edited(Message):
        """The text changed."""

    def __init__(self, text: str) -> None:
        super().__init__(id="prompt")
        self._raw = text

    def compose(self) -> ComposeResult:
        """A sign, the field."""
        yield Line(Text(" ›"), id="prompt-sign")
        yield PromptInput(self._raw)

    def show(self, text: str) -> None:
        """Put ``text`` into the field."""
        self._raw = text
        self.input.value = visible(text)

    @property
    def input(self) -> PromptInput:
        """The field."""
        return self.query_one(PromptInput)

    @property
    def text(self) -> str:
        """What is written; control characters that came from outside survive unless edited."""
        value = self.input.value
        return self._raw if value == visible(self._raw) else value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field."""
        event.stop()
        self.post_message(self.Submitted())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing in the field."""
        event.stop()
        self.post_message(self.Edited())
