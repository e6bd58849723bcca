"""The rows of a sweep in one array, tokens put together, in memory or in a file where they are many."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Axis, MetricInfo
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.label_space import LabelSpace
from interpboard.sweeps.row_results import RowResult

IN_MEMORY = 1 << 27  # bytes; what is larger stands in a file that the system pages


ResultsOf = Callable[[str], Iterable[RowResult]]
"""The results of an analysis, by its name."""

HELD_MOST, _A_ROW, _A_WORD = 1 << 25, 1 << 11, 1 << 6
"""Bytes of rows that are held to be gone through again; what a row has besides its values and texts, about;
and what a short text, a label or a role, has in a tuple."""


@dataclass(frozen=True)
class RowValues:
    """The rows of an analysis: values [row, cell] in ``axes``, what each row is."""

    axes: tuple[Axis, ...]
    values: np.ndarray
    groups: list[str | None]
    baselines: np.ndarray
    metric: MetricInfo
    seconds: np.ndarray


def rows_by_analysis(folder: SweepFolder) -> ResultsOf:
    """The results of an analysis in ``folder``, by its name: read again each time one is asked for, or once
    all of them where they are little."""
    rows, asked = folder.manifest.rows, len(folder.manifest.request.analyses)
    if rows is None or rows * asked * _A_ROW > HELD_MOST:
        return folder.results
    held: dict[str, list[RowResult]] = {}
    size = 0
    for result in folder.results():
        held.setdefault(result.analysis, []).append(result)
        size += _bytes_of(result)
        if size > HELD_MOST:
            return folder.results
    return lambda analysis: held.get(analysis, ())


def held_if_little(rows: Callable[[], Iterable[RowResult]]) -> Callable[[], Iterable[RowResult]]:
    """``rows``, which are read again each time; read once where all of them are little."""
    held, size = [], 0
    for row in rows():
        held.append(row)
        size += _bytes_of(row)
        if size > HELD_MOST:
            return rows
    return lambda: held


def _bytes_of(row: RowResult) -> int:
    """What ``row`` takes in memory, about: of a long prompt labels and roles are more than the values."""
    words = len(row.roles) + sum(len(axis.labels) for axis in row.axes)
    texts = (row.text, row.error, *row.warnings, *row.columns.values())
    written = sum(len(text) for text in texts if isinstance(text, str))
    return _A_ROW + row.values.nbytes + _A_WORD * words + written


def by_roles(sweep_align: str, rows: Callable[[], Iterable[RowResult]], align: str = "") -> bool:
    """Whether tokens are put together by role, or by unit: ``align``, or the sweep's own; where that is
    ``auto``, unless all prompts have one length and no roles of their own.
    """
    asked = align or sweep_align
    if asked != "auto":
        return asked != "index"
    lengths, plain = set(), True
    for row in rows():
        lengths.add((len(row.roles), row.position, row.border))
        plain &= set(row.roles) <= {"source", "first", "between", "explained", "behind"}
        if len(lengths) > 1 or not plain:
            return True
    return False


@contextmanager
def gathered(
    rows: Callable[[], Iterable[RowResult]], by_roles: bool, group: str, where: str = ""
) -> Iterator[RowValues]:
    """All rows in one array, a file where it is large. Raises ``BadParameter`` where they do not fit
    together, and where there is none; ``where``: the filter that left them."""
    space, number = LabelSpace(by_roles), 0
    metric: MetricInfo | None = None
    for row in rows():
        try:
            space.take(space.aligned(row)[0])
        except BadParameter as error:
            raise BadParameter(f"{error.message} ({row.place})", error.remedy) from None
        metric = metric or MetricInfo(row.metric, -1)
        number += 1
    if space.axes is None or metric is None:
        fits = f" that fits {visible(where)[:60]}" if where else ""
        raise BadParameter(f"No row{fits} has a result to take a mean of.")
    groups: list[str | None] = []
    baselines, seconds = np.full(number, np.nan), np.zeros(number)
    with tempfile.TemporaryFile() as file:
        shape = (number, space.cells)
        large = number * space.cells * 8 > IN_MEMORY
        values = np.memmap(file, np.float64, "w+", shape=shape) if large else np.empty(shape)
        before, places = space.axes, space.places(space.axes)
        for at, row in enumerate(rows()):
            axes, own = space.aligned(row)
            if axes != before:  # rows of one template have the same, one behind the other
                before, places = axes, space.places(axes)
            values[at] = np.nan
            values[at, places] = own.reshape(-1)
            groups.append(row.of_group(group) if group else None)
            baselines[at] = np.nan if row.baseline is None else row.baseline
            seconds[at] = row.seconds
        yield RowValues(space.axes, values, groups, baselines, metric, seconds)
