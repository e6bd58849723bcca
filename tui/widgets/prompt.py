"""The prompt. Enter runs; letters and digits are text, never commands; a newline is a sign in the line."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from tui.commands.command import bindings
from tui.commands.places import PROMPT
from tui.widgets.line import Line
from tui.widgets.text_field import NEWLINE, TextField


class PromptInput(TextField):
    """The text field."""

    BINDINGS = bindings(PROMPT)

    def action_newline(self) -> None:
        """A newline at the cursor."""
        self.insert_text_at_cursor(NEWLINE)


class Prompt(Horizontal, can_focus=False):
    """The field with its sign."""

    class Submitted(Message):
        """Enter was pressed."""

    class Edited(Message):
        """The text changed."""

    def __init__(self, text: str) -> None:
        super().__init__(id="prompt")
        self._first = text

    def compose(self) -> ComposeResult:
        """A sign, the field."""
        yield Line(Text(" ›"), id="prompt-sign")
        yield PromptInput(self._first, "a text to explain", id="prompt-input")

    def show(self, text: str) -> None:
        """Put ``text`` into the field, the cursor behind it."""
        self.input.value = text
        self.input.cursor_position = len(text)

    def place(self, words: str) -> None:
        """Say where in a list of prompts this one stands: ``3/12``."""
        sign, line = f" {words} ›" if words else " ›", self.query_one("#prompt-sign", Line)
        if sign != line.text.plain:
            line.set(Text(sign))
            line.styles.width = cell_len(sign) + 1

    @property
    def input(self) -> PromptInput:
        """The field."""
        return self.query_one(PromptInput)

    @property
    def text(self) -> str:
        """What is written."""
        return self.input.value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field."""
        event.stop()
        self.post_message(self.Submitted())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing in the field."""
        event.stop()
        self.post_message(self.Edited())
