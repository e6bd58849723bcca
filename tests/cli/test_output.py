"""Where the output goes is looked at before any work, and an ending that no format has is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.results.examples import ExamplesFile
from tests import sample
from tests.cli.process import interpboard
from tests.files.examples import examples_file

LONG = "x" * 250 + ".json"


@pytest.mark.parametrize("name", ["a.feather", "a.b.xlsx", "a.JSN", "a.v2"])
@pytest.mark.parametrize("command", ["analyze", "report"])
def test_an_ending_that_no_format_has_is_refused_with_those_that_there_are(
    command: str,
    name: str,
    asked: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = {"analyze": ["--text", "x"], "report": ["no-such.json"]}[command]
    path = tmp_path / name
    assert cli.main([command, *words, "-o", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"there is no format for {path.suffix.lower()}" in said
    assert ".csv, .json, .html" in said
    assert said.count("\n") == 1
    assert "args" not in asked  # nothing was computed
    assert not path.exists()


def test_a_format_that_is_named_goes_into_a_file_of_any_ending(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("a.parquet", "plain", ".hidden"):
        path = tmp_path / name
        assert cli.main(["analyze", "--text", "x", "-f", "csv", "-o", str(path)]) == 0
        assert path.read_text().startswith("model,analysis")
    path = tmp_path / "text"
    assert cli.main(["analyze", "--text", "x", "-o", str(path)]) == 0
    assert path.read_text().startswith("demo · llama")


def test_a_name_of_255_bytes_is_written(asked: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):
        assert cli.main(["analyze", "--text", "x", "-o", str(tmp_path / LONG)]) == 0
    assert json.loads((tmp_path / LONG).read_text())["schema"]
    assert [path.name for path in tmp_path.iterdir()] == [LONG]


OUT_OF_REACH = [
    ("file/below.json", "no folder"),
    ("folder", "is a folder"),
    ("no/such.json", "no folder"),
    ("x" + LONG, "File name too long"),
]


@pytest.mark.parametrize(("place", "words"), OUT_OF_REACH)
@pytest.mark.parametrize("command", ["analyze", "report", "examples", "max-activating"])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_computed(
    command: str, place: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    out = str(tmp_path / place)
    # Neither model nor files exist: whatever looked at them first would say so.
    args = {
        "analyze": ["-t", "x", "-m", "/no/model", "-o", out],
        "report": ["no-such.json", "-o", out],
        "examples": ["no-such", "0.0", "-o", out],
        "max-activating": ["--corpus", "no-such", "-m", "/no/model", "--out", out],
    }[command]
    assert cli.main([command, *args]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(
    ("place", "words"),
    [("file", "no folder"), ("file/below", "no folder"), ("x" * 256, "File name too long")],
)
def test_a_folder_for_a_lens_is_looked_at_before_the_model_is_opened(
    place: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / place)
    assert cli.main(["tune-lens", "--corpus", "no-such", "-m", "/no/model", "--out", out]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    # A good place is not made before it is needed.
    out = str(tmp_path / "deep" / "lens")
    assert cli.main(["tune-lens", "--corpus", "no-such", "-m", "/no/model", "--out", out]) == 2
    assert "no folder /no/model" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_output_into_a_stream_of_the_shell_reaches_it(tmp_path: Path) -> None:
    saved = sample.full().save(tmp_path / "a.json")
    done = interpboard("report", str(saved), "-f", "md", "-o", "/dev/stdout")
    assert done.returncode == 0
    assert done.stdout.decode().startswith("# InterpBoard")


def test_examples_are_written_in_the_format_of_the_files_ending(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = examples_file(tmp_path / "examples")
    peak = ExamplesFile(out).neuron(0, 1).examples[0]
    for name, start in (("a.json", "{"), ("a.md", "neuron 0.1"), ("a.txt", "neuron 0.1")):
        assert cli.main(["examples", str(out), "0.1", "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(start)
    assert json.loads((tmp_path / "a.json").read_text())["examples"][0]["peak"] == peak.peak
    capsys.readouterr()
    assert cli.main(["examples", str(out), "0.1", "-o", str(tmp_path / "a.csv")]) == 2
    assert "no format for .csv" in capsys.readouterr().err
