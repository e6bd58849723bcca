"""The text of a note, and what it is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import fit, visible
from tui.commands.command import bindings, first_key
from tui.commands.places import NEWLINE_KEY
from tui.dialogs.box import Box
from tui.theme import inks
from tui.widgets.line import Line
from tui.widgets.text_field import NEWLINE, TextField

if TYPE_CHECKING:
    from interpboard.store import NoteSubject

NOTE_WIDTH = 68


class NoteScreen(Box[tuple[int, str]]):
    """Answers with the number of the subject and the text; an empty text takes the note away."""

    BINDINGS = [  # noqa: RUF012
        ("tab,down", "subject(1)", "On something else"),
        ("shift+tab,up", "subject(-1)", "On something else"),
        *bindings(NEWLINE_KEY),
    ]

    def __init__(self, subjects: Sequence[NoteSubject], texts: Sequence[str]) -> None:
        super().__init__()
        self.subjects, self.texts = list(subjects), list(texts)
        self.at = 0

    def compose(self) -> ComposeResult:
        """What it is on, the field, what there is to press."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Note")
            yield Line(id="subject")
            yield TextField(self.texts[0])
            yield Line()
            other = "Tab on something else   " if len(self.subjects) > 1 else ""
            hint = f"Enter keeps   {other}{first_key('newline')} newline   Esc leaves"
            yield Line(Text(hint), classes="hint")
            yield Line(Text("An empty text takes the note away."), classes="hint")

    def on_mount(self) -> None:
        """The nearest subject."""
        self._show()

    def _show(self) -> None:
        from interpboard.session_report import subject_words

        ink = inks(self.app.current_theme.dark)
        words = fit(visible(subject_words(self.subjects[self.at])), NOTE_WIDTH).rstrip()
        self.query_one("#subject", Line).set(Text.assemble(("on ", ink.muted), (words, ink.accent)))

    def action_subject(self, by: int) -> None:
        """What was written stays with its subject until one of them is kept."""
        field = self.query_one(TextField)
        self.texts[self.at] = field.value
        self.at = (self.at + by) % len(self.subjects)
        field.value = self.texts[self.at]
        field.cursor_position = len(field.value)
        self._show()

    def action_newline(self) -> None:
        """A line break at the cursor."""
        self.query_one(TextField).insert_text_at_cursor(NEWLINE)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.dismiss((self.at, event.value))
