"""The sessions: search them by words of their prompts, notes and names; open one, delete one."""

from __future__ import annotations

import time
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
    from interpboard.store import SavedSession

WIDTH, NAME = 70, 20


class SessionsScreen(PickScreen["SavedSession"]):
    """Answers with the session that is to be opened. ``delete`` takes one away, after a second press."""

    BINDINGS = bindings(PROMPT_LIST)

    def __init__(
        self,
        sessions: Sequence[SavedSession],
        current: int | None,
        delete: Callable[[SavedSession], None],
    ) -> None:
        super().__init__("Sessions", (), holder="words of a prompt, a note or a name")
        self.sessions, self.current, self.delete = list(sessions), current, delete
        self._asked: SavedSession | None = None  # whether it is to be deleted

    def _keys(self) -> str:
        return f"{super()._keys()}   {command('forget_prompt').shown} deletes"

    def narrow(self, typed: str) -> None:
        """Those in which every word occurs."""
        wanted = typed.lower().split()
        self._asked = None

        def fits(session: SavedSession) -> bool:
            text = "\n".join((session.name, *session.prompts, *session.texts)).lower()
            return all(word in text for word in wanted)

        self.rows = [session for session in self.sessions if fits(session)]
        self.at = min(max(self.at, 0), len(self.rows) - 1)

    def draw(self, row: SavedSession, here: bool, ink: Inks) -> Text:
        """``first look  11-27 22:40  5 results  2 notes  The Eiffel …``."""
        style = Style(color=ink.accent if here else ink.text, bold=here)
        name = row.name or f"session {row.id}"
        text = Text(fit(visible(name), NAME - 1) + " ", style)
        when = time.strftime("%m-%d %H:%M", time.localtime(row.used_at))
        text.append(f"{when} {row.runs:>4} results {row.notes:>3} notes  ", ink.muted)
        prompt = visible(row.prompts[0][:100]) if row.prompts else ""
        return text.append(fit(prompt, WIDTH - text.cell_len), ink.text)

    def advice(self, typed: str, ink: Inks) -> Text:
        """How many there are; what deleting would take along."""
        row = self.chosen
        if row is None:
            none = "none has these words" if typed else "no session has been saved yet"
            return Text(none, ink.muted)
        if row == self._asked:
            key = command("forget_prompt").shown
            lost = f"{row.runs} results and {row.notes} notes go with it: {key} again deletes it"
            return Text(lost, ink.warning)
        here = "   this one" if row.id == self.current else ""
        return Text(f"{self.at + 1} of {len(self.rows)}{here}", ink.muted)

    def answer(self, typed: str) -> SavedSession | None:
        """The chosen one."""
        chosen: SavedSession | None = self.chosen
        return chosen

    def action_step(self, by: int) -> None:
        """Another row is not the one that was asked about."""
        self._asked = None
        super().action_step(by)

    def action_forget(self) -> None:
        """Delete the chosen session, once it was asked for twice."""
        row = self.chosen
        if row is None:
            return
        if row != self._asked:
            self._asked = row
            self.draw_rows()
            return
        self.delete(row)
        self.sessions.remove(row)
        self.again()
