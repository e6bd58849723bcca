"""The rows of a sweep that are missing, put down in its folder in shards that several processes take from.

A shard is one file. Who takes it renames it, which only one can do, so that nobody hands out work: a worker
that is quick takes more. What a worker that died had taken is put back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from interpboard.datasets.dataset import Dataset
from interpboard.errors import BadResultFile
from interpboard.files import atomic
from interpboard.sweeps.finished_rows import FinishedRows
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.in_process import MissingRow, RowsFunction, missing_rows
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import RowResult

_FEWEST, _MOST = 8, 128  # rows a shard: as many are lost with a worker
_SUFFIX = ".msgpack"
_TAKEN = ".taken-"


class Shards:
    """The shards in ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, folder: SweepFolder) -> Shards:
        """Where those of ``folder`` are."""
        return cls(folder.path / ".rows-to-do")

    def put_down(
        self,
        dataset: Dataset,
        folder: SweepFolder,
        finished: FinishedRows,
        pace: SweepPace,
        check: Callable[[], None],
        workers: int,
    ) -> int:
        """Write the rows that are missing, with the ids of what is missing of them; how many they are.
        ``pace`` hears of the others. Raises ``BadResultFile`` where there is no room."""
        self.clear()
        held: list[MissingRow] = []
        number = total = 0
        of = _missing_about(folder, finished)

        def flush() -> None:
            nonlocal number
            if held:
                name = f"{number:08d}{_SUFFIX}"
                atomic.write_bytes(self.path / name, msgspec.msgpack.encode(held))
                number += 1
                held.clear()

        try:
            self.path.mkdir()
            for row, missing in missing_rows(dataset, folder, finished):
                check()
                if not missing:
                    pace.rows += 1
                    continue
                if not held:
                    a_shard = rows_a_shard(None if of is None else of - total, workers)
                held.append((row, missing))
                total += 1
                if len(held) >= a_shard:
                    flush()
            flush()
        except OSError as error:
            raise BadResultFile(
                f"Cannot write {self.path}: {error.strerror or error}.",
                "Make room or mend it; the same command goes on from here.",
            ) from error
        return total

    def places(self) -> list[Path]:
        """The shards that nobody has taken, in the order of their rows."""
        return sorted(self.path.glob(f"*{_SUFFIX}"))

    def take(self, worker: int) -> Path | None:
        """A shard that is ``worker``'s from now on; None: there is none left."""
        for place in self.places():
            own = place.with_name(f"{place.name}{_TAKEN}{worker}")
            try:
                return place.rename(own)
            except FileNotFoundError:
                continue  # another was quicker
        return None

    def put_back(self, worker: int) -> None:
        """What ``worker`` had taken and did not end is there for the others."""
        for place in self.path.glob(f"*{_TAKEN}{worker}"):
            place.rename(place.with_name(place.name.partition(_TAKEN)[0]))

    def clear(self) -> None:
        """Away with all of them."""
        shutil.rmtree(self.path, ignore_errors=True)


def results_of_shard(
    work: RowsFunction, shard: Path, pace: SweepPace
) -> Iterator[Sequence[RowResult]]:
    """The results of each row of ``shard``, of which ``pace`` has heard."""
    rows = msgspec.msgpack.decode(shard.read_bytes(), type=list[MissingRow])
    for found in work(rows):
        pace.took(found)
        yield found


def _missing_about(folder: SweepFolder, finished: FinishedRows) -> int | None:
    """How many rows lack the analysis that most lack; None: nobody counted. Those are all that lack any
    where rows were swept in their order, whatever analyses were asked for since."""
    rows, there = folder.manifest.rows, finished.by_analysis
    if rows is None:
        return None
    return max(0, rows - min(there.get(name, 0) for name in folder.manifest.request.analyses))


def rows_a_shard(left: int | None, workers: int) -> int:
    """Rows of the next shard where ``left`` are still to be put down (None: nobody knows): a worker's share
    of them, so that rows of one length are together at first, and all workers end together.

    A shard of a small model costs as much besides its rows as nine of these (trees are proved in each), so
    that there are to be no more shards than that takes (Polychronopoulos and Kuck 1987, "Guided
    Self-Scheduling").
    """
    if left is None:
        return _MOST
    return min(_MOST, max(-(-left // workers), _FEWEST))
