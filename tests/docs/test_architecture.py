"""The page on architecture names files, floors and functions that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_FILE = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|md))(?::(\w+))?`")
_FOLDER = re.compile(r"`((?:[\w-]+/)+)`")
NAMED = sorted({match[1] for match in _FILE.finditer(PAGE)})


def _places(name: str) -> list[Path]:
    return [root / name for root in (ROOT, ROOT / "interpboard", ROOT / "tui")]


@pytest.mark.parametrize("name", [*NAMED, *sorted({m[1] for m in _FOLDER.finditer(PAGE)})])
def test_what_the_page_names_is_there(name: str) -> None:
    assert any(place.exists() for place in _places(name))


@pytest.mark.parametrize(
    ("name", "defined"), sorted({(m[1], m[2]) for m in _FILE.finditer(PAGE) if m[2]})
)
def test_what_the_page_names_in_a_file_is_defined_there(name: str, defined: str) -> None:
    (file,) = [place for place in _places(name) if place.is_file()]
    assert re.search(rf"^ *(?:async )?(?:def|class) {defined}\b", file.read_text("utf-8"), re.M)


def test_the_page_names_enough_to_follow() -> None:
    assert len(NAMED) > 20


def test_every_floor_of_the_linter_is_in_the_table() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (floors,) = (c for c in contracts["contracts"] if c.get("containers") == ["interpboard"])
    names = {name for layer in floors["layers"] for name in layer.split(" | ")}
    table = PAGE.split("## The floors")[1].split("In `tui/`")[0]
    missing = {name for name in names if not re.search(rf"`(?:interpboard/)?{name}/?`", table)}
    assert not missing
