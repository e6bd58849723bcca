"""The command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.forks import program

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ("INTERPBOARD_DEBUG", "NO_COLOR", "COLUMNS", "FORCE_COLOR", "COLORFGBG")
COMMAND = (sys.executable, "-m", "interpboard.cli.main")


def interpboard(
    *args: str, command: Sequence[str] = COMMAND, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, without a terminal."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("env", {k: v for k, v in os.environ.items() if k not in ENVIRONMENT})
    return subprocess.run([*command, *args], cwd=ROOT, capture_output=True, timeout=120, **options)


def forked_interpboard(*args: str) -> subprocess.CompletedProcess[bytes]:
    """The same in a fork, which need not import torch: for what the computation says."""
    return interpboard(*args, command=program(COMMAND[-1]))
