"""The supported families, from a table that a test compares with what they prove."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.hooks.tables import code, table

FILE = Path(__file__).parent.parent / "families.json"
TYPES = FILE.parent / "model-types.json"
AGREES = 1e-4  # relative: as near to plain hooked forwards
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


def read_types() -> dict[str, Any]:
    """What ``make models`` found: the version of transformers, and by task a row a type."""
    found: dict[str, Any] = json.loads(TYPES.read_text(encoding="utf-8"))
    return found


def table_of_types() -> str:
    """A table a task, with its count: what each type proved, or why it is refused."""
    found = read_types()
    parts = [f"Measured with transformers {found['transformers']}."]
    for task, rows in found["tasks"].items():
        built = [name for name, row in rows.items() if "not built" not in row]
        good = sum(agrees(rows[name]) for name in built)
        opened = sum("path" in rows[name] for name in built)
        parts += [
            f"### {task.capitalize()}",
            f"{good} of {len(built)} types that can be built small agree."
            if task in ("causal", "image and text", "masked")
            else f"{opened} of {len(built)} types that can be built small open.",
            *_with_all(rows),
            table(
                ("type", "class", "what it proved, or why not"),
                [_type(n, r) for n, r in rows.items()],
            ),
        ]
    return "\n\n".join(parts)


def _with_all(rows: dict[str, dict[str, Any]]) -> list[str]:
    """How many have every analysis that was asked for, relevance aside; nothing where none was."""
    asked = [row["analyses"] for row in rows.values() if "analyses" in row]
    every = sum(not any(w for name, w in had.items() if name != "relevance") for had in asked)
    return [f"{every} have all analyses, relevance aside."] if asked else []


def agrees(row: dict[str, Any]) -> bool:
    """Whether every check that could be made agrees with plain forwards."""
    checks = row.get("checks")
    if not checks or "raw" in row:
        return False
    made = [error for error in checks.values() if not isinstance(error, str)]
    wrong = any(isinstance(e, str) and e.startswith("wrong") for e in checks.values())
    return bool(made) and not wrong and max(made) <= AGREES


def _type(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    return code(name), code(row["class"]), _told(row).replace("|", "\\|").replace("<", "&lt;")


def _told(row: dict[str, Any]) -> str:
    if "not built" in row:
        return f"not built: {row['not built']}"
    if "refused" in row:
        return f"refused: {row['refused']}"
    if "raw" in row:
        return f"a fault here: {row['raw']}"
    how = "agrees" if agrees(row) else "opens"
    lens = "" if row["lens"] else ", no lens"
    notes = "".join(f"; {note}" for note in row["notes"])
    return f"{how}, {_PATHS[row['path']]}{lens}{notes}{_analyses(row.get('analyses', {}))}"


def _analyses(had: dict[str, str]) -> str:
    """Of the analyses that were run those that were refused, by their reasons."""
    if not had:
        return ""
    reasons: dict[str, list[str]] = {}
    for name, words in had.items():
        if words:
            reasons.setdefault(words.rstrip("."), []).append(name)
    if not reasons:
        return "; all analyses"
    return "".join(f"; no {', '.join(names)}: {words}" for words, names in reasons.items())
