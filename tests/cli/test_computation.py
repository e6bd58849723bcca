"""The computation is asked for as it should be, and its noise is kept off the data."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.results import MetricRequest
from tests.cli.process import ROOT


def test_the_model_and_the_analyses_are_called_as_asked(engine: dict[str, Any]) -> None:
    assert cli.main(["analyze", "--text", "t", "-a", "head_ablation", "--model", "m"]) == 0
    assert engine["model"] == (
        "m",
        {
            "device": "auto",
            "dtype": "auto",
            "trust_remote_code": False,
            "allow_pickle": False,
            "ignore_unused_weights": False,
            "check_weights": True,
            "special_tokens": True,
        },
    )
    assert engine["run"] == (
        "lm",
        "t",
        {"analyses": ("head_ablation",), "metric": MetricRequest(), "params": {}},
    )


@pytest.mark.filterwarnings("ignore:careful")
@pytest.mark.parametrize("debug", [False, True])
def test_what_libraries_print_never_reaches_stdout(
    debug: bool, engine: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    def noise() -> None:
        import logging
        import warnings

        print("from python")
        os.write(1, b"from below python\n")
        warnings.warn("careful", stacklevel=1)
        logging.getLogger("transformers").warning("noise")

    engine["noise"] = noise
    flags = ["--debug"] if debug else []
    assert cli.main(["analyze", "--text", "t", "--format", "json", *flags]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["schema"] == "interpboard/1"
    assert ("from below python" in err) is debug
    assert ("from python" in err) is debug
    assert debug or err == ""


def test_progress_is_drawn_on_stderr_when_it_is_a_terminal_and_wiped_at_the_end() -> None:
    script = (
        "import sys, types; from interpboard.cli import narration\n"
        "with narration.progress() as show:\n"
        "    show('[/x] loading', 1, 2); show('Head ablation', 1, 2)\n"
        "print('data')"
    )
    parent, child = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=child, timeout=60,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(child)
    drawn = os.read(parent, 100_000)
    os.close(parent)
    assert done.stdout == b"data\n"
    assert b"Head ablation" in drawn
    assert b"\x1b[2K" in drawn


def test_several_devices_divide_what_is_computed_and_refuse_what_is_of_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The engines themselves: tests/engine/test_divided.py."""
    for more in (["--swap", "France=Italy"], ["--text-pair", "It rains."]):
        assert cli.main(
            ["analyze", "--text", "The capital of France is", "--device", "cpu,cpu", *more]
        )
        assert "is of one device" in capsys.readouterr().err
