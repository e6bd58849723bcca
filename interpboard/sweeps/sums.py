"""What means are made of where the rows' values are not kept: counts, sums and sums of squares, a part at a
time."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from interpboard.errors import BadParameter, BadResultFile
from interpboard.results import Axis
from interpboard.sweeps.label_space import LabelSpace
from interpboard.sweeps.row_results import RowResult

_ARRAYS = ("n", "total", "squares", "positive", "negative")


class Sums:
    """Of the rows of one analysis, and of one group (None: of all). ``refused``: why there are none."""

    def __init__(self, by_roles: bool = True) -> None:
        self.space = LabelSpace(by_roles)
        self.arrays = {name: np.zeros(0) for name in _ARRAYS}
        self.rows = 0
        self.baseline = 0.0
        self.baselines = 0
        self.refused = ""

    def add(self, result: RowResult) -> None:
        """Take a row in. One that does not fit the others is the end of the mean, and is named."""
        if self.refused:
            return
        try:
            axes, values = self.space.aligned(result)
            places = self._room(axes)
        except BadParameter as error:
            self.refused = f"{error.message} ({result.place})"
            return
        flat = values.reshape(-1)
        known = ~np.isnan(flat)
        at, own = places[known], flat[known]
        for name, more in (
            ("n", 1.0), ("total", own), ("squares", own**2), ("positive", own > 0), ("negative", own < 0),
        ):  # fmt: skip
            self.arrays[name][at] += more
        self.rows += 1
        if result.baseline is not None and not np.isnan(result.baseline):
            self.baseline += result.baseline
            self.baselines += 1

    def join(self, other: Sums) -> None:
        """Take in what another part has."""
        self.refused = self.refused or other.refused
        if self.refused or other.space.axes is None:
            return
        try:
            places = self._room(other.space.axes)
        except BadParameter as error:
            self.refused = error.message
            return
        for name, values in other.arrays.items():
            self.arrays[name][places] += values
        self.rows += other.rows
        self.baseline += other.baseline
        self.baselines += other.baselines

    def _room(self, axes: tuple[Axis, ...]) -> np.ndarray:
        """Where ``axes`` stand, arrays grown to have room for them."""
        before = self.space.axes
        if self.space.take(axes):
            kept = None if before is None else self.space.places(before)
            for name, old in self.arrays.items():
                self.arrays[name] = np.zeros(self.space.cells)
                if kept is not None:
                    self.arrays[name][kept] = old
        return self.space.places(axes)


Key = tuple[str, str | None]  # analysis, group


def sums_of(results: Iterable[RowResult], group: str, by_roles: bool = True) -> dict[Key, Sums]:
    """The sums of each analysis over all its rows, and by what stands in the column ``group``."""
    found: dict[Key, Sums] = {}
    for result in results:
        if result.error:
            continue
        found.setdefault((result.analysis, None), Sums(by_roles)).add(result)
        own = result.of_group(group) if group else None
        if own is not None:
            found.setdefault((result.analysis, own), Sums(by_roles)).add(result)
    return found


class _Head(msgspec.Struct):
    analysis: str
    group: str | None
    axes: tuple[Axis, ...] | None
    rows: int
    baseline: float
    baselines: int
    refused: str
    by_roles: bool


def to_bytes(sums: dict[Key, Sums]) -> bytes:
    """As a file."""
    arrays: dict[str, Any] = {}
    heads = []
    for number, ((analysis, group), own) in enumerate(sums.items()):
        axes, refused = own.space.axes, own.refused
        heads.append(
            _Head(
                analysis,
                group,
                axes,
                own.rows,
                own.baseline,
                own.baselines,
                refused,
                own.space.by_roles,
            )
        )
        arrays |= {f"{name}{number}": values for name, values in own.arrays.items()}
    head = np.frombuffer(msgspec.json.encode(heads), dtype=np.uint8)
    file = BytesIO()
    np.savez(file, head=head, **arrays)
    return file.getvalue()


def from_bytes(raw: bytes) -> dict[Key, Sums]:
    """What ``to_bytes`` wrote. Raises ``BadResultFile``."""
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as file:
            heads = msgspec.json.decode(file["head"].tobytes(), type=list[_Head])
            found = {}
            for number, head in enumerate(heads):
                own = Sums(head.by_roles)
                own.space.axes = head.axes
                own.rows, own.baseline, own.baselines = head.rows, head.baseline, head.baselines
                own.refused = head.refused
                own.arrays = {name: file[f"{name}{number}"] for name in _ARRAYS}
                cells = 0 if head.axes is None else own.space.cells
                if any(len(values) != cells for values in own.arrays.values()):
                    raise ValueError("arrays and axes do not fit")
                found[head.analysis, head.group] = own
            return found
    except (ValueError, KeyError, OSError, EOFError, msgspec.MsgspecError) as error:
        raise BadResultFile(
            f"Sums of a sweep cannot be read: {error}.", "Begin in another folder."
        ) from error
