"""Standard output is data, standard error is narration, files are whole."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.cli import options as cli_options
from interpboard.cli import output as cli_output
from interpboard.errors import BadPrompt
from interpboard.results import Document, layer_axis
from tests import sample


def test_warnings_of_results_go_to_stderr_and_stay_in_the_data(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    warned = sample.result("head_ablation", (layer_axis(1),), [0.5], warnings=("not\nexact",))
    asked["answer"] = lambda: sample.document(warned)
    assert cli.main(["analyze", "--text", "x", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert err == "warning: head_ablation: not⏎exact\n"
    assert json.loads(out)["results"][0]["warnings"] == ["not\nexact"]


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("text", "demo · llama"),
        ("md", "# InterpBoard"),
        ("csv", "model,analysis"),
        ("json", '{\n  "schema": "interpboard/1"'),
        ("html", "<!DOCTYPE html>"),
    ],
)
def test_each_format_goes_to_stdout_or_by_its_name_to_a_file(
    form: str,
    start: str,
    asked: dict[str, Any],
    capsysbinary: pytest.CaptureFixture[bytes],
    tmp_path: Path,
) -> None:
    assert cli.main(["analyze", "--text", "x", "--format", form]) == 0
    shown = capsysbinary.readouterr().out
    assert shown.decode().startswith(start)
    path = tmp_path / f"a.{form if form != 'text' else 'txt'}"
    assert cli.main(["analyze", "--text", "x", "--output", str(path)]) == 0
    out, err = capsysbinary.readouterr()
    assert (out, err.decode()) == (b"", f"wrote {path}\n")
    assert path.read_bytes() == shown


def test_what_analyze_writes_as_json_can_be_read_back(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    asked["answer"] = sample.hostile
    path = tmp_path / "a.json"
    assert cli.main(["analyze", "--text", "x", "-o", str(path)]) == 0
    assert Document.load(path).to_json() == sample.hostile().to_json()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        cli_output.write_output(path, "half\udcff")
    assert path.read_text() == "old"
    cli_output.write_output(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.txt"]


def test_a_link_and_a_device_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    cli_output.write_output(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    cli_output.write_output(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("flags", "environment", "painted"),
    [
        ((), {}, False),
        (("--color", "256"), {}, True),
        (("--color", "16"), {"NO_COLOR": "1"}, True),
        (("--color", "none"), {}, False),
        ((), {"INTERPBOARD_COLOR": "truecolor"}, True),
    ],
)
def test_colour_is_on_stdout_only_where_wanted(
    flags: tuple[str, ...],
    environment: dict[str, str],
    painted: bool,
    asked: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["text", *flags]) == 0
    assert ("\x1b[" in capsys.readouterr().out) is painted


def test_hostile_strings_in_a_report_never_act(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked["answer"] = sample.hostile
    for form in ("text", "md", "csv", "json"):
        assert cli.main(["analyze", "--text", "[/bold]", "--format", form]) == 0
        out, err = capsys.readouterr()
        assert not set("\x1b\x9b\x07\u202e") & set(out + err)


def test_standard_input_is_read_without_its_last_newline(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for raw, text in (
        ("a b\n", "a b"),
        ("日本\r\n", "日本"),
        ("a\n\n", "a\n"),
        (" a", " a"),
        ("\ufeffa", "a"),
    ):
        stream = types.SimpleNamespace(buffer=types.SimpleNamespace(read=raw.encode))
        monkeypatch.setattr(sys, "stdin", stream)
        assert cli.main(["analyze", "--text", "-"]) == 0
        assert asked["args"][1] == text
        assert cli.main(["-"]) == 0
        assert asked["args"][1] == text


def test_standard_input_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = types.SimpleNamespace(buffer=types.SimpleNamespace(read=lambda: b"\xff\xfe"))
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(BadPrompt, match="UTF-8"):
        cli_options.read_text("-")
