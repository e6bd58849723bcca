"""Where a view is written when nobody names a file."""

from __future__ import annotations

import re
from pathlib import Path


def safe_name(model: str) -> str:
    """The model's name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.") or "model"


def propose(model: str, scope: str, suffix: str, folder: Path | None = None) -> Path:
    """A file name that is not taken: ``interpboard-demo-heads.md``."""
    folder = folder or Path.cwd()
    stem = f"interpboard-{safe_name(model)}-{scope}"
    path = folder / f"{stem}.{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.{suffix}"
        number += 1
    return path
