"""Type to narrow a list, up and down to choose, Enter to take: base of the pickers."""

from __future__ import annotations

from typing import Any, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from tui.commands.command import bindings, command
from tui.commands.places import LIST
from tui.dialogs.box import Box
from tui.theme import Inks, inks
from tui.widgets.line import Line
from tui.widgets.text_field import TextField

_R = TypeVar("_R")
_ROWS = 10
AROUND = 6  # lines of the screen that the rows leave: frame, field, advice, message, footer


class PickScreen(Box[_R]):
    """A field, a line of advice, rows. Row −1 is none: then what was typed is the answer."""

    BINDINGS = bindings(LIST)

    def __init__(
        self, title: str, hints: tuple[str, ...], value: str = "", holder: str = ""
    ) -> None:
        super().__init__()
        self.name_of_box, self.hints, self.value, self.holder = title, hints, value, holder
        self.rows: list[Any] = []
        self.at = -1

    def compose(self) -> ComposeResult:
        """Field, advice, rows, hints."""
        with Vertical(classes="box") as box:
            box.border_title = Text(self.name_of_box)
            yield TextField(self.value, self.holder, select=True)
            yield Line(id="advice")
            for row in range(_ROWS):
                yield Line(id=f"row-{row}")
            yield Line(id="more")
            for hint in (*self.hints, self._keys()):
                yield Line(Text(hint), classes="hint")

    def _keys(self) -> str:
        names = ("pick_take", "pick_down", "pick_up", "pick_leave")
        return "   ".join(f"{c.shown.split()[0]} {c.label}" for c in map(command, names))

    def on_mount(self) -> None:
        """The first list."""
        self.again()

    # -- what a picker says -----------------------------------------------------------------------

    def narrow(self, typed: str) -> None:
        """Set ``rows`` and ``at`` for what was typed."""
        raise NotImplementedError

    def draw(self, row: Any, here: bool, ink: Inks) -> Text:
        """One row."""
        raise NotImplementedError

    def advice(self, typed: str, ink: Inks) -> Text:
        """The line between the field and the rows."""
        return Text()

    def more(self, typed: str, ink: Inks) -> Text:
        """The line between the rows and the hints."""
        return Text()

    def answer(self, typed: str) -> _R | None:
        """What Enter answers; None keeps the picker open."""
        raise NotImplementedError

    # -- keys -------------------------------------------------------------------------------------

    @property
    def typed(self) -> str:
        """What the field says."""
        return self.query_one(Input).value

    @property
    def chosen(self) -> Any:
        """The row that is chosen, or None."""
        return self.rows[self.at] if 0 <= self.at < len(self.rows) else None

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow."""
        event.stop()
        self.again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take."""
        event.stop()
        answer = self.answer(self.typed)
        if answer is not None:
            self.dismiss(answer)

    def action_step(self, by: int) -> None:
        """Choose another row."""
        if self.rows:
            last = len(self.rows) - 1
            at = self.at + by
            if abs(by) == 1:
                at %= len(self.rows)
            self.at = max(0, min(last, at))
            self.draw_rows()

    def again(self) -> None:
        """The rows for what is typed now."""
        self.narrow(self.typed)
        self.draw_rows()

    def on_resize(self) -> None:
        """The chosen row stays in sight, however few there is room for."""
        self.draw_rows()

    def draw_rows(self) -> None:
        """Rows and advice."""
        ink = inks(self.app.current_theme.dark)
        self.query_one("#advice", Line).set(self.advice(self.typed, ink))
        self.query_one("#more", Line).set(self.more(self.typed, ink))
        room = max(1, min(_ROWS, self.app.size.height - AROUND))
        first = max(0, self.at - room + 1)
        for place in range(_ROWS):
            at, text = first + place, Text()
            line = self.query_one(f"#row-{place}", Line)
            if line.display != (place < room):
                line.display = place < room
            if at < len(self.rows):
                here = at == self.at
                text.append("▸ " if here else "  ", ink.accent)
                text.append_text(self.draw(self.rows[at], here, ink))
            line.set(text)
