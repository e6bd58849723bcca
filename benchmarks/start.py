"""The start: from nothing to the first numbers, in the command line and in the app.

    python -m benchmarks.start                       # this tree
    python -m benchmarks.start --beside OTHER/TREE   # and another one, in turn, round by round
    python -m benchmarks.start --save

A tree is copied and compiled first, as a package is when it is installed, and what is measured is run once
before it counts, so that files are in the page cache. Each line has the least and the median of wall and CPU
seconds, the CPU of the processes below included; for the command and the app's first result also the median
of their ratio to importing torch and a model class in the same round, in a process that does nothing else.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.app import FRAMES
from benchmarks.app_terminal import ROOT, cpu_s, terminal
from benchmarks.lines import Lines, add_save

SIZE = (120, 40)
IMPORTS = "import torch; from transformers import GPT2LMHeadModel"
ANALYZE = (
    "-m",
    "interpboard",
    "analyze",
    "--text",
    "The capital of France is",
    "-a",
    "head_ablation",
)
COMMANDS = {
    "import interpboard": ("-c", "import interpboard"),
    "--help": ("-m", "interpboard", "--help"),
    "list": ("-m", "interpboard", "list"),
    "analyze": ANALYZE,
}
ALONE = "torch and a model class"


class Took(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def command(*words: str, tree: Path) -> Took:
    """Python with ``words``, its modules from ``tree``."""
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    keep = {name: value for name, value in os.environ.items() if name not in left_out}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=tree, env=keep, check=True, capture_output=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def first_paint(tree: Path) -> Took:
    """Until frames and prompt are written."""
    with terminal(SIZE, tree=tree) as app:
        return Took(app.until(*FRAMES), cpu_s(app.pid))


def first_result(tree: Path) -> Took:
    """Until the answer stands on the screen: the app's CPU and its engine's."""
    with terminal(SIZE, tree=tree) as app:
        wall = app.until(b"Paris")
        children = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
        return Took(wall, cpu_s(app.pid) + sum(cpu_s(int(child)) for child in children))


def tasks(tree: Path) -> dict[str, Callable[[], Took]]:
    """What is measured of a tree, by name."""

    def of(words: tuple[str, ...]) -> Callable[[], Took]:
        return lambda: command(*words, tree=tree)

    return {
        **{name: of(words) for name, words in COMMANDS.items()},
        "app, first paint": lambda: first_paint(tree),
        "app, first result": lambda: first_result(tree),
    }


def compiled(tree: Path, where: Path) -> Path:
    """A copy of the packages with their bytecode."""
    for package in ("interpboard", "tui"):
        shutil.copytree(tree / package, where / package)
    compileall.compile_dir(where, quiet=2)
    return where


def commit_of(tree: Path) -> str:
    """Of its repository."""
    asked = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=8"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another tree, measured in turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", action="append", help="one of the tasks, by name; may be repeated"
    )
    add_save(parser, "start")
    asked = parser.parse_args()
    trees = [ROOT, *([asked.beside] if asked.beside else [])]
    with TemporaryDirectory() as home:
        measured: dict[tuple[str, str], Callable[[], Took]] = {
            ("", ALONE): lambda: command("-c", IMPORTS, tree=Path(home))
        }
        for number, tree in enumerate(trees):
            copy = compiled(tree, Path(home) / str(number))
            for name, run in tasks(copy).items():
                if not asked.only or name in asked.only:
                    measured[commit_of(tree), name] = run
        for run in measured.values():
            run()
        lines = Lines(
            "start", asked.save, rounds=asked.rounds, size=SIZE, environment=environment()
        )
        found: dict[tuple[str, str], list[Took]] = {key: [] for key in measured}
        for _ in range(asked.rounds):
            for key, run in measured.items():
                found[key].append(run())
    alone = found["", ALONE]
    for (commit, name), took in found.items():
        line = {"task": name, "commit": commit} if commit else {"task": name}
        for what in Took._fields:
            values = [getattr(each, what) for each in took]
            line |= {
                f"{what}_least": round(min(values), 3),
                f"{what}_median": round(median(values), 3),
            }
            if name in ("analyze", "app, first result"):
                beside = [
                    value / getattr(base, what) for value, base in zip(values, alone, strict=True)
                ]
                line[f"{what}_of_imports"] = round(median(beside), 2)
        lines.say(line)


def environment() -> str:
    """What transformers finds beside torch and imports for its own ends."""
    from importlib.util import find_spec

    names = ("torchao", "peft", "accelerate", "sklearn", "scipy", "datasets", "pandas")
    beside = [name for name in names if find_spec(name)]
    return f"beside transformers: {', '.join(beside) or 'nothing'}"


if __name__ == "__main__":
    main()
