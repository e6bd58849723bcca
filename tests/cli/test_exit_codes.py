"""Every error is one line and a code; an interruption and a reader that left are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.errors import UnknownModel
from interpboard.results import Document
from tests.cli.process import COMMAND, ROOT


def failing(error: BaseException) -> Callable[[], Document]:
    def answer() -> Document:
        raise error

    return answer


def test_an_error_of_the_user_is_one_line_with_its_remedy(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked["answer"] = failing(UnknownModel("No model\nis called \x1b[31mx.", "Check [bold]it."))
    assert cli.main([]) == 2
    assert capsys.readouterr().err == "error: No model⏎is called ␛[31mx. Check [bold]it.\n"


def test_an_error_of_ours_says_so_and_exits_with_1(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked["answer"] = failing(ZeroDivisionError("oops\nmore"))
    assert cli.main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: ZeroDivisionError: oops This is a fault of interpboard; run with --debug.\n"
    )


def test_a_file_cut_short_is_a_fault_and_no_interruption(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command parser takes every ``EOFError`` for the end of what a person types."""
    asked["answer"] = failing(EOFError("marshal data too short"))
    assert cli.main([]) == 1
    assert "EOFError: marshal data too short" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_the_traceback_is_shown_only_when_asked_for(
    way: str,
    asked: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked["answer"] = failing(UnknownModel("No.", "Check."))
    if way == "variable":
        monkeypatch.setenv("INTERPBOARD_DEBUG", "1")
    assert cli.main(["analyze", "--text", "x", *(["--debug"] if way == "flag" else [])]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: No. Check.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), "cancelled"])
def test_an_interruption_exits_with_130_and_says_nothing(
    error: Any, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from interpboard.errors import Cancelled

    asked["answer"] = failing(Cancelled() if error == "cancelled" else error)
    assert cli.main([]) == 130
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_in_the_middle_of_a_computation_exits_with_130_without_a_traceback() -> None:
    script = (
        "import signal, sys, time; from interpboard.cli import commands, main as cli\n"
        # Tests that were started in the background are deaf to it, and so are their children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def compute(*a, **k):\n"
        "    print('ready', file=sys.stderr, flush=True); time.sleep(60)\n"
        "commands.compute = compute; sys.exit(cli.main(['text']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    assert child.stderr.readline() == b"ready\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "list"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, timeout=60
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_behind_standard_output_is_said_in_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "list"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == b"error: Cannot write standard output: No space left on device.\n"
