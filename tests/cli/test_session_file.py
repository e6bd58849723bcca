"""A session written as JSON is the session: the same report from the file as from the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interpboard.store import NoteSubject, SessionBook, Store
from tests import sample
from tests.cli.test_sessions import said

NOTES = ("why Paris", "it copies\n- names", "at \x1b[31m <b>heads</b>")


@pytest.fixture
def file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A session with a note on itself, on its prompt and on a head, as the app's export writes it."""
    book = SessionBook(Store())
    session = book.begin(1.0)
    document = sample.document(sample.ablation())
    run = book.store.add(document, "heads", {"target": None}, 2.0)
    book.add(session, run, 2.0)
    model = document.model
    subjects = (
        NoteSubject("session"),
        NoteSubject("prompt", prompt=document.prompt.text),
        NoteSubject("head", model.name, model.weights, place="0.1"),
    )
    for subject, text in zip(subjects, NOTES, strict=True):
        book.write_note(session, subject, text, 3.0)
    book.name(session, "first look")
    out = tmp_path / "session.json"
    said(capfd, "report", "first look", "-o", str(out))
    return out


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_the_report_of_the_file_is_that_of_the_store(
    ending: str, file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of_store, of_file = tmp_path / f"store.{ending}", tmp_path / f"file.{ending}"
    said(capfd, "report", "first look", "-o", str(of_store))
    said(capfd, "report", str(file), "-o", str(of_file))
    assert of_file.read_bytes() == of_store.read_bytes()
    assert "why Paris" in of_file.read_text()


def test_standard_output_is_markdown_and_no_note_acts(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, _ = said(capfd, "report", str(file))
    assert out.startswith("# first look\n")
    assert "\x1b" not in out


def test_it_stands_alone_and_is_no_table(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, err = said(capfd, "report", str(file), str(file), code=2)
    assert "A session stands in a report of its own." in err
    _, err = said(capfd, "report", str(file), "--format", "csv", code=2)
    assert "Use --format md, html or json." in err
    _, err = said(capfd, "report", str(file), "-o", str(tmp_path / "x.parquet"), code=2)
    assert "A session is no table." in err


def _results(whole: Any) -> Any:
    return whole["sections"][0]["results"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole.update(schema="interpboard-session/2"),
        lambda whole: whole.update(begun_at=1e300),
        lambda whole: whole.update(sections=5),
        lambda whole: whole.update(notes=[{"about": "x"}]),
        lambda whole: _results(whole)[0].update(document={}),
        lambda whole: _results(whole)[0]["document"].update(results=[]),
        lambda whole: (
            _results(whole).append(json.loads(json.dumps(_results(whole)[0])))
            or _results(whole)[1]["document"]["prompt"].update(text="another")
        ),
    ],
)
def test_a_damaged_one_is_refused_in_a_line_with_its_name(
    damage: Any, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads(file.read_text())
    damage(whole)
    file.write_text(json.dumps(whole))
    out, err = said(capfd, "report", str(file), code=2)
    assert out == ""
    assert str(file) in err
    assert len(err.strip().splitlines()) <= 2
    assert "Traceback" not in err


def test_a_file_cut_short_is_refused(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text()[:-40])
    _, err = said(capfd, "report", str(file), code=2)
    assert "Was the file cut short?" in err
