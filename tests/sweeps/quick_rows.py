"""A sweep whose rows take no model: what is proved of it is the folder and the way through the rows.

As a program it goes through the rows until it is done or killed, a part every few milliseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from interpboard.datasets.dataset import open_dataset
from interpboard.results import Axis, MadeBy, ModelInfo
from interpboard.sweeps.folder import Manifest, SweepFolder
from interpboard.sweeps.in_process import MissingRow, sweep_in_process
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.row_results import RowResult

MODEL = ModelInfo("quick", None, "none", 1, 1, "float64", "cpu", weights="w")
AXES = (Axis("layer", ("0", "1")), Axis("head", ("0", "1")))


def quick_work(number: int) -> np.ndarray:
    """The values of a row."""
    return np.random.default_rng(number).normal(size=4)


def begun(
    data: Path, out: Path
) -> tuple[SweepFolder, Callable[[Sequence[MissingRow]], Iterator[list[RowResult]]]]:
    """The folder of a sweep of two analyses, and its row function."""
    dataset = open_dataset([data])
    manifest = Manifest(
        made_by=MadeBy("0", "0", "0"),
        dataset=(str(data),),
        dataset_fingerprint=dataset.fingerprint(),
        model=MODEL,
        request=sweep_request(["head_ablation", "occlusion"]),
        rows=sum(1 for _ in dataset.rows()),
    )

    def work(rows: Sequence[MissingRow]) -> Iterator[list[RowResult]]:
        for row, ids in rows:
            yield [
                RowResult(
                    id, row.number, row.place, name, AXES, quick_work(row.number), text=row.text
                )
                for name, id in ids.items()
            ]

    return SweepFolder.begin(out, manifest), work


def main(data: str, out: str) -> None:
    """Go through ``data`` into ``out``."""
    folder, work = begun(Path(data), Path(out))
    print("begun", flush=True)

    def slowly(rows: Sequence[MissingRow]) -> Iterator[list[RowResult]]:
        for results in work(rows):
            time.sleep(0.001)
            yield results

    sweep_in_process(slowly, open_dataset([data]), folder, flush_after=0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
