"""The prompt. Enter runs; letters and digits are text, never commands; a newline is a sign in the line.

A chat stands there as one line, and is written in an editor of its own.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from tui.commands.command import bindings
from tui.commands.places import PROMPT
from tui.session.chat_draft import chat_line
from tui.session.state import PromptKind
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

    class Opened(Message):
        """The chat is to be edited."""

    def __init__(self, text: str, kind: PromptKind = "text") -> None:
        super().__init__(id="prompt")
        self.kind: PromptKind = kind
        self._first, self._chat = text, text if kind == "chat" else ""

    def compose(self) -> ComposeResult:
        """A sign, the field."""
        yield Line(Text(" ›"), id="prompt-sign")
        chat = self.kind == "chat"
        shown = chat_line(self._chat) if chat else self._first
        field = PromptInput(shown, "a text to explain", id="prompt-input")
        field.can_focus = not chat
        yield field

    def show(self, text: str, kind: PromptKind = "text") -> None:
        """Put ``text`` into the field, the cursor behind it; of a chat its line, which is not written in."""
        chat = kind == "chat"
        changed, self.kind = (text, kind) != (self.text, self.kind), kind
        self._chat = text if chat else ""
        field = self.input
        if chat and field.has_focus:
            self.screen.set_focus(None)
        field.can_focus = not chat
        field.value = chat_line(text) if chat else text
        field.cursor_position = 0 if chat else len(text)
        if changed:
            self.post_message(self.Edited())

    def on_click(self) -> None:
        """A chat is written in an editor of its own."""
        if self.kind == "chat":
            self.post_message(self.Opened())

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
        """What is written, or the chat's JSON."""
        return self._chat if self.kind == "chat" else self.input.value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field."""
        event.stop()
        self.post_message(self.Submitted())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing in the field."""
        event.stop()
        self.post_message(self.Edited())
