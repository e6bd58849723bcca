"""The supported families, from a table that a test compares with what they prove."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.hooks.tables import code, table

FILE = Path(__file__).parent.parent / "families.json"
_PATHS = {"replay": "replay", "hooks": "hooked forwards"}


def read() -> dict[str, dict[str, Any]]:
    """What each family proves, by its name in transformers."""
    rows: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return rows


def table_of_families() -> str:
    """A row a family."""
    heads = ("family", "class", "interventions by", "lens", "float64", "kinds", "sites it lacks")
    return table(heads, [_row(family, row) for family, row in read().items()])


def _row(family: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        code(family),
        code(row["class"]),
        _PATHS[row["path"]],
        _yes(row["lens"]),
        _yes(row["float64"]),
        str(row["kinds"]),
        " ".join(_lacking(site, layers) for site, layers in row["without"].items()) or "none",
    )


def _lacking(site: str, layers: list[int]) -> str:
    """``layers``: where it is lacking; empty for everywhere."""
    return f"{code(site)} ({', '.join(map(str, layers))})" if layers else code(site)


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
