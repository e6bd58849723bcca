"""Where a view is written when nobody names a file."""

from __future__ import annotations

import re
from pathlib import Path


def propose(model: str, scope: str, suffix: str, folder: Path | None = None) -> Path:
    """A file name that is not taken: ``interpboard-demo-heads.md``."""
    folder = folder or Path.cwd()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.") or "model"
    stem = f"interpboard-{safe}-{scope}"
    path = folder / f"{stem}.{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.{suffix}"
        number += 1
    return path
