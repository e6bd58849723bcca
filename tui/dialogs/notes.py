"""The notes: search them by words, edit one, take one away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible
from tui.commands.command import bindings, command
from tui.commands.places import PROMPT_LIST
from tui.dialogs.pick import PickScreen
from tui.theme import Inks

if TYPE_CHECKING:
    from interpboard.store import Note

WIDTH, SUBJECT = 70, 24


class NotesScreen(PickScreen["Note"]):
    """Answers with the note that is to be edited. ``drop`` takes one away; ``session``: the one in use."""

    BINDINGS = bindings(PROMPT_LIST)

    def __init__(
        self, notes: Sequence[Note], session: int | None, drop: Callable[[Note], None]
    ) -> None:
        super().__init__("Notes", (), holder="words of a note or of what it is on")
        self.notes, self.session, self.drop = list(notes), session, drop
        self._words: dict[Note, str] = {}

    def _keys(self) -> str:
        forget = command("forget_prompt")
        return f"{super()._keys()}   {forget.shown} {forget.label}"

    def words(self, note: Note) -> str:
        """What a note is on."""
        if note not in self._words:
            from interpboard.session_report import subject_words

            self._words[note] = subject_words(note.subject)
        return self._words[note]

    def narrow(self, typed: str) -> None:
        """Those in which every word occurs: of this session first, the newest first."""
        rows = sorted(self.notes, key=lambda n: (n.session == self.session, n.written_at))[::-1]
        wanted = typed.lower().split()
        self.rows = [
            note
            for note in rows
            if all(word in f"{note.text}\n{self.words(note)}".lower() for word in wanted)
        ]
        self.at = min(max(self.at, 0), len(self.rows) - 1)

    def draw(self, row: Note, here: bool, ink: Inks) -> Text:
        """``L2 H4 of demo  copies names``."""
        text = Text(fit(visible(self.words(row)[:200]), SUBJECT) + " ", ink.accent)
        style = Style(color=ink.accent if here else ink.text, bold=here)
        return text.append(fit(visible(row.text[:200]), WIDTH - SUBJECT - 1), style)

    def advice(self, typed: str, ink: Inks) -> Text:
        """How many there are, and of which session the chosen one is."""
        if self.chosen is None:
            none = "none has these words" if typed else "no note has been written yet"
            return Text(none, ink.muted)
        where = "this session" if self.chosen.session == self.session else "an earlier session"
        return Text(f"{self.at + 1} of {len(self.rows)}   of {where}", ink.muted)

    def answer(self, typed: str) -> Note | None:
        """The chosen one."""
        chosen: Note | None = self.chosen
        return chosen

    def action_forget(self) -> None:
        """Take the chosen note away."""
        if self.chosen is not None:
            self.drop(self.chosen)
            self.notes.remove(self.chosen)
            self.again()
