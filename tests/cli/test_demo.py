"""The real thing, on the demo model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from interpboard.config import DEFAULT_TEXT
from interpboard.registry import ANALYSES, analyses_for
from interpboard.results import Document
from tests.cli.process import ROOT, forked_interpboard, interpboard


@pytest.fixture(scope="module")
def real_report() -> subprocess.CompletedProcess[bytes]:
    return interpboard()


def test_the_bare_command_into_a_pipe_prints_the_dashboard_with_paris_on_top(
    real_report: subprocess.CompletedProcess[bytes],
) -> None:
    assert (real_report.returncode, real_report.stderr) == (0, b"")
    lines = real_report.stdout.decode().split("\n")
    assert lines[0].startswith("demo · ")
    assert lines[1] == f"prompt: {DEFAULT_TEXT}"
    first = next(line for line in lines if line.split()[:1] == ["1"])
    assert first.split()[1] == "·Paris"
    for analysis in (ANALYSES[name] for name in analyses_for(())):
        assert any(line.startswith(f"{analysis.title} ─") for line in lines)


def test_analyze_on_the_demo_writes_json_that_keeps_to_the_schema(tmp_path: Path) -> None:
    import jsonschema

    path = tmp_path / "a.json"
    done = forked_interpboard(
        "analyze", "--text", DEFAULT_TEXT, "--target", " Paris", "--foil", " Rome",
        "--position", "8", "--param", "n_steps=4", "--output", str(path),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    whole = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(whole, json.loads((ROOT / "docs" / "schema.json").read_text()))
    assert [result["analysis"] for result in whole["results"]] == list(analyses_for(()))
    metric = whole["results"][0]["metric"]
    assert (metric["name"], metric["position"], metric["foil"]["token"]) == (
        "logit_diff", 8, " Rome",
    )  # fmt: skip
    document = Document.load(path)
    effects = document.result("head_ablation").values
    assert effects.shape == (document.model.layers, document.model.heads)
    assert effects.min() < 0


def test_a_folder_that_is_not_there_is_one_line_and_exit_code_2() -> None:
    done = forked_interpboard("analyze", "--text", "x", "--model", "./no-such-folder")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith("error: There is no folder ./no-such-folder.")
    assert done.stderr.count(b"\n") == 1
