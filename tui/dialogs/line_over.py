"""One line over the footer, while all that is behind it stays in sight: to search, to jump.

It reads keys itself. A field would take the focus from the view that is searched, whose cursor is then no
longer to be seen, and would lose what is typed before it has the focus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from interpboard.display import visible
from tui.dialogs.box import Live
from tui.session.state import State
from tui.terminal.behind import Over
from tui.terminal.left_early import LeftEarly
from tui.terminal.timers import SureTimers
from tui.theme import Inks, inks
from tui.widgets.line import Line

if TYPE_CHECKING:
    from tui.terminal.app import TerminalApp

LONGEST = 200  # characters that are typed; a paste is cut


class LineOver(Live, LeftEarly, SureTimers, Over, ModalScreen[None]):
    """Base of the lines. ``typed`` is what was written; ``sign`` stands in front of it."""

    sign = ""
    DEFAULT_CSS = """
    LineOver { background: transparent; align: left bottom; }
    LineOver > Line { background: $background; }
    """

    def __init__(self, typed: str = "") -> None:
        super().__init__()
        self.typed = typed

    # -- for subclasses ---------------------------------------------------------------------------

    def again(self) -> None:
        """What is typed has changed."""
        raise NotImplementedError

    def takes(self, event: events.Key) -> bool:
        """Is this key a character of what is typed here?"""
        raise NotImplementedError

    def said(self) -> tuple[str, bool]:
        """What stands behind what is typed, and whether it is a refusal."""
        raise NotImplementedError

    def hint(self) -> str:
        """What keys do."""
        raise NotImplementedError

    def back(self) -> None:
        """Undo what was typed here: it is left by Esc."""
        raise NotImplementedError

    # -- the line ---------------------------------------------------------------------------------

    @property
    def ink(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    def compose(self) -> ComposeResult:
        """The line."""
        yield Line()

    def on_mount(self) -> None:
        """What is known from the start."""
        self.draw()

    def on_resize(self) -> None:
        """What is said depends on the room."""
        self.draw()

    def show(self, state: State) -> None:
        """A snapshot is for the screen behind this one."""
        behind = self.app.screen_stack[-2]
        if isinstance(behind, Live):
            behind.show(state)
        self.draw()

    def draw(self) -> None:
        """The line as it is now."""
        if not self.composed or not self.is_attached:
            return
        ink, (said, refused) = self.ink, self.said()
        text = Text(f" {self.sign}", Style(color=ink.accent, bold=True))
        text.append(visible(self.typed), Style(color=ink.text, bold=True))
        text.append(" ", Style(reverse=True))
        text.append(f"  {said}", ink.warning if refused else ink.text)
        hint = f"   {self.hint()}"
        if text.cell_len + len(hint) <= self.app.size.width:
            text.append(hint, ink.muted)
        self.query_one(Line).set(text)

    # -- keys -------------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """Characters are typed, Enter keeps, Esc goes back; what any other key does is done behind."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.back()
            self.dismiss(None)
        elif event.key == "enter":
            self.dismiss(None)
        elif event.key in ("backspace", "ctrl+h", "ctrl+u"):
            self._shorten("" if event.key == "ctrl+u" else self.typed[:-1])
        elif self.takes(event):
            self._write(event.character or "")
        elif not self.steps(event):
            self.dismiss(None)
            cast("TerminalApp", self.app).type_again(events.Key(event.key, event.character))

    def steps(self, event: events.Key) -> bool:
        """Has the line a use of its own for this key?"""
        return False

    def _write(self, text: str) -> None:
        self.typed = (self.typed + text)[:LONGEST]
        self.again()
        self.draw()

    def _shorten(self, typed: str) -> None:
        if not self.typed:
            self.back()
            self.dismiss(None)
            return
        self.typed = typed
        self.again()
        self.draw()
