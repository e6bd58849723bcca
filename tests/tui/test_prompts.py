"""Prompts: earlier ones, with names, of several lines, pasted, of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from interpboard.config import DEFAULT_TEXT
from interpboard.datasets import dataset_lines
from interpboard.errors import BadPrompt
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.dialogs.pick_prompt import PickPromptScreen
from tui.files import prompt_book, prompt_file
from tui.files.prompt_book import PromptBook
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.text_field import pasted, pictures


def test_the_book_is_read_back_as_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    book = PromptBook()
    book.add("told before it was opened")
    book.open(path)
    for text in ("a", "b\nc", "b\nc", "a", "", "z"):
        book.add(text)
    book.name("two lines", "b\nc")
    book.name("gone", "x")
    book.unname("gone")
    book.forget("z")
    book.save(path)
    book.save(path)
    with path.open("a") as file:
        file.write('["ran", 5]\n["ra')  # another program, and a crash in the middle of a line
    again = PromptBook()
    again.open(path)
    assert again.ran == book.ran == ["told before it was opened", "b\nc", "a"]
    assert again.named == book.named == {"two lines": "b\nc"}
    again.add("after the crash")
    again.save(path)
    third = PromptBook()
    third.open(path)
    assert third.ran == again.ran


def test_a_long_book_is_written_anew_with_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_book, "KEEP", 3)
    monkeypatch.setattr(prompt_book, "LONG", 9)
    path = tmp_path / "prompts.jsonl"
    book = PromptBook()
    book.open(path)
    for number in range(10):
        book.add(str(number))
    book.save(path)
    PromptBook().open(path)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        ["ran", "7"],
        ["ran", "8"],
        ["ran", "9"],
    ]
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["prompts.jsonl"]


def test_a_file_of_prompts_is_read_line_by_line_and_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes("\ufeff one \r\n\n  \ntwo\u2028still two\nthree".encode())
    found = prompt_file.read_prompt_file(path)
    assert found.texts == (" one ", "two\u2028still two", "three")
    assert [found.step(1, ""), found.step(-1, "")] == [0, 2]
    for content in (b"", b"\n \n", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(BadPrompt, match=r"p\.txt"):
            prompt_file.read_prompt_file(path)
    monkeypatch.setattr(dataset_lines, "LARGEST_DATASET", 1)
    with pytest.raises(BadPrompt, match="MB"):
        prompt_file.read_prompt_file(path)
    with pytest.raises(BadPrompt, match="No such file"):
        prompt_file.read_prompt_file(tmp_path / "nowhere")


def test_one_harmless_character_is_drawn_for_each_of_the_text() -> None:
    text = "a\n\t\x1b[31m\u202e\u200b日e\u0301\u0301\u0301\u0301🙂\udcff"
    for ascii_only in (False, True):
        drawn = pictures(text, ascii_only)
        assert len(drawn) == len(text)
        assert all(char.isprintable() for char in drawn)
        assert drawn.isascii() == ascii_only
    assert pictures("a\nb\te\u0301", False) == "a⏎b⇥e\u0301"
    assert pictures("a\nb", True) == "a|b"
    assert pasted("one\r\ntwo\rthree\x07\x1b\tx\n") == "one\ntwo\nthree\tx"


async def test_up_and_down_go_through_what_was_run_and_back_to_the_draft(board: Boards) -> None:
    async with board((80, 24)) as b:
        for text in ("one", "two"):
            await b.press("p", "ctrl+u")
            await b.write(text)
            await b.press("enter")
        assert b.app.controllers.prompts.book.ran == [DEFAULT_TEXT, "one", "two"]
        await b.press("p", "backspace")
        seen = []
        for key in ("up", "up", "up", "up", "down", "down", "down"):
            await b.press(key)
            seen.append(b.app.prompt.text)
        assert seen == ["two", "one", DEFAULT_TEXT, DEFAULT_TEXT, "one", "two", "tw"]
        assert b.app.panes.focus_name == "prompt"
        await b.press("up", "up", "x", "up")
        assert b.app.prompt.text == "two"  # an edited one is a new draft
        await b.press("down")
        assert b.app.prompt.text == "onex"
        await b.press("down")
        assert b.app.panes.focus_name == "tokens"
    async with board((80, 24)) as b:  # another app, another day
        await b.press("p", "up", "up")
        assert b.app.prompt.text == "one"


async def test_search_names_and_forgetting(board: Boards) -> None:
    async with board((80, 24)) as b:
        for text in ("alpha beta", "alpha gamma"):
            await b.press("p", "ctrl+u")
            await b.write(text)
            await b.press("enter")
        await b.press("S", "ctrl+u")
        await b.write("mine")
        await b.press("enter")
        assert "Named mine" in b.messages[-1]
        await b.press("p", "ctrl+r")
        screen = b.app.screen
        assert isinstance(screen, PickPromptScreen)
        assert [row.text for row in screen.rows] == [
            "alpha gamma",
            "alpha gamma",
            "alpha beta",
            DEFAULT_TEXT,
        ]
        assert "▸ mine          alpha gamma" in b.screen
        await b.write("BET al")
        assert [row.text for row in screen.rows] == ["alpha beta"]
        before = len(b.engine.requests)
        await b.press("enter")
        assert b.app.prompt.text == "alpha beta"
        assert {request.text for request in b.engine.requests[before:]} == {"alpha beta"}
        assert b.app.panes.focus_name == "tokens"
        await b.press("H", "f8", "f8", "f8", "escape")
        assert b.app.controllers.prompts.book.named == {}
        assert b.app.controllers.prompts.book.ran == [DEFAULT_TEXT]
        await b.press("H")
        await b.write("nowhere")
        await b.press("enter")
        assert b.app.screen is not b.app.screen_stack[0]
        assert "none has these words" in b.screen


async def test_newlines_are_drawn_and_run_and_a_long_paste_is_taken_whole(board: Boards) -> None:
    async with board((80, 24), text="a\x1b[31m\nb") as b:
        assert "› a␛[31m⏎b" in b.screen
        await b.press("p", "c", "ctrl+o", "d", "enter")
        assert b.engine.requests[-1].text == "a\x1b[31m\nbc\nd"
        await b.press("p", "ctrl+u")
        long = "".join(f"line {at} of a text\n" for at in range(600))
        b.app.prompt.input.post_message(events.Paste(long.replace("\n", "\r")))
        await b.press("z")
        assert b.app.prompt.text == long.removesuffix("\n") + "z"
        assert b.lines()[1].endswith("line 599 of a textz")
        await b.press("home")
        assert b.lines()[1].startswith(" › line 0 of a text⏎line 1")
        await b.press("end", "left")
        assert b.lines()[1].endswith("line 599 of a textz")
        assert b.app.prompt.input.cursor_screen_offset.x == 78  # under the z, room behind it
        await b.press("home", *["right"] * 3)
        assert b.app.prompt.input.cursor_screen_offset.x == 6
        b.app.prompt.input.left = 100
        assert b.app.prompt.input.position_at(5) == 105
        await b.press("H", "escape")
        assert all(len(line) <= 80 for line in b.lines())


async def test_a_refused_prompt_stays_in_the_field_and_out_of_the_book(board: Boards) -> None:
    class Short(FakeEngine):
        def event_of(self, request: object) -> object:
            from interpboard.engine import protocol

            if isinstance(request, protocol.RunAnalysis) and len(request.text) > 100:
                return protocol.Failed(
                    0, "bad_prompt", "The prompt has 9000 tokens.", "Shorten it."
                )
            return super().event_of(request)

    async with board((80, 24), engine=Short) as b:
        await b.press("p")
        b.app.prompt.input.post_message(events.Paste(" x" * 5000))
        await b.press("enter")
        assert b.messages == ["The prompt has 9000 tokens. Shorten it."]
        assert len(b.app.prompt.text) > 10_000
        assert b.app.state.question.text == DEFAULT_TEXT
        assert "prompt edited" in b.lines()[0]
        assert b.app.controllers.prompts.book.ran == [DEFAULT_TEXT]


async def test_a_file_is_opened_and_stepped_through(board: Boards, tmp_path: Path) -> None:
    path = tmp_path / "several.txt"
    path.write_text("first one\nsecond one\nthird one\n")
    async with board((80, 24)) as b:
        await b.press("greater_than_sign")
        assert "No file of prompts is open" in b.messages[-1]
        await b.press("O")
        await b.write(str(tmp_path / "nowhere"))
        await b.press("enter")
        assert "No such file" in b.messages[-1]
        await b.press("O")
        b.app.screen.query_one(Input).value = str(path)
        await b.press("enter")
        assert "O Prompts  3 prompts" in b.lines()[0]
        await b.press("enter")  # the first row
        seen = [b.app.state.question.text]
        assert "several.txt 1/3 › first one" in b.lines()[1]
        for key in (
            "greater_than_sign",
            "greater_than_sign",
            "greater_than_sign",
            "less_than_sign",
        ):
            await b.press(key)
            seen.append(b.app.state.question.text)
        assert [text.split()[0] for text in seen] == ["first", "second", "third", "first", "third"]
        assert b.engine.requests[-1].text == "third one"
        await b.press("p", "x")
        assert b.lines()[1].startswith(" › third onex")
        await b.press("escape", "less_than_sign")
        assert b.app.state.question.text == "third one"


async def test_a_file_given_at_the_start_begins_with_its_first_prompt(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("one\ntwo\n")
    for text, shown in ((None, "p.txt 1/2 › one"), ("two", "p.txt 2/2 › two"), ("x", " › x")):
        app = InterpBoardApp(
            text, prompts=prompt_file.read_prompt_file(path), engine_factory=FakeEngine
        )
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_until_idle(app)
            b = Board(app, pilot)
            assert b.lines()[1].strip() == shown.strip()


async def test_what_cannot_be_saved_is_said_once_and_remembered(
    board: Boards, tmp_path: Path
) -> None:
    (tmp_path / "state" / "prompts.jsonl").mkdir(parents=True)
    async with board((80, 24)) as b:
        for text in ("one", "two"):
            await b.press("p", "ctrl+u")
            await b.write(text)
            await b.press("enter")
        assert b.messages == ["Prompts are not saved: Is a directory."]
        await b.press("p", "up")
        assert b.app.prompt.text == "one"
