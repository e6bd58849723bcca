"""A sweep of IOI rows on the demo model: beside loops of single prompts, by two workers, and its memory over
many rows.

    python -m benchmarks.sweep [--rows 1000] [--loop 3] [--alone 40] [--many 100000] [--minutes 3] [--save]

``rows``: swept (head grid, lens, direct attribution) in one process, with all cores and with one core, and by
two workers of a core each; each run a process of its own. ``loop``: so many single commands of the same
analyses. ``alone``: so many prompts in a loop of ``analyze`` in one process, on one core. ``many``: rows of a
tiny model through the lens, as far as ``minutes`` reach, with the resident memory on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

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

ALONE = """\
import sys, time
from interpboard.analyze import analyze
from interpboard.datasets.dataset import open_dataset
from interpboard.models.language_model import open_model
from interpboard.results import MetricRequest
data, analyses, number = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
lm = open_model("demo")
rows = list(open_dataset([data], limit=number).rows())
analyze(lm, rows[0].text, analyses, MetricRequest("logit_diff", rows[0].target, rows[0].foil))
started = time.perf_counter()
for row in rows:
    analyze(lm, row.text, analyses, MetricRequest("logit_diff", row.target, row.foil))
print((time.perf_counter() - started) / len(rows))
"""

MANY = """\
import sys, time
from pathlib import Path
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import Cancelled
from interpboard.models.language_model import LanguageModel
from interpboard.sweeps.in_process import sweep_in_process
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.row_work import rows_function
from interpboard.sweeps.sweep import begin_sweep
from tests.tiny import tiny_model, tiny_tokenizer
data, out, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
lm = LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "tiny")
dataset, request = open_dataset([data]), sweep_request(["logit_lens"])
folder = begin_sweep(lm, dataset, request, out)
until, held = time.monotonic() + seconds, []
def on_pace(pace):
    if pace.rows % 1000 == 0:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held.append((pace.rows, pages * 4096 / 2**20))
def check():
    if time.monotonic() > until:
        raise Cancelled
try:
    sweep_in_process(rows_function(lm, request), dataset, folder, check, on_pace)
except Cancelled:
    pass
print(held)
"""


def command(*words: str, cores: int = 0) -> float:
    """Seconds that a command of ours took, on so many cores (0: all)."""
    started = time.perf_counter()
    ran([sys.executable, "-m", "interpboard", *words], cores)
    return time.perf_counter() - started


def ran(words: list[str], cores: int = 0) -> str:
    """What a process said on standard output."""
    own = {"OMP_NUM_THREADS": str(cores)} if cores else {}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **own})
    done.check_returncode()
    return done.stdout


def worked(out: Path) -> float:
    """Seconds that the rows themselves took."""
    from pyarrow import parquet

    return sum(
        sum(parquet.read_table(part, columns=["seconds"])["seconds"].to_pylist())
        for part in (out / "rows").glob("*.parquet")
    )


def growth(held: list[tuple[int, float]]) -> float:
    """MiB that 10,000 rows add, by a line through what was resident behind the first fifth."""
    rows, mib = np.array(held[len(held) // 5 :]).T
    return float(np.polyfit(rows, mib, 1)[0] * 10_000)


def main() -> None:
    """Sweep, loop, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--loop", type=int, default=3)
    parser.add_argument("--alone", type=int, default=40)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    add_save(parser, "sweep")
    chosen = parser.parse_args()
    lines = Lines("sweep", chosen.save)
    asked = [word for name in ANALYSES for word in ("-a", name)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "ioi.toml"
        data.write_text(TEMPLATE, encoding="utf-8")
        for workers, cores in ((1, 0), (1, 1), (2, 0)):
            out = folder / f"out{workers}{cores}"
            seconds = command(
                "sweep", str(data), *asked, "--metric", "logit_diff", "--output", str(out),
                "--limit", str(chosen.rows), "--workers", str(workers), "--format", "json",
                cores=cores,
            )  # fmt: skip
            own = worked(out)
            lines.say({
                "task": "sweep", "workers": workers, "cores_of_each": cores or "all" if workers == 1 else 1,
                "rows": chosen.rows, "seconds": round(seconds, 2), "of_rows": round(own, 2),
                "ratio": round(seconds * workers / own, 3)})  # fmt: skip
        spent = [
            command(
                "analyze", "--text", "When Mary and John went to the store, John gave a drink to",
                "--target", " Mary", "--foil", " John", "--metric", "logit_diff", *asked,
                "--format", "json",
            )
            for _ in range(chosen.loop)
        ]  # fmt: skip
        lines.say(
            {"task": "loop of commands", "rows": chosen.loop, "seconds_a_row": round(min(spent), 3)}
        )
        alone = ran(
            [sys.executable, "-c", ALONE, str(data), ",".join(ANALYSES), str(chosen.alone)], cores=1
        )
        lines.say({
            "task": "loop of analyze in one process", "cores": 1, "rows": chosen.alone,
            "seconds_a_row": round(float(alone), 4)})  # fmt: skip
        many = folder / "many.jsonl"
        with many.open("w", encoding="utf-8") as file:
            file.writelines(
                f'{{"text": "The city {i % 97} of {i} is on the {i % 13}"}}\n'
                for i in range(chosen.many)
            )
        words = [
            sys.executable, "-c", MANY, str(many), str(folder / "many"), str(60 * chosen.minutes),
        ]  # fmt: skip
        held = json.loads(ran(words, cores=1).replace("(", "[").replace(")", "]"))
        lines.say({
            "task": "memory", "rows": held[-1][0] if held else 0,
            "mib": [round(mib, 1) for rows, mib in held if rows % 10_000 == 0],
            "mib_more_each_10000_rows": round(growth(held), 2) if len(held) > 4 else None})  # fmt: skip


if __name__ == "__main__":
    main()
