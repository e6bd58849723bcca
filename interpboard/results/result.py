"""``Result``: one analysis of one prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from interpboard.display import visible
from interpboard.errors import BadResultFile
from interpboard.results.arrays import Axis, LabelledArray, put_in_shape
from interpboard.results.encoding import SCHEMA, from_json, json_of, read_file, write_file
from interpboard.results.info import MadeBy, MetricInfo
from interpboard.results.labels import visible_label
from interpboard.results.metric_words import metric_words
from interpboard.results.partial import Cells, Partial, exact_only
from interpboard.results.table import pandas, table_columns
from interpboard.results.top import Entry, Order, top_entries
from interpboard.results.views import Viewable

_NAMED = 3  # entries that repr names


class Result(Viewable, msgspec.Struct, frozen=True, eq=False):
    """One analysis of one prompt. ``values`` follow ``axes``; ``extra`` holds further named arrays.

    ``baseline`` is the metric of the clean run. ``neutral`` is the value that says "no effect": what stands
    out is far from it. ``meaning`` says what larger and smaller values mean for this metric. The registry
    (``interpboard.registry``) gives both, here and nowhere else: to a new result, and to one that was saved
    before they were kept. ``meaning`` stays empty only for an analysis that is not in it.
    ``partial``: it was stopped, and says how many cells are computed; the others are NaN. None: it is whole.
    """

    analysis: str
    params: dict[str, Any]
    metric: MetricInfo
    baseline: float | None
    axes: tuple[Axis, ...]
    values: np.ndarray
    extra: dict[str, LabelledArray]
    elapsed_s: float
    made_by: MadeBy
    warnings: tuple[str, ...] = ()
    neutral: float = 0.0
    meaning: str = ""
    partial: Partial | None = None

    def __post_init__(self) -> None:
        put_in_shape(self)
        if not self.meaning:
            from interpboard.registry import (
                ANALYSES,
            )  # late: the app is on screen before any result

            known = ANALYSES.get(self.analysis)
            if known is not None:
                told = self.metric.problem or ("in place" if self.metric.in_place else "")
                meaning = known.meaning_for(self.metric.name, self.params, told)
                msgspec.structs.force_setattr(self, "meaning", meaning)
                msgspec.structs.force_setattr(self, "neutral", known.neutral_with(self.params))

    def so_far(self, array: LabelledArray | None, cells: Cells, of: int, unit: str) -> Result:
        """This result, of which nothing is computed yet, with the exact values of ``array`` and the ``cells``
        to go on from; of ``of`` cells, called ``unit``. Its first warning says that it is partial.
        """
        known = None if array is None else exact_only(array)
        done = len(cells) if known is None else int((~np.isnan(known.values)).sum())
        partial = Partial(min(done, of), of, unit, cells)
        return msgspec.structs.replace(
            self,
            axes=() if known is None else known.axes,
            values=np.array(np.nan) if known is None else known.values,
            warnings=(f"partial: {partial} are computed, the others have no value", *self.warnings),
            partial=partial,
        )

    def axis(self, name: str) -> Axis:
        """The axis called ``name``."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise KeyError(name)

    def top(self, k: int = 10, *, by: Order = "magnitude") -> list[Entry]:
        """At most ``k`` entries, the furthest from ``neutral`` (``by`` magnitude), the highest or the lowest
        first; no NaN.

        Raises ``BadParameter`` for an unknown order, a negative ``k``, and values that are text.
        """
        return top_entries(self, k, by, self.neutral)

    def to_dataframe(self) -> Any:
        """A pandas frame, one row an entry: for each axis its label and ``<axis>_index``, then
        ``value``, then every extra with the same axes. Of a partial result ``attrs["partial"]`` says so.

        Raises ``MissingPackage`` where pandas is not installed.
        """
        frame = pandas().DataFrame(table_columns(self, self.extra))
        if self.partial is not None:
            frame.attrs["partial"] = str(self.partial)
        return frame

    def to_json(self, indent: int | None = 2) -> str:
        """The result as JSON text: what a document holds of it, and the schema."""
        return json_of(_Saved(schema=SCHEMA, **_fields(self)), indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """What ``to_json`` wrote. Raises ``BadResultFile`` for anything else."""
        return cls(**_fields(from_json(text, _Saved)))

    def save(self, path: str | Path) -> Path:
        """Write the JSON to ``path`` and return it. Raises ``BadResultFile``."""
        return write_file(path, self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read what ``save`` wrote. Raises ``BadResultFile``, with the name of the file."""
        try:
            return cls.from_json(read_file(path))
        except BadResultFile as error:
            raise error.about(path) from error

    def _named(self) -> list[Entry]:
        return [entry for entry in self.top(_NAMED) if entry.value != self.neutral]

    def __repr__(self) -> str:
        shape = ", ".join(f"{visible(axis.name)} {len(axis.labels)}" for axis in self.axes)
        lines = [f"<{visible(self.analysis)} [{shape}] of {_metric(self)}"]
        if self.values.dtype != object:
            lines += [f"  {_words(entry)}" for entry in self._named()]
        lines += [f"  {visible(name)}: {_lone(array)}" for name, array in _scalars(self)]
        lines += [f"  warning: {visible(warning)}" for warning in self.warnings]
        return "\n".join(lines) + ">"


class _Saved(Result, frozen=True, eq=False, kw_only=True):
    """A result in a file of its own."""

    schema: str


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__struct_fields__}


def _metric(result: Result) -> str:
    at = (
        f"position {result.metric.position}"
        if result.metric.position >= 0
        else "each row's position"
    )
    text = f"{metric_words(result.metric)} at {at}"
    return text if result.baseline is None else f"{text}, clean run {result.baseline:.4g}"


def _words(entry: Entry) -> str:
    where = " ".join(f"{name} {visible_label(name, label)}" for name, label in entry.labels.items())
    return f"{where} {entry.value:+.4g}".strip()


def _scalars(result: Result) -> list[tuple[str, LabelledArray]]:
    return [(name, array) for name, array in result.extra.items() if array.values.size == 1]


def _lone(array: LabelledArray) -> str:
    value = array.values.reshape(-1)[0]
    return visible(value) if isinstance(value, str) else f"{value:.4g}"
