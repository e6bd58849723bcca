"""On a terminal the app opens; elsewhere a report is written."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.cli.opening import Opening
from interpboard.config import DEFAULT_TEXT, Settings
from interpboard.registry import analyses_for
from tests.cli.process import ROOT


def test_on_a_terminal_the_bare_command_opens_the_app_and_returns_its_code(
    opened: list[dict[str, Any]],
) -> None:
    assert cli.main([]) == 7
    (asked,) = opened
    assert (asked["settings"], asked["text"], asked["dark"]) == (Settings(), None, True)


@pytest.mark.parametrize("parsed", [False, True])  # by the quick way, and by the parser
def test_on_a_terminal_a_text_and_options_reach_the_app(
    parsed: bool, opened: list[dict[str, Any]]
) -> None:
    words = ["Hello [bold]", "--model", "m", "--dtype", "float32", "--theme", "light", "--ascii"]
    more = ["--debug"] if parsed else []
    assert cli.main([*words, "--no-mouse", *more]) == 7
    wanted = Settings(model="m", dtype="float32", theme="light", ascii=True, mouse=False)
    (asked,) = opened
    assert (asked["settings"], asked["text"], asked["dark"]) == (wanted, "Hello [bold]", False)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("auto", {"NO_COLOR": None, "TEXTUAL_COLOR_SYSTEM": None}),
        ("none", {"NO_COLOR": "1", "TEXTUAL_COLOR_SYSTEM": None}),
        ("16", {"NO_COLOR": None, "TEXTUAL_COLOR_SYSTEM": "standard"}),
        ("256", {"NO_COLOR": None, "TEXTUAL_COLOR_SYSTEM": "256"}),
        ("truecolor", {"NO_COLOR": None, "TEXTUAL_COLOR_SYSTEM": "truecolor"}),
    ],
)
def test_colours_are_chosen_before_textual_is_imported(
    flag: str,
    expected: dict[str, str | None],
    opened: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in expected:
        monkeypatch.setenv(name, "")  # so that it is put back
    monkeypatch.delenv("TEXTUAL_COLOR_SYSTEM")
    assert cli.main(["--color", flag]) == 7
    assert {name: os.environ.get(name) for name in expected} == expected


def test_a_broken_configuration_is_one_line_and_no_app(
    opened: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERPBOARD_THEME", "drak")
    assert cli.main([]) == 2
    assert capsys.readouterr().err == (
        "error: INTERPBOARD_THEME: theme is one of auto, dark, light, not 'drak'.\n"
    )
    assert opened == []


def test_without_a_terminal_the_report_is_written_with_paris_on_top(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([]) == 0
    out, err = capsys.readouterr()
    assert "\n1  ·Paris " in out
    assert "\x1b" not in out
    assert err == ""
    assert asked["args"][1:3] == (DEFAULT_TEXT, analyses_for(()))


@pytest.mark.parametrize("args", [[], ["Hello", "--model", "m"], ["--dtype=float32", "--", "list"]])
def test_a_real_terminal_is_recognized_and_the_app_opened_without_typer(args: list[str]) -> None:
    script = (
        "import sys, types; app = types.ModuleType('tui.run')\n"
        "app.run = lambda settings, **o: 3 + ('typer' in sys.modules or 'rich' in sys.modules)\n"
        "sys.modules['tui.run'] = app\n"
        f"from interpboard.cli.main import main; sys.exit(main({args!r}))"
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
    assert opening == Opening("x=y", {"model": "b"})


def test_a_file_of_prompts_is_opened_beside_a_text_or_without_one() -> None:
    assert cli.plain_opening(["--prompts", "a b.txt", "--resume"]) == Opening(
        None, {}, resume=True, prompts="a b.txt"
    )
    args, _ = cli.route(["--prompts", "list", "text"])
    assert cli.plain_opening(args) == Opening("text", {}, prompts="list")
