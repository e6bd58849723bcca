"""A circuit as a layered diagram of box-drawing characters, from the embedding down to the output.

Each node has a column. From a node a lane goes down to the last part that hears it; above a node there
is a row for each of its inputs, on which the lanes that it hears join. A line is as heavy, and painted,
as the strongest edge that it carries: heavy from a third of the strongest of all. Lines that cross do
not join: the one from above passes over.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from rich.text import Text

from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.colors import DARK, LIGHT, MIDDLE
from interpboard.visualization.diagrams.drawing import Drawing, Edge, Node

MOST_EDGES = 30
_SLOT = 6  # cells of a column: "[MLP] "
_HEAVY = 1 / 3
_STACKS = {"E.embed": "encoder", "D.embed": "decoder"}
_DIRECTIONS = {
    "UP": (0,), "DOWN": (1,), "LEFT": (2,), "RIGHT": (3,), "VERTICAL": (0, 1), "HORIZONTAL": (2, 3),
}  # fmt: skip


def layered(
    drawing: Drawing, page: PageStyle, most: int = MOST_EDGES
) -> tuple[list[Text], Drawing]:
    """The diagram no wider than the page, and what of ``drawing`` it shows: the strongest edges that fit."""
    margin = max((len(_input_name(edge)) for edge in drawing.edges), default=0)
    margin = max(margin, len("layer 10")) + 1
    slots = max(1, (page.width - margin) // _SLOT)
    for count in range(min(most, len(drawing.edges)), 0, -1):
        shown = drawing.only(count)
        columns = _columns(shown)
        if shown.edges and max(columns.values()) < slots:
            return _Canvas(shown, columns, margin, page).lines(), shown
    return [], drawing.only(0)


def _columns(drawing: Drawing) -> dict[str, int]:
    """A column for each node, free again below the last node that hears the one in it."""
    rank = {node.name: node.rank for node in drawing.nodes}
    last = {n.name: n.rank for n in drawing.nodes}
    for edge in drawing.edges:
        last[edge.sender] = max(last[edge.sender], rank[edge.receiver])
    taken: dict[int, int] = {}  # column: rank to which it is in use
    columns = {}
    for node in drawing.nodes:
        free = next(c for c in range(len(taken) + 1) if taken.get(c, -1) < node.rank)
        columns[node.name] = free
        taken[free] = last[node.name]
    return columns


def _input_name(edge: Edge) -> str:
    return f"{edge.receiver}.{edge.letter}" if edge.letter else edge.receiver


@dataclass
class _Cell:
    """Score of the strongest edge on each arm: up, down, left, right; and whether lines join here."""

    arms: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    joins: bool = False

    def put(self, *arms: int, score: float) -> None:
        for arm in arms:
            if abs(score) > abs(self.arms[arm]):
                self.arms[arm] = score

    @property
    def shown(self) -> list[float]:
        crossing = all(self.arms[:2]) and all(self.arms[2:]) and not self.joins
        return [*self.arms[:2], 0.0, 0.0] if crossing else self.arms


class _Canvas:
    """Rows from top to bottom; lanes are drawn on as rows are added."""

    def __init__(
        self, drawing: Drawing, columns: dict[str, int], margin: int, page: PageStyle
    ) -> None:
        self.drawing, self.page, self.margin = drawing, page, margin
        self.at = {name: margin + column * _SLOT + 2 for name, column in columns.items()}
        self.rows: list[tuple[str, dict[int, _Cell], list[Node]]] = []
        self.waiting = {
            node.name: [e for e in drawing.edges if e.sender == node.name] for node in drawing.nodes
        }
        self.below: set[str] = set()  # senders whose lane is open

    def lines(self) -> list[Text]:
        """The whole diagram."""
        for rank in sorted({node.rank for node in self.drawing.nodes}):
            nodes = [node for node in self.drawing.nodes if node.rank == rank]
            self._inputs(nodes)
            self._boxes(nodes)
        return [self._line(*row) for row in self.rows]

    def _inputs(self, nodes: list[Node]) -> None:
        begun: dict[str, float] = {}
        for node in nodes:
            heard = [edge for edge in self.drawing.edges if edge.receiver == node.name]
            for letter in sorted({edge.letter for edge in heard}, key="qkv".find):
                here = [edge for edge in heard if edge.letter == letter]
                cells = self._row(_input_name(here[0]))
                self._join(node, here, cells, begun)

    def _join(
        self, node: Node, here: list[Edge], cells: dict[int, _Cell], begun: dict[str, float]
    ) -> None:
        """The row of one input: taps of the lanes it hears, a line to the node's column, and down."""
        goal = self.at[node.name]
        for name, score in begun.items():  # nodes of this rank whose inputs are above
            _cell(cells, self.at[name]).put(0, 1, score=score)
        for edge in here:
            tap = self.at[edge.sender]
            self.waiting[edge.sender].remove(edge)
            step = 1 if goal > tap else -1
            _cell(cells, tap).joins = True
            for column in range(tap, goal, step):
                _cell(cells, column).put(3 if step > 0 else 2, score=edge.score)
                _cell(cells, column + step).put(2 if step > 0 else 3, score=edge.score)
        self._lanes_end(cells, {edge.sender for edge in here})
        best = max((edge.score for edge in here), key=abs)
        begun[node.name] = max(begun.get(node.name, 0.0), best, key=abs)
        cell = _cell(cells, goal)
        cell.joins = True
        cell.put(1, score=begun[node.name])

    def _lanes_end(self, cells: dict[int, _Cell], tapped: set[str]) -> None:
        """Below a tap a lane carries only what is still to come."""
        for name in tapped:
            cell, left = _cell(cells, self.at[name]), self.waiting[name]
            cell.arms[1] = max((e.score for e in left), key=abs, default=0.0)
            if not left:
                self.below.discard(name)

    def _boxes(self, nodes: list[Node]) -> None:
        first = nodes[0]
        layer = first.name.partition(".")[0]
        title = f"layer {layer}" if layer.isdigit() else _STACKS.get(first.name, layer)
        named = first.label != "MLP" and first.name not in ("embed", "output")
        self._row(title if named else "", nodes)
        self.below |= {node.name for node in nodes if self.waiting[node.name]}

    def _row(self, title: str, nodes: list[Node] | None = None) -> dict[int, _Cell]:
        cells: dict[int, _Cell] = {}
        for name in self.below:
            best = max((edge.score for edge in self.waiting[name]), key=abs)
            _cell(cells, self.at[name]).put(0, 1, score=best)
        self.rows.append((title, cells, nodes or []))
        return cells

    def _line(self, title: str, cells: dict[int, _Cell], nodes: list[Node]) -> Text:
        line = Text(self.page.fit(title, self.margin), "dim")
        shown: dict[int, tuple[str, str]] = {
            column: (self._glyph(cell.shown), self._paint(cell.shown))
            for column, cell in cells.items()
        }
        for node in nodes:
            box = f"[{self.page.words(node.label)}]"
            first = max(self.margin, self.at[node.name] - len(box) // 2)
            for offset, char in enumerate(box):
                shown[first + offset] = char, "bold"
        for column in range(self.margin, 1 + max(shown, default=0)):
            line.append(*shown.get(column, (" ", "")))
        return line

    def _glyph(self, arms: list[float]) -> str:
        weights = tuple(0 if not a else 2 if self._share(a) >= _HEAVY else 1 for a in arms)
        if not self.page.ascii_only:
            return _BOXES[weights]
        if not any(weights[:2]) or not any(weights[2:]):
            vertical = any(weights[:2])
            return ("#" if max(weights) > 1 else "|") if vertical else "-="[max(weights) - 1]
        return "+"

    def _paint(self, arms: list[float]) -> str:
        best = max(arms, key=abs)
        step = max(1, round(self._share(best) * MIDDLE))
        colors = DARK if self.page.dark else LIGHT
        return colors[MIDDLE + (step if best > 0 else -step)]

    def _share(self, score: float) -> float:
        return min(1.0, abs(score) / self.drawing.strongest)


def _cell(cells: dict[int, _Cell], column: int) -> _Cell:
    return cells.setdefault(column, _Cell())


def _boxes() -> dict[tuple[int, ...], str]:
    """The box-drawing character of each choice of arms: up, down, left, right; 1 light, 2 heavy."""
    found: dict[tuple[int, ...], str] = {}
    for point in range(0x2500, 0x2580):
        words = unicodedata.name(chr(point)).removeprefix("BOX DRAWINGS ")
        parts = [part.split() for part in words.split(" AND ")]
        if any(w not in _DIRECTIONS and w not in ("LIGHT", "HEAVY") for p in parts for w in p):
            continue  # dashed, double, round
        arms = [0, 0, 0, 0]
        whole = parts[0][0] if parts[0][0] not in _DIRECTIONS else ""
        for part in parts:
            weight = next((w for w in part if w not in _DIRECTIONS), whole)
            for word in part:
                for arm in _DIRECTIONS.get(word, ()):
                    arms[arm] = 2 if weight == "HEAVY" else 1
        found.setdefault(tuple(arms), chr(point))
    return found


_BOXES = _boxes()
