"""Notes and sessions in the app: written, shown where their subject is, found again, written as a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interpboard.config import Settings
from interpboard.store import NoteSubject, SessionBook, Store
from tests.tui.conftest import Board, Boards
from tests.tui.test_runs import resumed
from tui.app import InterpBoardApp
from tui.commands.command import command


async def note(b: Board, text: str, *tabs: str) -> None:
    await b.press("semicolon", *tabs)
    await b.write(text)
    await b.press("enter")


async def run(b: Board, id: str) -> None:
    """Carry out a command of the palette."""
    await b.app.controllers.perform.do(command(id))
    await b.press()


async def test_a_note_on_a_head_is_shown_where_the_head_is_and_survives_resume(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("2")
        await b.press("semicolon")
        assert "on L2 H4 of demo" in b.screen
        await b.write("copies names")
        await b.press("enter")
        assert "note on L2 H4  copies names" in b.screen
        assert "noted: L2 H4" in str(b.app.panes.of("heads").border_title)
        await b.press("h")
        assert "copies names" not in b.screen
        assert "noted: L2 H4" in b.screen
        await b.press("l", "5")  # the same head in another pane
        assert "note on L2 H4  copies names" in b.screen
    async with resumed() as b:
        await b.press("2")
        assert "note on L2 H4  copies names" in b.screen
        assert "noted: L2 H4" in b.screen
    async with board(text="Another prompt") as b:  # a head is the same on every prompt
        await b.press("2")
        assert "noted: L2 H4" in b.screen
        await b.press("semicolon", "ctrl+u", "enter")
        assert "noted" not in b.screen
    assert SessionBook(Store()).notes() == []


def underlined(b: Board) -> list[str]:
    """What is underlined on the screen and not the place of a cursor, which is bold."""
    return [
        segment.text.strip()
        for strip in b.strips()
        for segment in strip
        if segment.style is not None and segment.style.underline and not segment.style.bold
    ]


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=str)
async def test_a_head_with_a_note_is_marked_in_the_grid_without_another_width(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("2", "h")
        plain = b.screen
        await b.press("l")
        await note(b, "copies names")
        await b.press("end")
        await note(b, "an mlp")
        await b.press("home", "end", "h", "0", "g")
        assert len(underlined(b)) == 2
        grid = b.app.panes.of("heads").view
        assert grid.data.noted == {(2, 4), (2, 8)}  # type: ignore[attr-defined]
        before = [
            line for line in plain.split("\n") if line.strip("┃").startswith(("L0", "L1", "L2"))
        ]
        after = [line for line in b.lines() if line.strip("┃").startswith(("L0", "L1", "L2"))]
        assert [line[:38] for line in after] == [line[:38] for line in before]
        await b.press("3.7"[0], "2", "G", "end")
        assert "an mlp" not in b.screen


async def test_tab_takes_the_result_the_prompt_or_the_session(board: Boards) -> None:
    async with board() as b:
        await b.press("2", "semicolon", "tab")
        assert "on Head ablation, logit of ·Paris: The Eiffel" in b.screen
        assert "preview" not in b.screen
        await b.press("tab")
        assert "on prompt: The Eiffel Tower" in b.screen
        await b.press("tab")
        assert "on this session" in b.screen
        await b.press("tab", "escape")
        await note(b, "one head does it", "tab")
        await note(b, "the usual prompt", "tab", "tab")
        assert "noted: this result" in str(b.app.panes.of("heads").border_title)
        assert "noted" not in str(b.app.panes.of("lens").border_title)
        await b.press("1")
        assert "note on this prompt  the usual prompt" in b.screen
        kinds = {each.subject.kind: each.text for each in b.app.state.notes}
        assert kinds == {"result": "one head does it", "prompt": "the usual prompt"}
        await b.press("2", "a")  # by the mean: another result
        assert "this result" not in str(b.app.panes.of("heads").border_title)


async def test_mlps_and_neurons_have_notes_of_their_own_and_several_lines(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "end")
        await note(b, "an mlp")
        await b.press("7")
        await b.press("semicolon")
        await b.write("first")
        await b.press("ctrl+o")
        await b.write("second")
        await b.press("enter")
        kinds = {each.subject.kind: each for each in b.app.state.notes}
        assert kinds["mlp"].subject.part == "L2 MLP"
        assert kinds["neuron"].text == "first\nsecond"
        assert "note on L2 N" in b.screen
        assert "first⏎second" in b.screen
        assert "noted: L2 N" in str(b.app.panes.of("neurons").border_title)
        assert "noted: L2 MLP" in str(b.app.panes.of("heads").border_title)


async def test_the_list_finds_edits_and_takes_away(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        await note(b, "copies names")
        await note(b, "why Paris", "tab", "tab", "tab")
        await run(b, "notes")
        assert "1 of 2" in b.screen
        await b.write("copies")
        assert "1 of 1" in b.screen
        assert "L2 H4 of demo" in b.screen
        await b.press("enter", "end")
        await b.write(" again")
        await b.press("enter")
        assert "copies names again" in b.screen
        await run(b, "notes")
        await b.press("f8", "escape")
        assert len(b.app.state.notes) == 1


async def test_hostile_text_in_a_note_is_shown_and_does_not_act(board: Boards) -> None:
    book = SessionBook(Store())
    on = NoteSubject("head", "demo", "", "", "2.4")
    book.write_note(book.begin(1.0), on, "\x1b[31m[/bold]\u202e", 2.0)
    async with board() as b:
        await b.press("2")
        assert "␛[31m[/bold]\\u202e" in b.screen
        await run(b, "notes")
        assert "\x1b" not in b.screen


async def test_results_belong_to_the_session_that_is_named_found_and_opened(board: Boards) -> None:
    async with board() as b:
        await run(b, "name_session")
        await b.write("first look")
        await b.press("enter")
        assert "This session is called first look." in b.messages
    async with board(text="A second sitting here") as b:
        await note(b, "about the second", "tab", "tab", "tab")
        await run(b, "name_session")
        await b.write("first look")
        await b.press("enter")
        assert "There is a session called 'first look' already." in b.messages[-1]
        await run(b, "sessions")
        assert "first look" in b.screen
        assert "2 of 2" not in b.screen
        assert "1 of 2   this one" in b.screen
        await b.write("eiffel")
        assert "1 of 1" in b.screen
        requests = len(b.engine.requests)
        await b.press("enter")
        assert b.app.prompt.text == "The Eiffel Tower is located in the city of"
        assert len(b.engine.requests) == requests  # nothing is computed
        assert b.app.controllers.saver.current_session.name == "first look"
    app = InterpBoardApp(resume=True, session="first look", engine_factory=type(b.engine))
    async with app.run_test(size=(120, 40)):
        from tui.testing.wait_until_idle import wait_until_idle

        await wait_until_idle(app)
        assert app.prompt.text == "The Eiffel Tower is located in the city of"
        assert app.controllers.saver.current_session.name == "first look"


async def test_a_session_that_is_not_there_is_named_and_the_app_runs(board: Boards) -> None:
    app = InterpBoardApp(resume=True, session="nowhere", engine_factory=_engine())
    async with app.run_test(size=(120, 40)) as pilot:
        from tui.testing.wait_until_idle import wait_until_idle

        await wait_until_idle(app)
        b = Board(app, pilot)
        assert any("There is no session called 'nowhere'" in t for t in b.messages)
        assert "·Paris" in b.screen


def _engine():  # type: ignore[no-untyped-def]
    from tests.tui.fake import FakeEngine

    return FakeEngine


async def test_deleting_a_session_asks_twice(board: Boards) -> None:
    async with board((80, 24)):
        pass
    async with board((80, 24), text="A second sitting here") as b:
        await run(b, "sessions")
        await b.write("eiffel")
        await b.press("f8")
        assert "go with it: F8 again deletes it" in b.screen
        assert len(SessionBook(Store()).sessions()) == 2
        await b.press("f8")
        assert "none has these words" in b.screen
        await b.press("escape")
        (left,) = SessionBook(Store()).sessions()
        assert left.prompts == ("A second sitting here",)
        assert {run.prompt for run in Store().runs()} == {"A second sitting here"}


async def test_the_session_is_exported_with_its_notes_as_the_text(
    board: Boards, tmp_path: Path
) -> None:
    async with board((80, 24), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press("2", "I", "enter")  # the ten strongest beside a random ten
        await note(b, "copies names")
        await note(b, "why Paris", "tab", "tab", "tab")
        for ending, downs in (("md", 0), ("json", 2), ("html", 3)):
            await b.press("e", "tab", "tab")
            assert "the session, its notes as the text" in b.screen
            await b.press(*["down"] * downs, "enter")
            assert "Written: " in b.messages[-1]
            (path,) = tmp_path.glob(f"interpboard-demo-session.{ending}")
            text = path.read_text()
            for said in ("copies names", "why Paris", "L2 H4", "strongest 10", "random 10, seed 0"):
                assert said in text, ending
            assert "interpboard analyze --model demo" in text
            if ending == "json":
                whole = json.loads(text)
                assert whole["notes"][0]["text"] == "why Paris"
                results = whole["sections"][0]["results"]
                names = {r["document"]["results"][0]["analysis"] for r in results}
                assert {"head_ablation", "what_if"} <= names


async def test_a_session_is_no_table(board: Boards, tmp_path: Path) -> None:
    async with board(settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press("e", "tab", "tab", "down", "enter")
        assert "A session is written as md, json, html" in b.screen
        assert not list(tmp_path.glob("*.csv"))
