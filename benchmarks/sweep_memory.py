"""The memory of a sweep over many rows: the lens of a tiny model, and the mean of it.

    OMP_NUM_THREADS=1 python -m benchmarks.sweep_memory [--rows 100000] [--minutes 60] [--save]

Prints the resident memory at every 5,000 rows, then the most that it ever was before and after the mean with
its intervals was taken. Stopped after ``minutes``; with ``--folder`` the next run goes on in it (100,000
rows take ten minutes of one core).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.lines import Lines, add_save
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import Cancelled
from interpboard.models.language_model import LanguageModel
from interpboard.sweeps.in_process import sweep_in_process
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.row_work import rows_function
from interpboard.sweeps.sweep import AggregateSettings, begin_sweep, written_aggregate
from tests.tiny import tiny_model, tiny_tokenizer

_EVERY, _SAID = 1000, 5000  # rows


def _resident() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _growth(held: list[tuple[int, float]]) -> float:
    """MiB that 10,000 rows add, by a line through what was resident behind the first fifth."""
    rows, mib = np.array(held[len(held) // 5 :]).T
    return float(np.polyfit(rows, mib, 1)[0] * 10_000)


def _measure(lines: Lines, rows: int, minutes: float, folder: Path) -> None:
    data = folder / "many.jsonl"
    with data.open("w", encoding="utf-8") as file:
        file.writelines(
            f'{{"text": "The city {i % 97} of {i} is on the {i % 13}"}}\n' for i in range(rows)
        )
    lm = LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "tiny")
    dataset, request = open_dataset([data]), sweep_request(["logit_lens"])
    out = begin_sweep(lm, dataset, request, folder / "out")
    until = time.monotonic() + 60 * minutes
    held: list[tuple[int, float]] = []

    def on_pace(pace: SweepPace) -> None:
        if not pace.computed or pace.rows % _EVERY:
            return
        held.append((pace.rows, _resident()))
        if pace.rows % _SAID == 0:
            lines.say({"task": "rows", "rows": pace.rows, "mib": round(held[-1][1], 1),
                       "cpu": round(time.process_time(), 1)})  # fmt: skip

    def check() -> None:
        if time.monotonic() > until:
            raise Cancelled

    try:
        sweep_in_process(rows_function(lm, request), dataset, out, check, on_pace)
    except Cancelled:
        lines.say({"task": "stopped", "minutes": minutes})
    more = {"mib_more_each_10000_rows": round(_growth(held), 2)} if len(held) > 4 else {}
    lines.say({"task": "the most while rows are computed", "mib": round(_most(), 1), **more})
    begun = time.process_time()
    written_aggregate(out, AggregateSettings())
    lines.say({"task": "the most, the mean taken too", "mib": round(_most(), 1),
               "cpu_of_the_mean": round(time.process_time() - begun, 1)})  # fmt: skip


def main() -> None:
    """Sweep, and print what it held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--folder", type=Path)
    add_save(parser, "sweep_memory")
    chosen = parser.parse_args()
    lines = Lines("sweep_memory", chosen.save)
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        _measure(lines, chosen.rows, chosen.minutes, folder)


if __name__ == "__main__":
    main()
