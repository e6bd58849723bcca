"""Collects examples of the corpus into the file that it is given, and is killed at the fourth step."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from interpboard.circuits.neurons.collect import collect_examples
from interpboard.runs.watch import Watch
from tests.circuits.test_examples import SMALL
from tests.lm import tiny_lm


def main(corpus: str, out: str) -> None:
    """Collect until the fourth step."""
    steps: list[int] = []

    def die(done: int, _total: int, _partial: Any) -> None:
        steps.append(done)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    collect_examples(tiny_lm("gpt2"), corpus, out, SMALL, Watch(on_progress=die), 0.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
