"""Sessions in the store: names, notes, and the runs that are theirs."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import msgspec
import pytest

from interpboard.errors import StoreProblem
from interpboard.results import Document, layer_axis
from interpboard.session_report import session_page, written
from interpboard.store import NoteSubject, SessionBook, Store
from tests import sample
from tests.html.test_page import words

ASK = {"text": "x", "target": None}
HEAD = NoteSubject("head", "demo", "", "", "1.2")


def one(value: float, text: str = "A prompt") -> Document:
    document = sample.document(sample.result("head_ablation", (layer_axis(1),), [value]))
    prompt = msgspec.structs.replace(document.prompt, text=text)
    return msgspec.structs.replace(document, prompt=prompt)


def book(keep: int = 2000) -> SessionBook:
    return SessionBook(Store(keep=keep))


def filled(book: SessionBook, name: str, *texts: str) -> int:
    session = book.begin(1.0)
    for number, text in enumerate(texts):
        run = book.store.add(one(float(number + session), text), "heads", ASK, 2.0 + number)
        book.add(session, run, 2.0 + number)
    if name:
        book.name(session, name)
    return session


def test_sessions_are_listed_last_used_first_and_found_by_prompt_note_and_name() -> None:
    own = book()
    filled(own, "Paris", "The Eiffel Tower")
    filled(own, "", "A violin", "The Colosseum")
    noted = filled(own, "gender", "He said")
    own.write_note(noted, HEAD, "copies the pronoun", 9.0)
    own.begin(99.0)  # nothing in it: not listed
    assert [each.title for each in own.sessions()] == ["gender", "session 2", "Paris"]
    (newest, *_) = own.sessions()
    assert (newest.runs, newest.notes, newest.prompts) == (1, 1, ("He said",))
    assert [each.title for each in own.sessions("eiffel")] == ["Paris"]
    assert [each.title for each in own.sessions("PRONOUN copies")] == ["gender"]
    assert [each.title for each in own.sessions("colosseum violin")] == ["session 2"]
    assert own.sessions("nowhere") == []
    assert own.find("Paris").name == "Paris"
    assert own.find("2").title == "session 2"
    with pytest.raises(StoreProblem, match="There are: gender, 2, Paris"):
        own.find("Rome")


def test_a_name_is_given_once_and_is_no_number() -> None:
    own = book()
    first, second = filled(own, "a", "x"), filled(own, "", "y")
    with pytest.raises(StoreProblem, match="called 'a' already"):
        own.name(second, " a ")
    for wrong in ("17", "two\nlines", "x" * 61, "bell\x07"):
        with pytest.raises(StoreProblem):
            own.name(second, wrong)
    own.name(first, "")
    own.name(second, "a")
    assert own.find("a").id == second
    with pytest.raises(StoreProblem, match="no longer"):
        own.name(77, "b")


def test_one_subject_has_one_note_a_session_and_an_empty_text_takes_it_away() -> None:
    own = book()
    first, second = filled(own, "a", "x"), filled(own, "b", "y")
    own.write_note(first, HEAD, "one", 5.0)
    own.write_note(first, HEAD, "two\nlines", 6.0)
    own.write_note(second, HEAD, "elsewhere", 7.0)
    assert [note.text for note in own.notes(first)] == ["two\nlines"]
    assert [note.text for note in own.notes()] == ["two\nlines", "elsewhere"]
    own.write_note(first, HEAD, "  ", 8.0)
    assert own.notes(first) == []


def test_a_head_of_other_weights_is_another_head() -> None:
    one, other = "numbers:a.b", "numbers:a.c"
    there = NoteSubject("head", "m", one, "", "1.2")
    assert there.same_as(NoteSubject("head", "m", one, "", "1.2"))
    assert there.same_as(NoteSubject("head", "m", "", "", "1.2"))  # not kept: it may be the same
    for different in (
        NoteSubject("head", "m", other, "", "1.2"),
        NoteSubject("head", "n", one, "", "1.2"),
        NoteSubject("head", "m", one, "", "1.3"),
        NoteSubject("neuron", "m", one, "", "1.2"),
    ):
        assert not there.same_as(different)


def test_runs_of_a_session_with_a_name_or_a_note_are_not_dropped_to_make_room() -> None:
    own = book(keep=2)
    filled(own, "kept", "a")
    noted = own.begin(1.0)
    own.write_note(noted, HEAD, "look", 1.0)
    own.add(noted, own.store.add(one(50.0, "b"), "heads", ASK, 2.0), 2.0)
    loose = filled(own, "", *(f"p{number}" for number in range(4)))
    assert [run.prompt for run in own.runs(own.find("kept").id)] == ["a"]
    assert [run.prompt for run in own.runs(noted)] == ["b"]
    assert [run.prompt for run in own.runs(loose)] == ["p2", "p3"]
    assert own.dropped(loose) == 2
    page = session_page(own, own.find(str(loose)))
    assert "2 older results" in page.missing[0]
    assert "2 older results" in written(page, "md")
    assert "2 older results" in words(written(page, "html"))


def test_deleting_a_session_takes_its_notes_and_the_runs_that_no_other_has() -> None:
    own = book()
    first, second = filled(own, "a", "x", "y"), filled(own, "b", "z")
    shared = own.runs(first)[0].id
    own.add(second, shared, 9.0)
    own.write_note(first, HEAD, "gone", 9.0)
    own.delete(first)
    assert [each.name for each in own.sessions()] == ["b"]
    assert {run.prompt for run in own.store.runs()} == {"x", "z"}
    assert own.notes() == []
    # The app that is still in it writes on: under its number, which nobody else has been given.
    own.add(first, own.store.add(one(70.0, "after"), "heads", ASK, 10.0), 10.0)
    assert own.find(str(first)).prompts == ("after",)
    own.delete(first)
    assert own.begin(11.0) not in (first, second)


def test_an_older_store_takes_sessions_and_an_older_program_still_reads_it() -> None:
    store = Store()
    store.add(one(1.0), "heads", ASK, 1.0)
    with closing(sqlite3.connect(store.path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        (version,) = database.execute("PRAGMA user_version").fetchone()
    assert not tables & {"sessions", "session_runs", "notes"}
    filled(SessionBook(Store()), "new", "y")
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (version,)
    assert len(Store().runs()) == 2
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_store_gives_back_sessions_and_notes_as_well() -> None:
    own = book()
    session = filled(own, "kept", "a", "b")
    own.write_note(session, HEAD, "still here", 5.0)
    bad = own.store.add(one(1000.0, "c"), "heads", ASK, 9.0)
    with closing(sqlite3.connect(own.store.path)) as database, database:
        database.execute("UPDATE runs SET model = x'ff' WHERE id = ?", (bad,))
        database.execute(
            "INSERT INTO notes VALUES (99, ?, 'head', x'ff', '', '', '1.2', 'bad', 1.0)", (session,)
        )
        database.execute("INSERT INTO sessions VALUES (98, 5, 'x', 'y')")
    again = book()
    assert len(again.store.runs()) == 2
    assert "damaged" in again.store.notice
    assert [note.text for note in again.notes()] == ["still here"]
    assert [(each.name, each.runs) for each in again.sessions()] == [("kept", 2)]


@pytest.mark.parametrize("column", ["session", "kind", "model", "place", "text", "written_at"])
def test_a_note_that_holds_something_else_is_passed_over(column: str) -> None:
    own = book()
    session = filled(own, "s", "a")
    own.write_note(session, HEAD, "bad", 5.0)
    own.write_note(session, NoteSubject("session"), "good", 6.0)
    with closing(sqlite3.connect(own.store.path)) as database, database:
        database.execute(f"UPDATE notes SET {column} = x'ff' WHERE text = 'bad'")
    assert [note.text for note in own.notes()] == ["good"]
    assert own.sessions()[0].name == "s"


# -- the report -----------------------------------------------------------------------------------
