"""The prompt's own text with a value painted behind each token, wrapped like text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive

from tui.theme import cursor_style, level_style
from tui.widgets.cells import CursorPlace, SearchCell, token_cells
from tui.widgets.cursor_view import CursorView
from tui.widgets.token_marks import folded_tokens, in_brackets
from tui.widgets.turn_margin import TurnMargin

if TYPE_CHECKING:
    from interpboard.results.info import Turn
    from interpboard.visualization.colors import Scale


class Piece(NamedTuple):
    """A token's text on one line, from column ``x``."""

    token: int
    x: int
    text: str


def wrap(texts: Sequence[str], width: int, begins: Collection[int] = ()) -> list[list[Piece]]:
    """Tokens (already visible) in lines of ``width`` cells.

    A line breaks before a token, at those of ``begins`` in any case, if need be inside a long one, and
    after a token that ends in the picture of a newline, so that text with line breaks looks like itself.
    """
    lines: list[list[Piece]] = [[]]
    used = 0
    for token, text in enumerate(texts):
        if used and (token in begins or used + cell_len(text) > width):
            lines.append([])
            used = 0
        for part in _cut(text, width):
            if used and used + cell_len(part) > width:
                lines.append([])
                used = 0
            lines[-1].append(Piece(token, used, part))
            used += cell_len(part)
        if text.rstrip("⟧").endswith("⏎"):
            lines.append([])
            used = 0
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines


def _cut(text: str, width: int) -> list[str]:
    parts, part = [], ""
    for char in text:
        if part and cell_len(part + char) > width:
            parts.append(part)
            part = ""
        part += char
    return [*parts, part]


class TokenStrip(CursorView):
    """Tokens with values. The cursor is a token's index."""

    cursor: reactive[int] = reactive(0, repaint=False, init=False)

    class Dragged(Message):
        """The mouse was dragged from one token to another one."""

        def __init__(self, first: int, last: int) -> None:
            super().__init__()
            self.first, self.last = first, last

    def __init__(
        self, moved: Callable[[], None], *, id: str | None = None, drags: bool = False
    ) -> None:
        super().__init__(moved, id=id)
        self.drags = drags  # does a drag mean anything here?
        self._dragged_from: int | None = None
        self.texts: tuple[str, ...] = ()
        self.tokens: tuple[str, ...] = ()  # as they are, where ``texts`` is as they are shown
        self.values: tuple[float, ...] = ()
        self.scale: Scale | None = None
        self.explained = -1
        self.subject: frozenset[int] = frozenset()
        self._lines: dict[int, list[list[Piece]]] = {}  # by width
        self.margin = TurnMargin()
        self.folded: tuple[tuple[int, int], ...] = ()

    def speak(self, turns: Sequence[Turn], reasoning: Sequence[tuple[int, int]] = ()) -> None:
        """The tokens to be shown are those of these turns; ``reasoning``: sections among them."""
        margin = TurnMargin(turns, reasoning)
        if (self.margin.turns, self.margin.reasoning) != (margin.turns, margin.reasoning):
            self.margin, self._lines = margin, {}
            self.refresh(layout=True)

    def show(
        self,
        tokens: Sequence[str],
        values: Sequence[float],
        scale: Scale | None,
        explained: int,
        cursor: int | None = None,
        subject: Sequence[int] = (),
        spans: Sequence[tuple[int, int]] = (),
        folded: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Show ``tokens``, already visible, painted by ``values``; ``explained`` is the metric's position.

        Tokens of the ``subject`` are underlined, ``spans`` ``[begin, end)`` stand in brackets. Of those that
        are ``folded`` the first one stands for all.
        """
        self.folded = tuple(folded)
        texts = in_brackets(folded_tokens(tokens, self.folded), spans)
        if self.monochrome and scale is not None:
            texts = tuple(
                text + "⁻ ⁺"[(scale.level(value) > 4) - (scale.level(value) < 4) + 1].strip()
                for text, value in zip(texts, values, strict=True)
            )
        changed, self.tokens = texts != self.texts, tuple(tokens)
        self.texts, self.values, self.scale = texts, tuple(values), scale
        self.explained, self.subject = explained, frozenset(subject)
        self._lines = {}
        at = self.standing_for(self.cursor if cursor is None else cursor)
        self.set_reactive(TokenStrip.cursor, max(0, min(at, len(texts) - 1)))
        self.measure()
        self.reveal()
        self.refresh(layout=changed)
        if changed:  # how high it is, and so whether it scrolls, is known when it is laid out
            self.call_after_refresh(self._fit_to_height)

    def _fit_to_height(self) -> None:
        self.measure()
        self.reveal()

    def standing_for(self, token: int) -> int:
        """Where ``token`` is shown: itself, or the first of a section that is folded."""
        return next((begin for begin, end in self.folded if begin <= token < end), token)

    def paint(self, values: Sequence[float]) -> None:
        """Other values for the same tokens; only those that change their colour are repainted."""
        if self.scale is None:
            return
        before, self.values = self.values, tuple(values)
        for token, (old, new) in enumerate(zip(before, values, strict=True)):
            if self.scale.level(old) != self.scale.level(new):
                self._refresh_token(token)

    @property
    def room(self) -> int:
        """Columns for the text: a text that scrolls leaves one to the scrollbar."""
        width = max(1, self.size.width)
        return width - 1 if self.line_count(width) > self.size.height > 0 else width

    def lines(self, width: int) -> list[list[Piece]]:
        """The wrapped tokens at ``width``, kept until something changes."""
        if width not in self._lines:
            margin = self.margin.width(width)
            lines = wrap(self.texts, max(4, width - margin), self.margin.begins)
            if self.folded:
                lines = [
                    [p for p in line if self.standing_for(p.token) == p.token] for line in lines
                ]
            if margin:
                lines = [[own._replace(x=own.x + margin) for own in line] for line in lines]
            self._lines[width] = lines
        return self._lines[width]

    def line_count(self, width: int) -> int:
        """Lines at ``width``."""
        return len(self.lines(width)) if self.texts else 0

    def draw_line(self, line: int) -> list[Segment]:
        """One line of text."""
        lines = self.lines(self.room)
        at = line + self.scroll_offset.y
        if at >= len(lines):
            return []
        drawn = [self._piece(piece) for piece in lines[at]]
        if self.margin.turns and lines[at]:
            speaker = self.margin.said(lines[at][0].token, self.room)
            drawn.insert(0, Segment(speaker, self.inks.style("accent")))
        return drawn

    def _piece(self, piece: Piece) -> Segment:
        token, dark = piece.token, self.inks.dark
        value = self.values[token] if token < len(self.values) else float("nan")
        level = self.scale.level(value) if self.scale is not None else 4
        text = piece.text
        if token == self.cursor and self.has_focus:
            return Segment(text, cursor_style(dark))
        plain = "muted" if token in self.margin.marks else "text"
        style = level_style(level, dark) if level != 4 else self.inks.style(plain)
        if token in self.subject:
            style += Style(underline=True)
        if token == self.cursor:
            style += Style(bold=True, underline=True)
        return Segment(text, style)

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The tokens; a word of several is found where it begins."""
        return token_cells(self.tokens, range(len(self.tokens)), self.texts)

    def move_cursor(self, how: str) -> None:
        """Left and right by token, up and down by line."""
        if not self.texts:
            return
        lines = self.lines(self.room)
        row = next(i for i, line in enumerate(lines) if any(p.token == self.cursor for p in line))
        here = next(p for p in lines[row] if p.token == self.cursor)
        page = max(1, self.size.height // 2)
        if how in ("up", "down", "page_up", "page_down"):
            by = {"up": -1, "down": 1, "page_up": -page, "page_down": page}[how]
            line = lines[max(0, min(len(lines) - 1, row + by))]
            target = max((p for p in line if p.x <= here.x), key=lambda p: p.x, default=here).token
        else:
            target = {
                "left": self.cursor - 1,
                "right": next((e for b, e in self.folded if b == self.cursor), self.cursor + 1),
                "home": lines[row][0].token,
                "end": lines[row][-1].token,
                "top": 0,
                "bottom": len(self.texts) - 1,
            }[how]
        self.cursor = max(0, min(len(self.texts) - 1, target))

    def validate_cursor(self, token: int) -> int:
        """Never on a token that is not shown."""
        return self.standing_for(token)

    def point(self, x: int, y: int) -> None:
        """Click on a token."""
        token = self.token_at(x, y)
        if token is not None:
            self.cursor = token

    def token_at(self, x: int, y: int) -> int | None:
        """The token that is drawn in a cell of the view."""
        lines, at = self.lines(self.room), y + self.scroll_offset.y
        for piece in lines[at] if 0 <= at < len(lines) else ():
            if piece.x <= x < piece.x + cell_len(piece.text):
                return piece.token
        return None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Here a drag may begin; its end counts wherever it is."""
        self._dragged_from = self.token_at(event.x, event.y) if self.drags else None
        if self._dragged_from is not None:
            self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """On another token: all from the first to this one."""
        first, self._dragged_from = self._dragged_from, None
        if first is None:
            return
        self.release_mouse()
        last = self.token_at(event.x, event.y)
        if last is not None and last != first:
            self.cursor = last
            self.post_message(self.Dragged(min(first, last), max(first, last)))

    def watch_cursor(self, old: int, new: int) -> None:
        """Two tokens change."""
        if old == new:
            return
        self._moved_from(old, new)
        self.moved()

    def put(self, token: int) -> bool:
        """Put the cursor where another pane's is; did it move?"""
        token = self.standing_for(token)
        if not 0 <= token < len(self.texts) or token == self.cursor:
            return False
        old = self.cursor
        self.set_reactive(TokenStrip.cursor, token)
        self._moved_from(old, token)
        return True

    def _moved_from(self, old: int, new: int) -> None:
        self.reveal()
        self._refresh_token(old)
        self._refresh_token(new)

    def refresh_cursor(self) -> None:
        """Where the cursor is."""
        self._refresh_token(self.cursor)

    def reveal(self) -> None:
        """Scroll until the cursor's line is in sight."""
        if not self.texts or self.size.height == 0:
            return
        for row, line in enumerate(self.lines(self.room)):
            if any(piece.token == self.cursor for piece in line):
                top = min(max(self.scroll_offset.y, row - self.size.height + 1), row)
                if top != self.scroll_offset.y:
                    self.scroll_to(None, top, animate=False, force=True)
                return

    def _refresh_token(self, token: int) -> None:
        if self.size.width == 0:  # not in sight: there are no lines yet to find it in
            self.refresh()
            return
        for row, line in enumerate(self.lines(self.room)):
            for piece in line:
                if piece.token == token:
                    y = row - self.scroll_offset.y
                    self.refresh(Region(piece.x, y, max(1, cell_len(piece.text)), 1))
