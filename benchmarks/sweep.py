"""A sweep of IOI rows on the demo model: beside loops of single prompts, and by two workers.

    python -m benchmarks.sweep --part loops|workers|rows|larger [--rows 1000] [--few 200] [--save]

Head grid, lens and direct attribution of ``rows`` rows in one command. ``loops``: one process of one core,
beside so many single commands (``loop``), each of which pays its imports, and beside a loop of ``analyze``
over so many prompts in one process (``alone``). It takes ``few`` rows too: the difference is what a further
row costs, without imports and start. ``workers``: one process and two workers, a core each, through ``many``
rows of the same template with more names: so many that the start is little beside them. ``rows``: one
process and two workers through ``rows`` rows. ``larger``: one process and two workers through ``large`` rows
on a model with random weights at the size of GPT-2 small.
What it costs in memory: ``benchmarks.sweep_memory``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.children import Ran, run_watched
from benchmarks.lines import Lines, add_save

ANALYSES = ("head_ablation", "logit_lens", "direct_logit_attribution")
NAMES = ("Mary", "John", "Tom", "Anna", "Sarah", "James", "Emma", "Dan", "Lucy", "Bob", "Alice")
MORE_NAMES = (
    "Peter", "Paul", "Mark", "David", "Laura", "Kate", "Jack", "Ben", "Sam", "Max", "Leo", "Henry", "Jane"
)  # fmt: skip
PLACES = ("store", "park", "office", "garden", "school")
OBJECTS = ("drink", "book")
WORKER = "worker_process"

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
wall, cpu = time.perf_counter(), time.process_time()
for row in rows:
    analyze(lm, row.text, analyses, MetricRequest("logit_diff", row.target, row.foil))
print((time.perf_counter() - wall) / len(rows), (time.process_time() - cpu) / len(rows))
"""


def _worked(out: Path) -> float:
    """Seconds that the rows themselves took."""
    from pyarrow import parquet

    return sum(
        sum(parquet.read_table(part, columns=["seconds"])["seconds"].to_pylist())
        for part in (out / "rows").glob("*.parquet")
    )


def _swept(lines: Lines, folder: Path, rows: int, workers: int, model: str = "demo") -> Ran:
    """One sweep, said."""
    out = folder / f"out-{rows}-{workers}"
    asked = [word for name in ANALYSES for word in ("-a", name)]
    ran = run_watched(
        [
            sys.executable, "-m", "interpboard", "sweep", str(folder / "ioi.toml"), *asked,
            "--metric", "logit_diff", "--output", str(out), "--limit", str(rows),
            "--workers", str(workers), "--format", "json", "--model", model,
        ],
        threads=1,
    )  # fmt: skip
    own = _worked(out)
    lines.say({
        "task": "sweep", "workers": workers, "rows": rows, "seconds": round(ran.wall, 2),
        "cpu": round(ran.cpu_of(), 2), "cpu_of_workers": round(ran.cpu_of(WORKER), 2),
        "of_rows": round(own, 2), "ratio": round(ran.wall * workers / own, 3)})  # fmt: skip
    return ran


def _further(lines: Lines, folder: Path, few: int, rows: int, workers: int) -> tuple[Ran, float]:
    """A sweep of a few rows and one of all: the latter, and seconds a further row, said."""
    one, all_of_them = (_swept(lines, folder, number, workers) for number in (few, rows))
    more = rows - few
    cpu = (all_of_them.cpu_of() - one.cpu_of()) / more
    wall = (all_of_them.wall - one.wall) / more
    lines.say({
        "task": "a further row", "workers": workers,
        "seconds": round(wall, 4), "cpu": round(cpu, 4)})  # fmt: skip
    return all_of_them, wall


def _loops(lines: Lines, folder: Path, chosen: argparse.Namespace) -> None:
    swept, further = _further(lines, folder, chosen.few, chosen.rows, 1)
    asked = [word for name in ANALYSES for word in ("-a", name)]
    words = [
        sys.executable, "-m", "interpboard", "analyze",
        "--text", "When Mary and John went to the store, John gave a drink to",
        "--target", " Mary", "--foil", " John", "--metric", "logit_diff", *asked, "--format", "json",
    ]  # fmt: skip
    commands = [run_watched(words, threads=1) for _ in range(chosen.loop)]
    least = min(ran.wall for ran in commands)
    lines.say({
        "task": "loop of commands", "commands": chosen.loop, "seconds_a_row": round(least, 3),
        "cpu_a_row": round(min(ran.cpu_of() for ran in commands), 3),
        "times_the_sweep": round(least / (swept.wall / chosen.rows), 1)})  # fmt: skip
    alone = [sys.executable, "-c", ALONE, str(folder / "ioi.toml"), ",".join(ANALYSES)]
    wall, cpu = map(float, run_watched([*alone, str(chosen.alone)], threads=1).out.split())
    lines.say({
        "task": "loop of analyze in one process", "rows": chosen.alone,
        "seconds_a_row": round(wall, 4), "cpu_a_row": round(cpu, 4),
        "times_the_sweep": round(wall / further, 2)})  # fmt: skip


def _workers(lines: Lines, folder: Path, chosen: argparse.Namespace) -> None:
    more = TEMPLATE.replace(json.dumps(NAMES), json.dumps(NAMES + MORE_NAMES))
    (folder / "ioi.toml").write_text(more, encoding="utf-8")
    one, two = (_swept(lines, folder, chosen.many, workers) for workers in (1, 2))
    lines.say({
        "task": "two workers beside one", "rows": chosen.many,
        "times": round(one.wall / two.wall, 2)})  # fmt: skip


def _rows(lines: Lines, folder: Path, chosen: argparse.Namespace) -> None:
    for workers in (1, 2):
        _swept(lines, folder, chosen.rows, workers)


def _larger(lines: Lines, folder: Path, chosen: argparse.Namespace) -> None:
    """GPT-2 small's size, with the tokenizer of the demo model."""
    import torch
    import transformers as tf

    from interpboard.models.language_model import open_model

    model = str(folder / "model")
    tokenizer = open_model("demo").tokenizer
    torch.manual_seed(0)
    tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=len(tokenizer), n_positions=64)).save_pretrained(
        model
    )
    tokenizer.save_pretrained(model)
    one, two = (_swept(lines, folder, chosen.large, workers, model) for workers in (1, 2))
    lines.say({
        "task": "two workers beside one", "rows": chosen.large, "model": "12 layers x 12 heads, d 768",
        "times": round(one.wall / two.wall, 2)})  # fmt: skip


PARTS = {"loops": _loops, "workers": _workers, "rows": _rows, "larger": _larger}


def main() -> None:
    """Run the parts, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=tuple(PARTS), required=True)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--few", type=int, default=200)
    parser.add_argument("--many", type=int, default=5200)
    parser.add_argument("--large", type=int, default=64)
    parser.add_argument("--loop", type=int, default=3)
    parser.add_argument("--alone", type=int, default=40)
    add_save(parser, "sweep_PART")
    chosen = parser.parse_args()
    lines = Lines(f"sweep_{chosen.part}", chosen.save)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ioi.toml").write_text(TEMPLATE, encoding="utf-8")
        PARTS[chosen.part](lines, folder, chosen)


if __name__ == "__main__":
    main()
