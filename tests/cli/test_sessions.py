"""``sessions`` lists, names and deletes; ``report`` writes one; ``--resume NAME`` opens one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interpboard.cli import main as cli
from interpboard.cli.opening import Opening
from interpboard.store import NoteSubject, SessionBook, Store
from tests import sample


@pytest.fixture
def saved() -> SessionBook:
    book = SessionBook(Store())
    for name, text in (("first look", "at Paris"), ("", "at \x1b[31m heads")):
        session = book.begin(1.0)
        run = book.store.add(sample.document(sample.ablation()), "heads", {"target": None}, 2.0)
        book.add(session, run, 2.0 + session)
        book.write_note(session, NoteSubject("session"), text, 3.0 + session)
        book.name(session, name)
    return book


def said(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert cli.main([*words]) == code
    out, err = capfd.readouterr()
    return out, err


def test_sessions_are_listed_searched_named_and_deleted(
    saved: SessionBook, capfd: pytest.CaptureFixture[str]
) -> None:
    out, _ = said(capfd, "sessions")
    first, second = out.splitlines()
    assert first.split()[:3] == ["2", "(no", "name)"]
    assert second.split()[:3] == ["1", "first", "look"]
    assert "1 result, 1 note" in second
    assert said(capfd, "sessions", "--search", "paris")[0].split()[:3] == ["1", "first", "look"]
    out, err = said(capfd, "sessions", "--search", "nowhere")
    assert (out, err) == ("", "No session has these words.\n")
    rows = json.loads(said(capfd, "sessions", "--format", "json")[0])
    assert [row["name"] for row in rows] == ["", "first look"]
    assert rows[0]["notes"] == ["at \x1b[31m heads"]
    said(capfd, "sessions", "name", "2", "second look")
    _, err = said(capfd, "sessions", "name", "2", "first look", code=2)
    assert "There is a session called 'first look' already" in err
    _, err = said(capfd, "sessions", "delete", "second look", code=2)
    assert "Nothing was deleted of second look: 1 result, 1 note. With --yes it is" in err
    said(capfd, "sessions", "delete", "second look", "--yes")
    assert [each.name for each in saved.sessions()] == ["first look"]
    assert len(saved.store.runs()) == 1  # the other session has the same result
    _, err = said(capfd, "sessions", "delete", "second look", "--yes", code=2)
    assert "There are: first look" in err


def test_nothing_saved_yet_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, "sessions") == ("", "No session has been saved yet.\n")


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_a_session_is_written_in_the_format_of_the_file(
    ending: str, saved: SessionBook, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"report.{ending}"
    said(capfd, "report", "first look", "-o", str(out))
    text = out.read_text()
    assert "at Paris" in text
    assert "interpboard analyze" in text
    begins = {"md": "# first look", "html": "<!DOCTYPE html>", "json": "{"}[ending]
    assert text.lstrip().startswith(begins)


def test_a_session_on_standard_output_is_markdown_and_a_table_of_it_is_refused(
    saved: SessionBook, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(capfd, "report", "first look")[0].startswith("# first look\n")
    out, _ = said(capfd, "report", "2")
    assert "\x1b" not in out
    assert "at ␛&#91;31m heads" in out
    _, err = said(capfd, "report", "first look", "--format", "csv", code=2)
    assert "Use --format md, html or json." in err
    _, err = said(capfd, "report", "third look", code=2)
    assert "There is no file 'third look'. There is no session called 'third look'" in err
    _, err = said(capfd, "report", "missing.json", code=2)
    assert "missing.json" in err
    assert "session" not in err


def test_resume_takes_a_name_that_may_be_left_out(
    opened: list[dict[str, Any]], saved: SessionBook
) -> None:
    for words, resume, session, text in (
        (["--resume"], True, "", None),
        (["--resume", "first look"], True, "first look", None),
        (["--session", "first look"], True, "first look", None),
        (["--resume", "--model", "demo"], True, "", None),
        (["A text", "--resume"], True, "", "A text"),
        (["--resume", "list", "--debug"], True, "list", None),
        (["--text", "--resume"], False, "", "--resume"),
        (["--", "--resume"], False, "", "--resume"),
    ):
        assert cli.main(words) == 7
        call = opened.pop()
        assert (call["resume"], call["session"], call["text"]) == (resume, session, text)
    args, _ = cli.route(["--resume", "first look"])
    assert cli.plain_opening(args) == Opening(None, {}, resume=True, session="first look")


def test_a_session_without_a_terminal_is_refused_and_not_ignored(
    capfd: pytest.CaptureFixture[str],
) -> None:
    _, err = said(capfd, "--resume", "first look", code=2)
    assert "interpboard report NAME" in err
