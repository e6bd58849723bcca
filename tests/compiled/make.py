"""Write a compiled model into a folder, to look at: ``python -m tests.compiled.make induction FOLDER``.

Then ``interpboard -m FOLDER``, or ``interpboard analyze -m FOLDER --dtype float64 --text abcda``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.compiled.compiler import HARD, SOFT
from tests.compiled.folder import write
from tests.compiled.programs import PROGRAMS


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, write the folder, say what to do with it."""
    parser = argparse.ArgumentParser(prog="python -m tests.compiled.make")
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--soft", action="store_true", help="a softmax that is not saturated")
    parser.add_argument("--rotated", action="store_true", help="nothing on an axis of the stream")
    given = parser.parse_args(arguments)
    sharp = SOFT if given.soft else HARD
    folder = write(PROGRAMS[given.program], given.folder, sharp, given.rotated)
    print(f"interpboard -m {folder} --dtype float64")


if __name__ == "__main__":
    main()
