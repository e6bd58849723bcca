"""Help, version, list and completion are quick: they import nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from interpboard import __version__
from interpboard.cli import main as cli
from interpboard.registry import ANALYSES
from tests.cli.process import ROOT, interpboard


@pytest.mark.parametrize(
    "args",
    [["--help"], ["analyze", "--help"], ["--version"], ["list"], ["list", "--format", "json"]],
)
def test_help_version_and_list_import_nothing_heavy(args: list[str]) -> None:
    script = (
        "import sys; from interpboard.cli.main import main\n"
        f"code = main({args!r})\n"
        "heavy = {'torch', 'transformers', 'textual', 'numpy'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout


def test_the_version_is_printed() -> None:
    assert interpboard("--version").stdout.decode() == f"interpboard {__version__}\n"


def test_list_names_every_analysis_and_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    shown = capsys.readouterr().out
    assert cli.main(["list", "--format", "json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(ANALYSES)
    for name, analysis in ANALYSES.items():
        assert f"{name}  ({analysis.title}" in shown
        assert listed[name]["meaning"] == analysis.value
        names = [parameter.name for parameter in analysis.parameters]
        assert [entry["name"] for entry in listed[name]["parameters"]] == names
        required = analysis.required
        assert all(f"--param {own}=" in shown for own in names if own not in required)
        assert all(f"--{own} ..." in shown for own in required)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("interpboard an", b"analyze"),
        ("interpboard analyze --analysis head", b"head_ablation"),
        ("interpboard analyze --metric logit_", b"logit_diff"),
        ("interpboard analyze --for", b"--format"),
        ("interpboard --mod", b"--model"),
    ],
)
def test_the_shell_completes_commands_options_and_names(words: str, expected: bytes) -> None:
    environment = {
        **os.environ,
        "_INTERPBOARD_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = interpboard(env=environment)
    assert expected in done.stdout.split()
    assert done.stderr == b""
