"""Under ``--ascii`` nothing but ASCII is written; a full or closed standard output is an error in words."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.cli.options import Format
from interpboard.cli.output import document_as
from interpboard.config import Settings
from interpboard.errors import BadPrompt
from interpboard.registry import ANALYSES
from interpboard.results import layer_axis
from tests import sample
from tests.cli.process import COMMAND, ROOT


@pytest.mark.parametrize("name", ANALYSES)
def test_the_page_of_every_analysis_is_ascii_and_its_own_signs_are_no_escapes(name: str) -> None:
    analysis = ANALYSES[name]
    result = sample.result(
        name, (layer_axis(2),), [0.5, float("nan")], meaning=analysis.value,
        warnings=("a − b is not × …",),
    )  # fmt: skip
    shown = document_as(sample.document(result), Format.text, Settings(ascii=True), to_file=True)
    assert shown.isascii()
    for sign in ("\\xd7", "\\u2212", "\\u2026", "\\u2016"):
        assert sign not in shown
    assert "a - b is not x ..." in shown


def test_warnings_and_errors_are_ascii_too(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    warned = sample.result("head_ablation", (layer_axis(1),), [0.5], warnings=("é − ×",))
    asked["answer"] = lambda: sample.document(warned)
    assert cli.main(["analyze", "--ascii", "--text", "x"]) == 0
    out, err = capsys.readouterr()
    assert out.isascii()
    assert err == "warning: head_ablation: \\xe9 - x\n"

    def refuse() -> None:
        raise BadPrompt(f"The prompt '{'日' * 90}' is wrong.")

    asked["answer"] = refuse
    assert cli.main(["analyze", "--ascii", "--text", "x"]) == 2
    err = capsys.readouterr().err
    assert err.isascii()
    assert err.endswith("...' is wrong.\n")
    assert cli.main(["analyze", "--text", "x"]) == 2
    assert "日…'" in capsys.readouterr().err  # only while it was asked for


@pytest.mark.parametrize("arguments", ["--help", "--version", "list", "analyze --help"])
def test_a_full_standard_output_is_said_in_a_line(arguments: str) -> None:
    done = _shell(f"{arguments} >/dev/full")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "error: Cannot write standard output: No space left on device."
        + ("" if arguments in ("--version", "list") else " Use --output FILE.")
    ]


@pytest.mark.parametrize(
    ("streams", "code"), [("2>&-", 0), (">&-", 0), (">&- 2>&-", 0), ("<&- >&- 2>&-", 0)]
)
def test_closed_streams_make_no_traceback(streams: str, code: int) -> None:
    done = _shell(f"--help {streams}")
    assert done.returncode == code
    assert b"Traceback (most" not in done.stderr + done.stdout


def _shell(line: str) -> subprocess.CompletedProcess[bytes]:
    command = " ".join(COMMAND)
    return subprocess.run(
        ["/bin/sh", "-c", f"{command} {line}"], cwd=ROOT, capture_output=True, timeout=120
    )
