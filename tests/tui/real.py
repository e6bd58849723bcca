"""The app with its real engine in a fork, which need not import torch: half a second instead of five.

``python -m tests.tui.real`` is the program so. Where the start itself is asked for, ``interpboard`` is run.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from interpboard.cli.main import main
from interpboard.engine.process import EngineProcess
from tests.forks import program

Spawn = Callable[[Sequence[str], Path], Awaitable[EngineProcess]]


def forking(spawn: Spawn = EngineProcess.spawn) -> Spawn:
    """``EngineProcess.spawn``, in which ``python -m MODULE`` is a fork."""

    async def forked(command: Sequence[str], log_path: Path) -> EngineProcess:
        _python, _m, module = command
        return await spawn(program(module), log_path)

    return forked


if __name__ == "__main__":
    EngineProcess.spawn = forking()  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
