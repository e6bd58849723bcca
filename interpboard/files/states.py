"""Whether a file that a parameter names is still the one that was read."""

from __future__ import annotations

import os
from typing import Any


def file_state(value: Any) -> tuple[int, int] | None:
    """Size and time of the file that a parameter names; None where it names none."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    try:
        found = os.stat(value)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
