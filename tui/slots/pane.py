"""What every pane is: a frame with a title, a body, a readout of the cursor, and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.geometry import Size
from textual.widget import Widget

from interpboard.display import visible
from tui import words
from tui.session.compared import DIFFERENCE_SIDE
from tui.session.note_subjects import note_at_cursor, noted_in
from tui.session.state import State
from tui.slots.framed_box import Body
from tui.slots.pane_contract import PaneContract, Select
from tui.slots.pane_title import answer_standing, difference_title, pane_title
from tui.slots.spec import Slot
from tui.slots.swatch import swatch
from tui.slots.waiting import waiting_words
from tui.widgets.cursor_view import CursorView
from tui.widgets.line import GrowingLine, Line

if TYPE_CHECKING:
    from interpboard.visualization.colors import Scale
    from tui.slots.difference import DifferenceGrid
    from tui.widgets.cells import Searched

LEFT_TO_BODY = 7  # lines that a second row of the readout leaves to a body that could use them
LEFT_WHERE_SMALL = 5  # the same where there is no frame
FADED = 0.45  # how much is left of the colours of what is not of this prompt


class Pane(PaneContract, can_focus=False):
    """Base of the panes: it draws around the body what the subclass says by ``PaneContract``."""

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self._titles: tuple[Text, Text] = (Text(), Text())
        self._written_for = Size(0, 0)  # the size for which title and lines were written
        self._less: DifferenceGrid | None = None  # made when B − A is shown for the first time

    def compose(self) -> ComposeResult:
        """Body, readout, legend."""
        with Body():
            yield from self.body()
        yield from self.under_body()
        yield GrowingLine(classes="readout")
        if self.detailed:
            yield Line(classes="details")
        yield GrowingLine(classes="legend")

    @property
    def searched(self) -> Searched:
        """What a search looks through: what has the focus, and what stands beside it."""
        return cast("Searched", self.view)

    @property
    def view(self) -> Widget:
        """The widget that takes the focus."""
        if self._less is not None and self.subtracts:
            return self._less
        return self.query_one(Body).children[0]

    @property
    def subtracts(self) -> bool:
        """Is B − A shown, and not what the pane shows otherwise?"""
        compared = self.state.compared
        return compared is not None and compared.view == DIFFERENCE_SIDE

    @property
    def shown_difference(self) -> DifferenceGrid | None:
        """The grid of B − A, while that is what is shown."""
        return self._less if self.subtracts else None

    def shown_readout(self) -> Text:
        """The readout of what is shown."""
        if self._less is not None and self.subtracts:
            return self._less.readout(self.ink)
        return self.readout()

    @property
    def cursor(self) -> Any:
        """Where the cursor is, in whatever view is in use."""
        return cast("CursorView", self.view).cursor

    @cursor.setter
    def cursor(self, at: Any) -> None:
        view = cast("CursorView", self.view)
        if view.cursor != at:
            view.cursor = at

    def show(self, state: State) -> None:
        """Show a snapshot."""
        self.state = state
        self._turn()
        if not self.subtracts:
            self.fill()
        elif self._less is not None:
            self._less.take(self.data.result)
        self.refresh_words()
        self.fade()

    def shown_by(self) -> Mapping[str, Sequence[Widget]]:
        """The slots whose results are on this pane, and the widgets that show each."""
        return {self.slot.name: self.query_one(Body).children}

    def fade(self) -> None:
        """What is of another prompt or model than those named above is dimmed."""
        for slot, widgets in self.shown_by().items():
            opacity = FADED if self.state.previous(slot) else 1.0
            for widget in (*widgets, *(self._lines if slot == self.slot.name else ())):
                if widget.styles.opacity != opacity:
                    widget.styles.opacity = opacity

    def _turn(self) -> None:
        """Put the pane's own body in sight, or B − A in its place; the focus stays in the pane."""
        body = self.query_one(Body)
        if body.display != self.subtracts:
            return
        had_focus = self.has_focus_within
        if self.subtracts and self._less is None:
            from tui.slots.difference import DifferenceGrid  # numpy: after the first paint

            self._less = DifferenceGrid(self.refresh_readout, id=f"{self.slot.name}-difference")
            self.mount(self._less, after=body)
        assert self._less is not None
        self._less.display = self.subtracts
        if had_focus:
            self.screen.set_focus(self.view)
        body.display = not self.subtracts

    def refresh_words(self) -> None:
        """Readout, legend and titles; each repaints only if it changed."""
        empty = self.data.result is None and self.data.partial is None
        if empty:
            self._line(
                "readout",
                Text(
                    f" {waiting_words(self.state, self.data, self.empty_hint())}", self.inks.muted
                ),
            )
            self._line("details", Text())
        else:
            self.refresh_readout()
        self._line("legend", Text() if empty else self._legend_or_note())
        self._set_titles()

    def _legend_or_note(self) -> Text:
        """The note on what is under the cursor, in the place of the legend; where there is none that."""
        note = note_at_cursor(self.state, self.part(), self.about_prompt)
        if note is None:
            return self._legend()
        about = note.subject.part or "this prompt"
        text = Text(f" note on {about}  ", self.inks.muted)
        return text.append(visible(note.text), self.inks.accent)

    def _legend(self) -> Text:
        if self._less is None or not self.subtracts:
            return self.legend()
        text = self.swatch(self._less.scale)
        text.append("B − A: − smaller in B, + larger in B", self.inks.text)
        alone = "  A or B alone has it: no difference" if self._less.alone() else ""
        return text.append(alone, self.inks.muted)

    def lines_in_full(self) -> list[str]:
        """What the lines of the pane say, whole."""
        if self.data.result is None and self.data.partial is None:
            return [waiting_words(self.state, self.data, self.empty_hint())]
        details = () if self.subtracts else (self.details().plain,)
        around = (self.subtitle(), self._standing(None).plain)
        texts = (*around, self.shown_readout().plain, *details, self._legend().plain)
        return [text.strip() for text in texts if text.strip()]

    @property
    def _lines(self) -> list[Line]:
        """The lines around the body. They are children: a query would look at every widget, at every key."""
        return [child for child in self.children if isinstance(child, Line)]

    @property
    def _growing(self) -> list[GrowingLine]:
        return [line for line in self._lines if isinstance(line, GrowingLine)]

    def _line(self, name: str, text: Text) -> None:
        for line in self._lines:
            if line.has_class(name):
                line.set(text)

    def refresh_readout(self) -> None:
        """The cursor moved."""
        if self.data.result is not None or self.data.partial is not None:
            self._line("readout", self.shown_readout())
            self._grow()
            if self.state.notes:
                self._line("legend", self._legend_or_note())
            if self.detailed:
                self._line("details", Text() if self.subtracts else self.details())

    def _set_titles(self) -> None:
        self._written_for = self.size
        more = difference_title(self.data.result) if self.subtracts else self.subtitle()
        room = self._title_room
        if self.frameless:  # both are on one line
            standing = self._standing(room - self._least_title)
            room -= standing.cell_len + 2 if standing else 0
        else:
            standing = self._standing(room)
        title = pane_title(
            self.slot, self.inks,
            clean_run=self.of_clean_run(),
            noted=noted_in(self.state, self.slot.name, self.noted_kinds),
            more=more, factor=words.factor(self._exponent), room=room,
        )  # fmt: skip
        if (title, standing) != self._titles:
            self._titles = (title, standing)
            self.border_title = title
            self.border_subtitle = standing
            self._line("heading", self._heading(title, standing))

    @property
    def _least_title(self) -> int:
        """Cells of number, name and factor."""
        assert self.slot.place is not None
        return len(
            f"{self.slot.place.number} {self.slot.place.title}  {words.factor(self._exponent)}  "
        )

    def _standing(self, room: int | None) -> Text:
        return answer_standing(
            self.slot,
            self.state,
            self.inks,
            self.empty_hint(),
            difference=self.subtracts,
            room=room,
        )

    def _heading(self, title: Text, standing: Text) -> Text:
        heading = Text.assemble(" ", (title.plain, Style(color=self.inks.accent, bold=True)))
        return heading.append_text(Text.assemble("  ", standing)) if standing else heading

    @property
    def _title_room(self) -> int:
        """Cells for a title: between the corners of the frame, or on its own line."""
        if not self.size.width:
            return self.app.size.width
        return self.size.width - (1 if self.frameless else 4)

    def frame(self, focused: bool, frameless: bool = False) -> None:
        """And words for the size there is: out of sight it does not hear of another one."""
        super().frame(focused, frameless)
        if (
            frameless
            and self.is_attached
            and not any(line.has_class("heading") for line in self._lines)
        ):
            self.mount(Line(self._heading(*self._titles), classes="heading"), before=0)
        if focused and self.is_mounted:
            self.call_after_refresh(self._fit_to_size)

    def _fit_to_size(self) -> None:
        if self.size != self._written_for:
            self.on_resize()

    def on_resize(self) -> None:
        """Titles and lines say as much as there is room for."""
        self.refresh_words()
        for line in self._growing:
            line.one_row()
        self.call_after_refresh(self._grow)

    def _grow(self) -> None:
        """What does not fit its row gets a second one where there are lines for it."""
        body = self.query_one(Body)
        high = body.size.height
        empty, least = (
            high > _lines_used(body),
            LEFT_WHERE_SMALL if self.frameless else LEFT_TO_BODY,
        )
        for line in self._growing:
            if line.grow(room=empty or (line.has_class("readout") and high > least)):
                self.call_after_refresh(self._grow)  # the others when that has its place
                return

    @property
    def _exponent(self) -> int:
        """That of what is shown."""
        if self._less is not None and self.subtracts:
            return self._less.exponent
        return self.exponent

    def swatch(self, scale: Scale) -> Text:
        """The scale in its own colours; its ends are written as the grid's numbers are."""
        return swatch(scale, 10.0**self._exponent, self.inks)


def _lines_used(body: Body) -> int:
    """How many lines of ``body`` have something in them; all of them where that is not known."""
    used = 0
    for widget in body.children:
        if not widget.display:
            continue
        if not isinstance(widget, CursorView | Line):
            return body.size.height
        used += widget.line_count(widget.size.width) if isinstance(widget, CursorView) else 1
    return min(used, body.size.height)
