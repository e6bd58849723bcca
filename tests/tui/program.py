"""``interpboard`` as a program with canned answers for an engine, and one key that breaks it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import tui.app
import tui.run
import tui.terminal.exit
from interpboard.cli.main import main
from tests.tui.fake import FakeEngine


class App(tui.app.InterpBoardApp):
    """``ctrl+t`` is a fault of ours."""

    CSS_PATH = Path(tui.app.__file__).with_name("interpboard.tcss")

    def __init__(self, *args: object, hint: bool, **options: object) -> None:
        hint = hint and "HINT" in os.environ
        super().__init__(*args, engine_factory=FakeEngine, hint=hint, **options)  # type: ignore[arg-type]

    async def on_unmount(self) -> None:
        if "STUCK" in os.environ:  # as a write to a terminal that is gone
            threading.Event().wait()

    def action_switch_theme(self) -> None:
        raise RuntimeError("boom [/INST]")


if __name__ == "__main__":
    if "STUCK" in os.environ:
        tui.terminal.exit.PATIENCE_S = 0.5
    tui.run.InterpBoardApp = App  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
