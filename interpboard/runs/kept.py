"""Cells of one request that are computed, so that a job that was stopped goes on where it was.

An analysis asks for its counterfactuals in the same order each time the same is asked of the same model,
however they are cut into batches. So a cell is known by its number in that order. What was edited there is
marked beside it, without the values that were put: a cell that is not what it was is computed anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from interpboard.errors import Cancelled
from interpboard.results.partial import Cells
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import count_not_finite, losses_in

_T = TypeVar("_T")
_LOOKED_AT = 1 << 20  # numbers of a tensor at a time


class ShareComputed(Cancelled):
    """The cells of this engine's share are computed, and not those of the others."""


class Share(NamedTuple):
    """Of ``of`` engines that divide the cells of a request, the one of number ``which``."""

    which: int
    of: int


class AskedCells(NamedTuple):
    """Cells that are asked for together: their numbers and marks, which are known, and those values."""

    numbers: np.ndarray
    marks: np.ndarray
    known: np.ndarray
    values: np.ndarray


class KeptCells:
    """The cells of ``request``; of ``before`` those that are of the same. ``share``: which of those that are
    not known are computed here; None: all."""

    def __init__(self, request: str, before: Cells | None = None) -> None:
        self.request = request
        self.share: Share | None = None
        usable = before is not None and before.request == request
        self._marks: dict[int, int] = {}
        self._values: dict[int, float] = {}
        if before is not None and usable:
            numbers = before.numbers.tolist()
            self._marks = dict(zip(numbers, before.marks.tolist(), strict=True))
            self._values = dict(zip(numbers, before.values.tolist(), strict=True))
        self._news: list[int] = []
        self._made: dict[str, tuple[Any, int]] = {}
        self._next = 0
        self._waits: bool | None = None  # within independent parts: for another engine's cells

    def learn(self, cells: Cells | None) -> None:
        """These are known as well; what is new of them is told with the ``news``."""
        if cells is None or cells.request != self.request:
            return
        columns = (of.tolist() for of in (cells.numbers, cells.marks, cells.values))
        for number, mark, value in zip(*columns, strict=True):
            if number not in self._marks:
                self._marks[number], self._values[number] = mark, value
                self._news.append(number)

    def begin(self) -> None:
        """The analysis begins, once more perhaps: its first cell is number 0."""
        self._next = 0

    def ask(self, cells: Sequence[Counterfactual], starts: Sequence[int]) -> AskedCells:
        """The next ``cells`` of the analysis; ``starts``: a mark of the run that each starts from."""
        numbers = np.arange(self._next, self._next + len(cells))
        self._next += len(cells)
        marks = np.array([mark_of(cell, at) for cell, at in zip(cells, starts, strict=True)], int)
        before = np.array([self._marks.get(number, -1) for number in numbers.tolist()], int)
        known = marks == before
        values = np.array([self._values[number] for number in numbers[known].tolist()])
        return AskedCells(numbers, marks, known, values)

    def to_compute(self, asked: AskedCells) -> np.ndarray:
        """A bool for each cell asked for: not known, and of this engine's share. Cells side by side cost
        alike, so they go to the engines in turn."""
        if self.share is None:
            return ~asked.known
        return ~asked.known & (asked.numbers % self.share.of == self.share.which)

    def others_compute(self, asked: AskedCells) -> None:
        """Raise ``ShareComputed`` if other engines have cells to compute before the analysis can go on."""
        if bool((asked.known | self.to_compute(asked)).all()):
            return
        if self._waits is None:
            raise ShareComputed
        self._waits = True

    @contextmanager
    def independent(self) -> Iterator[None]:
        """For parts of the analysis that need nothing of one another: its share of all of them is computed
        before it waits for other engines, whose cells are NaN until then. ``ShareComputed`` at the end.
        """
        if self._waits is not None:  # within another
            yield
            return
        self._waits = False
        try:
            yield
            waits = self._waits
        finally:
            self._waits = None
        if waits:
            raise ShareComputed

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """For what is kept as it is made: within independent parts, too, no cell of it may be NaN for now."""
        before, self._waits = self._waits, None
        try:
            yield
        finally:
            self._waits = before

    def take(self, asked: AskedCells, which: Sequence[int], values: np.ndarray) -> None:
        """``which`` of the cells asked for are computed."""
        for at, value in zip(which, values.tolist(), strict=True):
            number = int(asked.numbers[at])
            self._marks[number], self._values[number] = int(asked.marks[at]), value
            self._news.append(number)

    def once(self, name: str, make: Callable[[], _T]) -> _T:
        """What ``make`` gives, made once for the request. It is not among the cells.

        Its edited runs that were not finite count each time: the result says of all of them.
        """
        if name not in self._made:
            with losses_in() as lost, self._whole():
                made = make()
            self._made[name] = made, sum(lost)
        made, lost_in_it = self._made[name]
        count_not_finite(lost_in_it)
        return made

    def part(self, name: str) -> KeptCells:
        """What is kept of an analysis that this one runs as a part of itself, which begins now."""
        own = self.once(f"part {name}", lambda: KeptCells(self.request))
        own.begin()
        return own

    def __len__(self) -> int:
        return len(self._values)

    def news(self) -> Cells | None:
        """What has been computed since this was asked last."""
        numbers, self._news = sorted(self._news), []
        return self._of(numbers) if numbers else None

    @property
    def cells(self) -> Cells:
        """All of them."""
        return self._of(sorted(self._values))

    def _of(self, numbers: list[int]) -> Cells:
        marks, values = ([of[n] for n in numbers] for of in (self._marks, self._values))
        return Cells(self.request, np.array(numbers, int), np.array(marks, int), np.array(values))


def checksum(values: torch.Tensor) -> int:
    """A number for the values of a tensor, which is looked at in parts: as bytes it would be there thrice."""
    found = 0
    for part in values.detach().reshape(-1).split(_LOOKED_AT):
        found = zlib.crc32(part.double().cpu().contiguous().numpy(), found)
    return found


def mark_of(edits: Counterfactual, start: int = 0) -> int:
    """A number for what is edited, without the values that are put; ``start`` goes into it."""
    places = [(e.site, e.layer, e.kind, e.head, e.positions, e.neuron, e.keys) for e in edits]
    return zlib.crc32(repr(places).encode(), start)
