"""A mean over rows as a forest: an entry a line, its mean with its interval along one scale.

What has layers and roles is drawn at one role, from layer to layer: a trajectory with its band. Other entries
stand in their order where that means something, else the largest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region
from textual.reactive import reactive

from interpboard.display import fit
from interpboard.results.intervals import of_two_groups, unsure_entries
from tui import words
from tui.slots.mean_words import (
    cell_name,
    label,
    mean_legend,
    mean_readout,
    neutral_of,
    sides_legend,
)
from tui.theme import cursor_style
from tui.widgets.cells import CursorPlace, SearchCell
from tui.widgets.cursor_view import CursorView, step

if TYPE_CHECKING:
    from interpboard.results import Result
    from interpboard.visualization.colors import Scale
    from tui.slots.framed_box import Ink

_IN_ORDER = ("token", "layer", "scale")  # axes whose entries stand as they are
_LABEL_MOST = 16
_PLOT_LEAST, _PLOT_ENOUGH = 8, 20  # columns; enough to write the interval beside it too
_EXPLAINED = "explained"


class MeanForest(CursorView):
    """The cursor is a line; left and right go to another role, where there are several."""

    cursor: reactive[int] = reactive(0, repaint=False, init=False)
    exponent = 0

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.of: Result | None = None
        self.role = 0
        self._places: np.ndarray = np.zeros(0, dtype=np.int64)  # flat, of each line
        self._unsure: np.ndarray = np.zeros(0, dtype=bool)  # flat
        self._labels: list[str] = []  # of each line
        self._texts: list[tuple[str, str]] = []  # of each line, with the interval and without
        self._ends = (0.0, 1.0)

    def take(self, result: Result | None) -> None:
        """Show ``result``; None: nothing."""
        if result is self.of:
            return
        before, self.of = self.of, result
        roles = self.roles
        if before is None or self.role >= len(roles):
            # By index the last token, where most prompts are explained.
            last = max(0, len(roles) - 1)
            self.role = roles.index(_EXPLAINED) if _EXPLAINED in roles else last
        self._fill()

    @property
    def roles(self) -> tuple[str, ...]:
        """The second axis, where there are two."""
        return self.of.axes[1].labels if self.of is not None and len(self.of.axes) == 2 else ()

    def _fill(self) -> None:
        result = self.of
        self._unsure = (
            np.zeros(0, dtype=bool) if result is None else unsure_entries(result).reshape(-1)
        )
        if result is None:
            self._places = np.zeros(0, dtype=np.int64)
        elif self.roles:
            self._places = np.arange(len(result.axes[0].labels)) * len(self.roles) + self.role
        else:
            self._places = np.arange(result.values.size)
            if not result.axes or result.axes[0].name not in _IN_ORDER:
                far = np.abs(result.values.reshape(-1) - neutral_of(result))
                self._places = np.argsort(-np.nan_to_num(far, nan=-1.0), kind="stable")
        places = [int(place) for place in self._places]
        self._labels = [self._label(place) for place in places]
        self._texts = [(self._numbers(own, True), self._numbers(own, False)) for own in places]
        if result is not None:
            self._ends = self._found_ends()
        last = max(0, len(self._places) - 1)
        self.set_reactive(MeanForest.cursor, min(self.cursor, last))
        self.measure()
        self.refresh()

    # -- drawing ----------------------------------------------------------------------------------

    def line_count(self, width: int) -> int:
        """The scale, and a line each."""
        return len(self._places) + 1 if self.of is not None else 0

    def _found_ends(self) -> tuple[float, float]:
        """From the least to the largest end of an interval, the neutral value among them."""
        result = self.of
        assert result is not None
        sides = [
            result.values,
            *(result.extra[n].values for n in ("low", "high") if n in result.extra),
        ]
        found = np.concatenate([side.reshape(-1)[self._places] for side in sides])
        found = found[np.isfinite(found)]
        ends = [*found, neutral_of(result)]
        low, high = float(min(ends)), float(max(ends))
        return (low, high) if low < high else (low - 1.0, high + 1.0)

    @property
    def _widths(self) -> tuple[int, int, int]:
        """Of the labels, the numbers, and what is drawn."""
        width = max(1, self.room)
        longest = max(map(cell_len, self._labels), default=1)
        names = min(longest, _LABEL_MOST, max(6, width // 3))
        room = width - names - 4
        # No number is ever cut: where there is no room for the interval as well the mean stands alone.
        for whole, least in ((True, _PLOT_ENOUGH), (False, _PLOT_LEAST)):
            numbers = max((len(text[not whole]) for text in self._texts), default=0)
            if numbers + least <= room:
                break
        return names, numbers, max(0, room - numbers)

    def _label(self, place: int) -> str:
        result = self.of
        assert result is not None
        if self.roles:
            return label(result.axes[0].name, result.axes[0].labels[place // len(self.roles)])
        return cell_name(result, place)

    def draw_line(self, line: int) -> list[Segment]:
        """The scale's ends, or an entry."""
        if self.of is None:
            return []
        if line == 0:
            return self._head()
        row = line - 1 + self.scroll_offset.y
        return self._entry(row) if row < len(self._places) else []

    def _head(self) -> list[Segment]:
        names, numbers, plot = self._widths
        low, high = self._ends
        ends = f"{words.signed(low)}", f"{words.signed(high)}"
        role = f"at {label('token', self.roles[self.role])} ←→" if self.roles else ""
        left = fit(role, names + numbers + 2)
        room = max(0, plot - cell_len(ends[0]) - cell_len(ends[1]))
        scale = f"{ends[0]}{' ' * room}{ends[1]}" if plot >= _PLOT_LEAST else ""
        return [Segment(f" {left} {scale}", self.inks.style("muted"))]

    def _entry(self, row: int) -> list[Segment]:
        result = self.of
        assert result is not None
        place = int(self._places[row])
        names, numbers, plot = self._widths
        text = next((text for text in self._texts[row] if len(text) <= numbers), "")
        here = row == self.cursor
        ink = self.inks
        named = f" {fit(self._labels[row], names)} {fit(text, numbers)} "
        style = cursor_style(ink.dark) if here and self.has_focus else ink.style("text", bold=here)
        drawn = self._drawn(place, plot) if plot >= _PLOT_LEAST else ""
        shade = ink.style("muted" if text.startswith("?") else "accent")
        return [Segment(named, style), Segment(drawn, shade)]

    def _numbers(self, place: int, whole: bool) -> str:
        """The mean, ``whole`` with its interval; in front a mark where not even its side is known."""
        result = self.of
        assert result is not None
        mark = "?" if bool(self._unsure[place]) else " "
        text = f"{mark}{words.signed(float(result.values.reshape(-1)[place]))}"
        if not whole or of_two_groups(result):
            return text
        low, high = self._interval(place)
        if low != low or high != high:  # of one row
            return text
        return f"{text} [{words.signed(low)}, {words.signed(high)}]"

    def _interval(self, place: int) -> tuple[float, float]:
        result = self.of
        assert result is not None
        if of_two_groups(result):  # it has a standard error alone
            return float("nan"), float("nan")
        low, high = (
            float(result.extra[name].values.reshape(-1)[place]) for name in ("low", "high")
        )
        return low, high

    def _drawn(self, place: int, width: int) -> str:
        """``   ├──●──┤  │``: the interval, the mean, and where the neutral value is."""
        result = self.of
        assert result is not None
        low, high = self._ends

        def column(value: float) -> int:
            return round((value - low) / (high - low) * (width - 1))

        cells = [" "] * width
        cells[column(neutral_of(result))] = "│"
        value = float(result.values.reshape(-1)[place])
        begin, end = self._interval(place)
        if begin == begin and end == end:
            first, last = column(begin), column(end)
            cells[first : last + 1] = "─" * (last - first + 1)
            if first < last:
                cells[first], cells[last] = "├", "┤"
        if value == value:
            cells[column(value)] = "●"
        return "".join(cells)

    # -- words ------------------------------------------------------------------------------------

    def readout(self, ink: Ink) -> Text:
        """The entry under the cursor."""
        if self.of is None or not len(self._places):
            return Text()
        return mean_readout(self.of, int(self._places[self.cursor]), ink)

    def legend(self, swatch: Callable[[Scale], Text], ink: Ink) -> Text:
        """What the sides say, and what is drawn."""
        if self.of is None:
            return Text()
        text = Text(f" {sides_legend(self.of)}", ink("text"))
        text.append("  ● mean" if of_two_groups(self.of) else "  ├●┤ mean, interval", ink("muted"))
        return text.append(mean_legend(self.of), ink("muted"))

    # -- the cursor -------------------------------------------------------------------------------

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The entries by their names."""
        return [SearchCell(row, (name,)) for row, name in enumerate(self._labels)]

    def move_cursor(self, how: str) -> None:
        """Up and down; left and right to another role."""
        if self.of is None:
            return
        by = {"left": -1, "right": 1}.get(how, 0)
        if by and self.roles:
            role = max(0, min(len(self.roles) - 1, self.role + by))
            if role != self.role:
                self.role = role
                self._fill()
                self.moved()
            return
        self.cursor = step(how, self.cursor, len(self._places), max(1, self.size.height // 2))

    def point(self, x: int, y: int) -> None:
        """Click on an entry."""
        row = y - 1 + self.scroll_offset.y
        if y > 0 and row < len(self._places):
            self.cursor = row

    def watch_cursor(self, old: int, new: int) -> None:
        """The user moved it."""
        if old == new:
            return
        self.reveal()
        for row in (old, new):
            self.refresh(Region(0, row + 1 - self.scroll_offset.y, self.size.width, 1))
        self.moved()

    def reveal(self) -> None:
        """Scroll until the entry is in sight under the scale."""
        top, height = self.scroll_offset.y, self.size.height - 1
        if height <= 0:
            return
        wanted = min(max(top, self.cursor - height + 1), self.cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)
