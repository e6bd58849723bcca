"""What is sent to the terminal: the cells that differ from what it shows, and nothing else.

Textual sends a changed region from its widget's left edge on, each run of a style with all its colours
and a reset. Over SSH every byte counts, so an update is compared here with the cells that were sent
before: what is new becomes moves, changes of colour, and letters. ``Terminal.forget`` makes the next
update complete, for when something else has written on the screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from tui.terminal.cursor_moves import SOMEWHERE, cursor_way
from tui.terminal.sgr import PLAIN, Rendition, rendition_of
from tui.terminal.sgr import rendition_change as change_of_rendition

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

# One cell wide wherever it is shown: ASCII, Latin, punctuation, arrows, mathematics, lines, blocks.
# Terminals do not agree on the rest: after it the next cell is found anew.
_SURE = re.compile("[ -~\xa0-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u22ff\u2500-\u25fc]*")
_JOINED = ("\u200d", "\ufe0f")  # make one of several characters, or change the width of one
_BRIDGE = 4  # cells that are rather sent again than jumped over: a jump is four bytes


def strip_cells(strips: Iterable[Strip], colors: ColorSystem) -> tuple[list[str], list[Rendition]]:
    """The text and the rendition of each cell; a character of two cells is a text and an empty one."""
    texts: list[str] = []
    renditions: list[Rendition] = []
    for strip in strips:
        for text, style, _ in strip:
            codes = "" if style is None else style._ansi or Strip.render_ansi(style, colors)
            before = len(texts)
            if _SURE.fullmatch(text):
                texts += text
            else:
                for unit, width in _units(text):
                    if width:
                        texts += [unit, *[""] * (width - 1)]
                    elif texts:  # onto the character before, which may be two cells wide
                        texts[-1 if texts[-1] else -2] += unit
            renditions += [rendition_of(codes)] * (len(texts) - before)
    return texts, renditions


def _units(text: str) -> Iterator[tuple[str, int]]:
    """What can only be sent whole, and its cells. Marks of no width come by themselves."""
    if any(char in text for char in _JOINED):
        yield text, cell_len(text)
        return
    for char in text:
        yield char, cell_len(char)


class Terminal:
    """The cells that a terminal shows, as far as they are known."""

    def __init__(self) -> None:
        self.known_size = (0, 0)
        self._texts: list[list[str | None]] = []
        self._renditions: list[list[Rendition]] = []

    def forget(self) -> None:
        """Nothing is known of what is on the screen."""
        self.known_size = (0, 0)

    def fit(self, width: int, height: int) -> None:
        """Another size: its content is unknown."""
        if (width, height) != self.known_size:
            self.known_size = (width, height)
            self._texts = [[None] * width for _ in range(height)]
            self._renditions = [[PLAIN] * width for _ in range(height)]

    def put(
        self, y: int, x: int, texts: list[str], renditions: list[Rendition], sent: UpdateWriter
    ) -> None:
        """Send what of these cells of line ``y`` the terminal does not show, and remember them."""
        line, line_renditions = self._texts[y], self._renditions[y]
        texts, renditions = texts[: max(0, len(line) - x)], renditions[: max(0, len(line) - x)]
        end = x + len(texts)
        old, old_renditions = line[x:end], line_renditions[x:end]
        if old == texts and old_renditions == renditions:
            return
        # Half of a wide character is overwritten: the terminal takes away the other half.
        if 0 < x < end and line[x] == "":
            line[x - 1] = None
        if end < len(line) and line[end] == "":
            line[end] = None
        for first, last in _runs(old, old_renditions, texts, renditions):
            sent.run(y, x + first, texts[first:last], renditions[first:last])
        line[x:end] = texts
        line_renditions[x:end] = renditions


def _runs(
    old: list[str | None],
    old_renditions: list[Rendition],
    texts: list[str],
    renditions: list[Rendition],
) -> list[tuple[int, int]]:
    """(first, one behind the last) of the stretches to send; of a space only the background counts."""
    if old.count(None) == len(old):
        return [(0, len(texts))]
    changed = [
        at
        for at, (before, after, rendition, new) in enumerate(
            zip(old, texts, old_renditions, renditions, strict=True)
        )
        if before != after
        or (rendition is not new and (after != " " or rendition.blank is not new.blank))
    ]
    runs: list[tuple[int, int]] = []
    for at in changed:
        while texts[at] == "" and at > 0:  # a wide character is sent from its beginning
            at -= 1
        if not runs or not _near(runs[-1][1], at, renditions):
            runs.append((at, at + 1))
        elif at >= runs[-1][1]:
            runs[-1] = (runs[-1][0], at + 1)
    return runs


def _near(last: int, at: int, renditions: list[Rendition]) -> bool:
    """Is it shorter to send what is between, all in one rendition, than to jump over it?"""
    return at <= last or (
        at - last <= _BRIDGE
        and all(rendition is renditions[last - 1] for rendition in renditions[last:at])
    )


class SentCells(NamedTuple):
    """Neighbouring cells of one rendition; where ``sure`` is false, the terminal alone knows how wide."""

    y: int
    x: int
    text: str
    rendition: Rendition
    sure: bool = True


class UpdateWriter:
    """Gathers the pieces of one update; ``text`` is the shortest of the orders in which they can be sent."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._pieces: list[SentCells] = []

    def run(self, y: int, x: int, texts: list[str], renditions: list[Rendition]) -> None:
        """Send neighbouring cells."""
        at = 0
        while at < len(texts):
            end = at + 1
            while end < len(texts) and renditions[end] is renditions[at]:
                end += 1
            text = "".join(texts[at:end])
            if _SURE.fullmatch(text):
                self._pieces.append(SentCells(y, x + at, text, renditions[at]))
            else:
                for place in range(at, end):
                    if texts[place]:
                        sure = _SURE.fullmatch(texts[place]) is not None
                        self._pieces.append(
                            SentCells(y, x + place, texts[place], renditions[at], sure)
                        )
            at = end

    def text(self) -> str:
        """Line by line, or colour by colour: a colour takes more bytes than a place. It ends without one."""
        line_by_line = _sent(self._pieces, self._width)
        if not all(piece.sure for piece in self._pieces):  # halves of wide characters come in order
            return line_by_line
        return min(line_by_line, _sent(_by_color(self._pieces), self._width), key=len)


def _by_color(pieces: list[SentCells]) -> list[SentCells]:
    """Those of one rendition together; a blank with those that have its background, where there are any."""
    groups: dict[Rendition, list[SentCells]] = {}
    backgrounds: dict[str, Rendition] = {}
    for piece in pieces:
        if piece.text.strip(" "):
            backgrounds.setdefault(piece.rendition.background, piece.rendition)
    for piece in pieces:
        rendition = piece.rendition
        if not piece.text.strip(" ") and not rendition.blank.attributes:
            rendition = backgrounds.get(rendition.background, rendition)
        groups.setdefault(rendition, []).append(piece)
    in_order = sorted(groups, key=lambda each: (each.background, each.foreground))
    return [piece for rendition in in_order for piece in groups[rendition]]


def _sent(pieces: Iterable[SentCells], width: int) -> str:
    parts: list[str] = []
    rendition = PLAIN
    at_y, at_x = -1, SOMEWHERE
    for y, x, text, wanted, sure in pieces:
        if x != at_x or y != at_y:
            parts.append(cursor_way(at_y, at_x, y, x))
        if not text.strip(" "):
            wanted = wanted.behind(rendition)
        if wanted is not rendition:
            parts.append(change_of_rendition(rendition, wanted))
            rendition = wanted
        parts.append(text)
        # Behind the last column terminals do not agree where the cursor is.
        at_y, at_x = y, x + len(text) if sure and x + len(text) < width else SOMEWHERE
    return "".join(parts) + ("\x1b[m" if rendition is not PLAIN else "")


class CellUpdate(CompositorUpdate):
    """An update of Textual's, sent as what it changes on ``terminal``."""

    def __init__(
        self, update: LayoutUpdate | ChopsUpdate, terminal: Terminal, size: tuple[int, int]
    ) -> None:
        self.update, self.terminal, self.size = update, terminal, size

    def render_segments(self, console: Console) -> str:
        """The escape sequences and the text."""
        self.terminal.fit(*self.size)
        colors = console._color_system or ColorSystem.TRUECOLOR
        sent = UpdateWriter(self.size[0])
        for y, x, strips in _pieces(self.update):
            if y < self.size[1]:
                texts, renditions = strip_cells(strips, colors)
                self.terminal.put(y, x, texts, renditions, sent)
        return sent.text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As Textual draws it elsewhere than in a terminal of its own."""
        yield self.update


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, list[Strip]]]:
    """(line, column, what stands there) of what an update known_size."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, start=update.region.y):
            yield y, update.region.x, list(line)
    else:
        for y, left, right in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < right and end > left:
                    yield y, x, [strip]


def cell_update(
    update: RenderableType | None, terminal: Terminal, size: tuple[int, int]
) -> RenderableType | None:
    """``update`` as a ``Change``, if it is one that can be."""
    if isinstance(update, LayoutUpdate | ChopsUpdate):
        return CellUpdate(update, terminal, size)
    return update
