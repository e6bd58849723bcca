"""One question with one line for the answer: target, foil, model."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import visible
from tui.dialogs.box import Box
from tui.widgets.line import Line
from tui.widgets.text_field import TextField


@dataclass(frozen=True)
class LineInput:
    """What is asked, and up to two lines that help to answer."""

    title: str
    hints: tuple[str, ...]
    value: str = ""


class LineInputScreen(Box[str]):
    """Answers with the text, None when left."""

    def __init__(self, asked_for: LineInput) -> None:
        super().__init__()
        self.asked_for = asked_for

    def compose(self) -> ComposeResult:
        """The field and the hints."""
        with Vertical(classes="box") as box:
            box.border_title = Text(self.asked_for.title)
            yield TextField(self.asked_for.value, select=True)
            yield Line()
            for hint in (*self.asked_for.hints, "Enter confirms, Esc leaves"):
                yield Line(Text(visible(hint)), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.dismiss(event.value)
