"""On a terminal the app opens; elsewhere a report is written."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from interpboard import cli
from interpboard.analyses import analyses_for
from tests.cli.process import ROOT


def test_on_a_terminal_the_bare_command_opens_the_app_and_returns_its_code(
    opened: list[dict[str, str]],
) -> None:
    assert cli.main([]) == 7
    assert opened == [
        {"model": "demo", "text": cli.DEFAULT_TEXT, "device": "auto", "dtype": "auto"}
    ]


def test_on_a_terminal_a_text_and_options_reach_the_app(opened: list[dict[str, str]]) -> None:
    assert cli.main(["Hello [bold]", "--model", "m", "--dtype", "float32"]) == 7
    assert opened == [{"model": "m", "text": "Hello [bold]", "device": "auto", "dtype": "float32"}]


def test_without_a_terminal_the_report_is_written_with_paris_on_top(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([]) == 0
    out, err = capsys.readouterr()
    assert "\n1  ·Paris " in out
    assert "\x1b" not in out
    assert err == ""
    assert asked["args"][1:3] == (cli.DEFAULT_TEXT, analyses_for(()))


@pytest.mark.parametrize("args", [[], ["Hello", "--model", "m"], ["--dtype=float32", "--", "list"]])
def test_a_real_terminal_is_recognized_and_the_app_opened_without_typer(args: list[str]) -> None:
    script = (
        "import sys, types; app = types.ModuleType('tui.app')\n"
        "app.run = lambda **o: 3 + ('typer' in sys.modules or 'rich' in sys.modules)\n"
        "sys.modules['tui.app'] = app\n"
        f"from interpboard.cli import main; sys.exit(main({args!r}))"
    )
    parent, child = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdin=child, stdout=child, timeout=60,
            env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
    finally:
        os.close(parent)
        os.close(child)
    assert done.returncode == 3


@pytest.mark.parametrize(
    "args",
    [["--text=-"], ["--text="], ["--text=\udcff"], ["--debug"], ["--model"], ["-m", "x"], ["list"]],
)
def test_what_is_unusual_is_left_to_the_command_parser(args: list[str]) -> None:
    assert cli.plain_opening(args) is None


def test_the_last_of_two_values_counts_as_in_the_command_parser() -> None:
    opening = cli.plain_opening(["--model", "a", "--model=b", "--text=x=y"])
    assert opening == cli.Opening("b", "x=y", "auto", "auto")
