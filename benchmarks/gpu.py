"""What a GPU makes of the analyses: values first, then times, memory, cancelling. One command.

    python -m benchmarks.gpu [--quick] [--seconds 420] [--out FILE] [--profile FOLDER]
    python -m benchmarks.gpu --dry-run          # tiny sizes on the CPU: see that it runs

Needs torch, transformers, and what is named if it is missing; captum where it is installed. No hub: random
weights, made on the device. Every measurement is a line of JSON that says card, commit, date and load.
Tasks (``benchmarks.gpu_tasks``) run in a process of their own, which is ended if one hangs or if the time is
over, and begun anew behind a task that ends it: no task loses the lines of others. None is begun after
``--seconds``, and all is over a minute later.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.lines import commit, versions

NEEDED = ("torch", "transformers", "msgspec", "platformdirs")
OVERTIME_S = 60.0
"""What may still run when no task is begun any more has so long."""
Say = Callable[[dict[str, Any]], None]


def missing(needed: Sequence[str] = NEEDED) -> str:
    """What to do about packages that are not here, in a line; empty: all are."""
    names = " ".join(name for name in needed if find_spec(name) is None)
    return names and (
        f"Not installed here: {names}. pip install {names}; without a network, pip download {names} "
        f"-d wheels elsewhere, carry the folder, and pip install --no-index --find-links wheels {names}."
    )


@dataclass
class Tasks:
    """Processes that do tasks, one after the other, until all are done or the time is over.

    ``command(first)``: what does them from the one of number ``first`` on, and says ``begins`` (``of``) and
    ``ended`` of each. ``say`` hears the other lines. ``seconds``: none is begun after so many; a task that
    runs ``longest`` is ended with its process.
    """

    command: Callable[[int], Sequence[str]]
    say: Say
    seconds: float
    longest: float
    overtime: float = OVERTIME_S
    failed: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _next: int = 0
    _of: int = 1
    _name: str = "the start"

    def run(self) -> list[str]:
        """All of them; what failed."""
        while self._next < self._of and self._left() > 0:
            before = self._next
            problem = self._one_process(before)
            if problem:
                self.failed.append(self._name)
                self.say({"task": self._name, "error": problem})
            if self._next == before:  # it did not come to the first
                break
        if self._next < self._of:
            self.say({"skipped": self._of - self._next, "why": "no time left, or no process began"})
            self.failed.append("tasks that were not done")
        return self.failed

    def _left(self) -> float:
        return self.seconds - (time.monotonic() - self._began)

    def _one_process(self, first: int) -> str:
        """Why it ended before all was done; empty: it did not, or the time was over between two tasks."""
        words = list(self.command(first))
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            return self._hear(child)
        finally:
            child.kill()  # it has ended, or is to
            child.wait()

    def _hear(self, child: subprocess.Popen[str]) -> str:
        said: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(child, said), daemon=True).start()
        began = time.monotonic()
        while True:
            limit = min(self.longest - (time.monotonic() - began), self._left() + self.overtime)
            try:
                text = said.get(timeout=max(limit, 0.0))
            except queue.Empty:
                return f"it had not ended after {time.monotonic() - began:.0f} s"
            if text is None:
                return f"its process ended with {child.wait()}" if self._next < self._of else ""
            line = json.loads(text) if text.startswith("{") else {"said": text.rstrip()}
            if "begins" in line:
                if self._left() <= 0:
                    return ""
                self._next, self._of, self._name = line["begins"] + 1, line["of"], line["task"]
                began = time.monotonic()
            elif "ended" in line:
                self.failed += line["failed"]
            else:
                self.say(line)


def _read(child: subprocess.Popen[str], said: queue.Queue[str | None]) -> None:
    assert child.stdout is not None
    for text in child.stdout:
        said.put(text)
    said.put(None)


def main() -> None:
    """Measure; exit status 1 if a value was wrong or a task failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--seconds", type=float, default=420, help="begin no task after so many")
    parser.add_argument(
        "--longest", type=float, default=150, help="end a task that takes so many seconds"
    )
    parser.add_argument("--out", type=Path, help="write the lines there, too")
    parser.add_argument("--profile", help="a folder for torch's profiles of two grids")
    parser.add_argument(
        "--commit", default=commit(), help="what is measured, where no clone says it"
    )
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on the CPU")
    chosen = parser.parse_args()
    if problem := missing():
        raise SystemExit(problem)
    if not chosen.commit:
        raise SystemExit("This is no clone of the repository: say what is measured, --commit NAME.")
    if not chosen.dry_run and not _has_cuda():
        raise SystemExit("There is no CUDA device; --dry-run measures on the CPU.")
    if chosen.out:
        chosen.out.write_text("", encoding="utf-8")
    began = time.monotonic()
    card: dict[str, str] = {}
    about = {"commit": chosen.commit, "date": time.strftime("%Y-%m-%d")}

    def say(line: dict[str, Any]) -> None:
        card.update({"card": line["card"]} if "card" in line else {})
        load = round(os.getloadavg()[0], 2)
        at = round(time.monotonic() - began, 1)
        shown = json.dumps({"load": load, **card, **line, **about, "at": at})
        print(shown, flush=True)
        if chosen.out:
            with chosen.out.open("a", encoding="utf-8") as file:
                print(shown, file=file)

    passed = [name for name in ("quick", "dry_run") if getattr(chosen, name)]
    options = [f"--{name.replace('_', '-')}" for name in passed]
    options += ["--profile", chosen.profile] if chosen.profile else []
    own = [sys.executable, "-m", "benchmarks.gpu_tasks", *options]
    say({"benchmark": "gpu", "versions": versions()})
    tasks = Tasks(lambda first: [*own, "--first", str(first)], say, chosen.seconds, chosen.longest)
    failed = tasks.run()
    say({"failed": failed})
    raise SystemExit(1 if failed else 0)


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    main()
