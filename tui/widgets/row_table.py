"""Rows of a dataset, a line each: only those in sight are ever written, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region
from textual.reactive import reactive

from interpboard.display import fit, visible, visible_token
from tui import words
from tui.theme import cursor_style
from tui.widgets.cells import CursorPlace, SearchCell
from tui.widgets.cursor_view import CursorView, step
from tui.widgets.shared_words import SharedWords, shared_words

if TYPE_CHECKING:
    from interpboard.sweeps.listed_rows import ListedRow

TEXT_LEAST = 16  # columns that the text keeps


@dataclass(frozen=True)
class RowColumn:
    """``name`` is that of ``ListedRow.column``; of ``files`` that of a column of the file, which may be
    called as one of ours."""

    name: str
    title: str
    width: int
    files: bool = False


_OF_A_ROW = (
    RowColumn("target", "target", 11), RowColumn("answer", "answer", 11),
    RowColumn("probability", "prob", 7), RowColumn("metric", "metric", 8),
    RowColumn("right", "right", 6),
)  # fmt: skip
_OTHER = 12


def row_columns(names: Sequence[str], of_file: Sequence[str] = ()) -> tuple[RowColumn, ...]:
    """The columns of a table whose rows have something in the columns ``names``, and in those ``of_file``.

    One of the file that is called as one of ours stands beside it.
    """
    shown = [column for column in _OF_A_ROW if column.name in names]
    ours = {column.name for column in shown}
    others = [
        RowColumn(name, f"file {visible(name)}" if name in ours else visible(name), _OTHER, True)
        for name in of_file
    ]
    return (RowColumn("text", "row", 0), *shown, *others)


class RowTable(CursorView):
    """The cursor is ``(row, column)``; column 0 is the row's number and text."""

    cursor: reactive[tuple[int, int]] = reactive((0, 0), repaint=False, init=False)

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.rows: Sequence[ListedRow] = ()
        self.columns: tuple[RowColumn, ...] = row_columns(())
        self.sorted_by = ("", False)
        self.known: Mapping[int, ListedRow] = {}  # by number: what stands in place of a row by now
        self._digits = 3  # of the largest number of a row
        self._shared = SharedWords()

    def show(
        self,
        rows: Sequence[ListedRow],
        columns: tuple[RowColumn, ...],
        sorted_by: tuple[str, bool] = ("", False),
    ) -> None:
        """Show ``rows``; the cursor stays on the row it was on, where that is still there."""
        under = self.row
        same = rows is self.rows
        self.rows, self.columns, self.sorted_by = rows, columns, sorted_by
        if not same:
            self._shared = shared_words([row.text for row in rows if row.text and not row.problem])
            self._digits = max(3, len(str(max((row.number for row in rows), default=0) + 1)))
        at = self.cursor[0] if same else self._place_of(under)
        last = max(0, len(rows) - 1)
        self.set_reactive(RowTable.cursor, (min(at, last), min(self.cursor[1], len(columns) - 1)))
        self.measure()
        self.reveal()
        self.refresh()

    def _place_of(self, under: ListedRow | None) -> int:
        if under is None:
            return 0
        found = (at for at, row in enumerate(self.rows) if row.number == under.number)
        return next(found, 0)

    @property
    def row(self) -> ListedRow | None:
        """The row under the cursor."""
        return self._row(self.cursor[0]) if self.cursor[0] < len(self.rows) else None

    def _row(self, at: int) -> ListedRow:
        row = self.rows[at]
        return self.known.get(row.number, row)

    @property
    def near(self) -> list[ListedRow]:
        """The rows in sight, then those of the page behind them."""
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        return list(self.rows[top : top + 2 * height])

    def know(self, known: Mapping[int, ListedRow]) -> None:
        """``known`` stand in place of their rows: those of them that are in sight are drawn."""
        before, self.known = self.known, dict(known)
        top = self.scroll_offset.y
        for at, row in enumerate(self.rows[top : top + self.size.height], start=top):
            if before.get(row.number) is not self.known.get(row.number):
                self.refresh(Region(0, at + 1 - top, self.size.width, 1))

    @property
    def column(self) -> RowColumn:
        """The column under the cursor."""
        return self.columns[self.cursor[1]]

    # -- drawing ----------------------------------------------------------------------------------

    def line_count(self, width: int) -> int:
        """The head, and a line a row."""
        return len(self.rows) + 1

    def _in_sight(self) -> tuple[int, list[int]]:
        """Columns of the text, and the other columns that have room, the cursor's among them."""
        width = max(1, self.room)
        first, last = 1, len(self.columns)
        while True:
            room, found = width - TEXT_LEAST - self._digits - 2, []
            for at in range(first, last):
                if self.columns[at].width > room:
                    break
                room -= self.columns[at].width
                found.append(at)
            if self.cursor[1] <= (found[-1] if found else 0) or first >= self.cursor[1]:
                return max(4, TEXT_LEAST + max(0, room)), found
            first += 1

    def draw_line(self, line: int) -> list[Segment]:
        """The head, or a row."""
        text, shown = self._in_sight()
        if line == 0:
            return self._head(text, shown)
        at = line - 1 + self.scroll_offset.y
        if at >= len(self.rows):
            return []
        row, here, ink = self._row(at), at == self.cursor[0], self.inks
        cursor = cursor_style(ink.dark)
        plain = ink.style("warning" if row.problem else "text", bold=here)
        number = Segment(f" {row.number + 1:>{self._digits}} ", ink.style("muted"))
        own = cursor if here and self.cursor[1] == 0 else plain
        if row.problem and not row.text.strip():
            return [
                number,
                Segment(fit(f"! {visible(row.problem)}", self.room - self._digits - 2), own),
            ]
        segments = [number, Segment(fit(self._text_in(row, text - 1), text - 1) + " ", own)]
        if row.problem:
            room = sum(self.columns[each].width for each in shown)
            segments.append(Segment(fit(f"! {visible(row.problem)}", room), plain))
            return segments
        for each in shown:
            style = cursor if here and self.cursor[1] == each else plain
            column = self.columns[each]
            segments.append(Segment(fit(row_cell(row, column), column.width - 1), style))
            segments.append(Segment(" ", plain))
        return segments

    def _text_in(self, row: ListedRow, room: int) -> str:
        """The row's text; where it does not fit, without the words that all rows have there."""
        whole = visible(row.text)
        return whole if cell_len(whole) <= room else visible(self._shared.without(row.text))

    def _head(self, text: int, shown: list[int]) -> list[Segment]:
        ink = self.inks
        segments = [Segment(" " * (self._digits + 2), ink.style("muted"))]
        for each in (0, *shown):
            column = self.columns[each]
            by, down = self.sorted_by
            arrow = ("↓" if down else "↑") if column.name == by else ""
            more = "›" if each == (shown or [0])[-1] and each < len(self.columns) - 1 else ""
            width = text if each == 0 else column.width
            title = fit(f"{column.title}{arrow}{more}", width - 1) + " "
            here = each == self.cursor[1]
            segments.append(Segment(title, ink.style("accent" if here else "muted", bold=here)))
        return segments

    # -- the cursor -------------------------------------------------------------------------------

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The rows by their texts, answers and places; the cursor stays in its column."""
        return [
            SearchCell(
                (at, around[1]),
                tuple(filter(None, (row.text, row.target, row.answer, row.place, row.problem))),
            )
            for at, row in enumerate(map(self._row, range(len(self.rows))))
        ]

    def move_cursor(self, how: str) -> None:
        """By row and by column."""
        if not self.rows:
            return
        (row, column), page = self.cursor, max(1, (self.size.height - 1) // 2)
        last = len(self.columns) - 1
        to = {"left": column - 1, "right": column + 1, "home": 0, "end": last}.get(how, column)
        self.cursor = (step(how, row, len(self.rows), page), max(0, min(last, to)))

    def point(self, x: int, y: int) -> None:
        """Click on a row."""
        at = y - 1 + self.scroll_offset.y
        if y > 0 and at < len(self.rows):
            self.cursor = (at, self.cursor[1])

    def watch_cursor(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        """The user moved it: two lines change, or all where it went to another column."""
        if old == new:
            return
        self.reveal()
        if old[1] != new[1]:
            self.refresh()
        for row in (old[0], new[0]):
            self.refresh(Region(0, row + 1 - self.scroll_offset.y, self.size.width, 1))
        self.moved()

    def reveal(self) -> None:
        """Scroll until the row is in sight under the head."""
        top, height = self.scroll_offset.y, self.size.height - 1
        if height <= 0:
            return
        wanted = min(max(top, self.cursor[0] - height + 1), self.cursor[0])
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)


def row_cell(row: ListedRow, column: RowColumn) -> str:
    """A cell in a few letters; ``·`` where there is no value."""
    name = column.name
    value = row.columns.get(name) if column.files else getattr(row, name)
    if value is None:
        return "·"
    if column.files and isinstance(value, str):
        return visible(value)
    if name in ("target", "answer"):
        return visible_token(str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        share = name == "probability" and not column.files
        return words.percent(value) if share else words.unsigned(value)
    return visible(str(value))


def row_sentence(row: ListedRow) -> str:
    """The row in full: why it cannot be used, or each value with what it is."""
    if row.problem:
        return f"{visible(row.place)}: {visible(row.problem)}"
    parts = [visible(row.text)]
    if row.answer is not None:
        share = f" {words.percent(row.probability)}" if row.probability is not None else ""
        parts.append(f"→ {visible_token(row.answer)}{share}")
    if row.right is not None:
        parts.append("right" if row.right else f"not {visible_token(row.target or '')}")
    elif row.target is not None and row.answer is None:
        parts.append(f"target {visible_token(row.target)}")
    if row.metric is not None:
        parts.append(f"metric {words.unsigned(row.metric)}")
    parts += [f"{visible(name)}={visible(str(value))}" for name, value in row.columns.items()]
    parts += [f"{name}: {visible(why)}" for name, why in row.failed]
    return "  ".join(parts)
