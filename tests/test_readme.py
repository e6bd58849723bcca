"""The README is short and tells the truth of options and files; its blocks run with every other page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from interpboard.cli.commands import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\b[^\n]*\n(.*?)```", README, re.DOTALL)


def test_the_readme_is_a_front_door_and_no_manual() -> None:
    assert len(README.splitlines()) <= 180


def test_every_option_of_the_readmes_command_lines_exists() -> None:
    blocks = [block.replace("\\\n", " ") for block in _blocks("bash")]
    lines = [line for block in blocks for line in block.splitlines()]
    used = [word for line in lines for word in shlex.split(line, comments=True) if word[:2] == "--"]
    assert len(used) > 4
    terminal = {"COLUMNS": "200", "NO_COLOR": "1"}
    pages = [
        CliRunner().invoke(app, [*command, "--help"], env=terminal).output
        for command in ([], ["analyze"], ["report"], ["sweep"])
    ]
    for option in used:
        assert any(re.search(rf"{option}\b", page) for page in pages), option


def test_files_that_the_readme_links_to_are_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
