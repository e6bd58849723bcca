"""The command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ("INTERPBOARD_DEBUG", "NO_COLOR", "COLUMNS", "FORCE_COLOR", "COLORFGBG")
COMMAND = (sys.executable, "-m", "interpboard.cli.main")


def interpboard(*args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, without a terminal."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("env", {k: v for k, v in os.environ.items() if k not in ENVIRONMENT})
    return subprocess.run([*COMMAND, *args], cwd=ROOT, capture_output=True, timeout=120, **options)
