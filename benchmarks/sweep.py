"""A sweep of IOI rows on the demo model: beside a loop of commands, by two workers, and its memory over
many rows.

    python -m benchmarks.sweep [--rows 1000] [--loop 5] [--many 100000] [--save]

``rows``: swept in one process (head grid, lens, direct attribution) and by two workers; each a process of
its own. ``loop``: so many single commands of the same analyses. ``many``: rows of a model without weight,
for the memory alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.lines import Lines, add_save

ANALYSES = ("head_ablation", "logit_lens", "direct_logit_attribution")
NAMES = ("Mary", "John", "Tom", "Anna", "Sarah", "James", "Emma", "Dan", "Lucy", "Bob")
PLACES = ("store", "park", "office", "garden", "school")
OBJECTS = ("drink", "book")

TEMPLATE = f"""\
text = "When {{A}} and {{B}} went to the {{place}}, {{B}} gave a {{object}} to"
target = " {{A}}"
foil = " {{B}}"
distinct = ["A", "B"]
[slots]
A = {json.dumps(NAMES)}
B = {json.dumps(NAMES)}
place = {json.dumps(PLACES)}
object = {json.dumps(OBJECTS)}
"""

QUICK = """\
import resource, sys
from pathlib import Path
from interpboard.datasets.dataset import open_dataset
from interpboard.sweeps.here import sweep_here
from tests.sweeps.quick_rows import begun
data, out = map(Path, sys.argv[1:])
folder, work = begun(data, out)
peaks = []
def on_pace(pace):
    if pace.rows % 10_000 == 0:
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sweep_here(work, open_dataset([data]), folder, on_pace=on_pace)
print(peaks)
"""


def command(*words: str) -> tuple[float, str]:
    """Seconds that a command of ours took, and what it wrote on standard error."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "interpboard", *words], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, done.stderr


def worked(out: Path) -> float:
    """Seconds that the rows themselves took."""
    from pyarrow import parquet

    return sum(
        sum(parquet.read_table(part, columns=["seconds"])["seconds"].to_pylist())
        for part in (out / "rows").glob("*.parquet")
    )


def main() -> None:
    """Sweep, loop, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=5)
    parser.add_argument("--many", type=int, default=100_000)
    add_save(parser, "sweep")
    chosen = parser.parse_args()
    lines = Lines("sweep", chosen.save)
    asked = [word for name in ANALYSES for word in ("-a", name)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "ioi.toml"
        data.write_text(TEMPLATE, encoding="utf-8")
        for workers in (1, 2):
            out = folder / f"out{workers}"
            seconds, _ = command(
                "sweep", str(data), *asked, "--metric", "logit_diff", "--output", str(out),
                "--limit", str(chosen.rows), "--workers", str(workers), "--format", "json",
            )  # fmt: skip
            own = worked(out)
            lines.say({
                "task": "sweep", "workers": workers, "rows": chosen.rows, "seconds": round(seconds, 2),
                "of_rows": round(own, 2), "ratio": round(seconds / own, 3)})  # fmt: skip
        spent = [
            command(
                "analyze", "--text", "When Mary and John went to the store, John gave a drink to",
                "--target", " Mary", "--foil", " John", *asked, "--format", "json",
            )[0]
            for _ in range(chosen.loop)
        ]  # fmt: skip
        lines.say(
            {"task": "loop of commands", "rows": chosen.loop, "seconds_a_row": round(min(spent), 3)}
        )
        many = folder / "many.jsonl"
        many.write_text("".join(f'{{"text": "row {i}"}}\n' for i in range(chosen.many)), "utf-8")
        done = subprocess.run(
            [sys.executable, "-c", QUICK, str(many), str(folder / "many")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks = json.loads(done.stdout)
        lines.say({"task": "memory", "rows": chosen.many, "peak_mib_each_10000_rows": peaks})


if __name__ == "__main__":
    main()
