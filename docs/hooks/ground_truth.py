"""What the analyses find in compiled models, from a table that a test compares with what they find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.hooks.tables import code, table

FILE = Path(__file__).parent.parent / "ground-truth.json"


def read() -> dict[str, dict[str, dict[str, Any]]]:
    """By program, by analysis: ``found``, names, and ``else``, the largest value on anything else."""
    rows: dict[str, dict[str, dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return rows


def tables() -> str:
    """A table a program, a row an analysis."""
    heads = ("analysis", "found", "everything else")
    parts = []
    for program, found in read().items():
        rows = [_row(analysis, about) for analysis, about in found.items()]
        parts.append(f"### {program}\n\n{table(heads, rows)}")
    return "\n\n".join(parts)


def _row(analysis: str, about: dict[str, Any]) -> tuple[str, str, str]:
    return analysis, " ".join(map(code, about["found"])) or "nothing", about["else"]
