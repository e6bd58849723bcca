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
from tui.session.note_subjects import note_at_cursor, noted_in
from tui.session.state import State
from tui.slots.framed_box import Body
from tui.slots.in_place import InPlace
from tui.slots.pane_contract import PaneContract, Select
from tui.slots.pane_title import answer_standing, pane_title
from tui.slots.spec import Slot
from tui.slots.swatch import swatch
from tui.slots.waiting import waiting_words
from tui.widgets.cursor_view import CursorView
from tui.widgets.line import GrowingLine, Line

if TYPE_CHECKING:
    from interpboard.visualization.colors import Scale
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
        self._in_place = InPlace(self)

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
        return self._in_place.view or self.query_one(Body).children[0]

    @property
    def replaced(self) -> bool:
        """Is B − A shown, or a mean over rows, and not what the pane shows otherwise?"""
        return bool(self._in_place.kind)

    @property
    def shown_in_place(self) -> Searched | None:
        """What is shown then."""
        return self._in_place.view

    def shown_readout(self) -> Text:
        """The readout of what is shown."""
        other = self._in_place.view
        return other.readout(self.ink) if other is not None else self.readout()

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
        self._in_place.turn()
        other = self._in_place.view
        if other is None:
            self.fill()
        else:
            other.take(self.data.result)
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
        if note is None or self.replaced:  # what is shown then has a cursor of its own
            return self._legend()
        about = note.subject.part or "this prompt"
        text = Text(f" note on {about}  ", self.inks.muted)
        return text.append(visible(note.text), self.inks.accent)

    def _legend(self) -> Text:
        return self._in_place.legend() if self.replaced else self.legend()

    def lines_in_full(self) -> list[str]:
        """What the lines of the pane say, whole."""
        if self.data.result is None and self.data.partial is None:
            return [waiting_words(self.state, self.data, self.empty_hint())]
        details = () if self.replaced else (self.details().plain,)
        title = self._in_place.title() if self.replaced else self.subtitle()
        around = (title, self._standing(None).plain)
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
                self._line("details", Text() if self.replaced else self.details())

    def _set_titles(self) -> None:
        self._written_for = self.size
        more = self._in_place.title() if self.replaced else self.subtitle()
        room, means = self._title_room, self.state.means is not None
        if self.frameless:  # both are on one line
            # What is a mean says so whatever else has to go.
            standing = self._standing(max(0, room - self._least_title - means * len(more)))
            room -= standing.cell_len + 2 if standing else 0
        else:
            standing = self._standing(room)
        title = pane_title(
            self.slot, self.inks,
            clean_run=not means and self.of_clean_run(),
            noted="" if means else noted_in(self.state, self.slot.name, self.noted_kinds),
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
            difference=self.replaced,
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
        other = self._in_place.view
        return self.exponent if other is None else other.exponent

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
