"""What is said to the user: one line in a place of its own, and the list of all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from interpboard.config import Settings
from tests.tui.conftest import Board, Boards
from tests.tui.test_painting import MOVE_BYTES, Watched

SIZES = [(80, 24), (120, 40), (200, 60)]


def in_box(b: Board) -> list[str]:
    """The lines of the box over the panes."""
    return [line.split("│")[1].strip() for line in b.lines() if line.startswith("┃ │")]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_message_covers_nothing_and_moves_nothing(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("2")
        before = b.lines()
        assert before[-2] == ""
        watched = Watched(b.app)
        sent = watched.sent
        b.app.controllers.tell("The prompt has 9000 tokens. Shorten it.", "error")
        await b.press("f12")
        after = b.lines()
        assert after[-2] == " ✗ The prompt has 9000 tokens. Shorten it."
        assert [*after[:-2], after[-1]] == [*before[:-2], before[-1]]
        watched.check()
        assert watched.sent - sent <= MOVE_BYTES / 4


async def test_the_newest_message_wins_and_the_log_has_all_of_them(board: Boards) -> None:
    async with board((80, 24)) as b:
        for number in range(3):
            b.app.controllers.tell(f"message {number}", ("information", "warning", "error")[number])
        await b.press("f12")
        assert b.lines()[-2] == " ✗ message 2"
        assert "message 1" not in b.screen
        await b.press("L")
        shown = [line for line in in_box(b) if "message " in line]
        assert shown == ["• message 0", "! message 1", "✗ message 2"]


async def test_moving_leaves_a_message_and_the_next_command_takes_it_away(board: Boards) -> None:
    async with board((80, 24)) as b:
        b.app.controllers.tell("Written: ~/a.md")
        await b.press("2", "j", "l", "G")
        assert "Written: ~/a.md" not in b.screen  # 2 is a command
        b.app.controllers.tell("Written: ~/b.md")
        await b.press("k", "h", "g")
        assert "Written: ~/b.md" in b.screen
        await b.press("z")
        assert "Written: ~/b.md" not in b.screen


async def test_typing_does_not_take_away_what_is_wrong_with_the_prompt(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("p")
        b.app.controllers.tell("The prompt has 9000 tokens. Shorten it.", "error")
        await b.press("backspace", "left", "a")
        assert "The prompt has 9000 tokens." in b.lines()[-2]


async def test_a_message_that_has_no_room_ends_in_a_word_and_names_the_key_that_shows_it_whole(
    board: Boards,
) -> None:
    text = "Not saved: " + "/very/long/place" * 6 + ": no space left on the device, nor anywhere."
    async with board((80, 24)) as b:
        b.app.controllers.tell(text, "error")
        await b.press("f12")
        line = b.lines()[-2]
        assert line.endswith("… L shows all")
        assert cell_len(line) <= 80
        await b.press("L")
        shown = "".join(in_box(b))
        assert "/very/long/place" * 6 in shown
        assert "nor anywhere." in shown


async def test_severity_is_read_without_colour_and_in_ascii(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with board((80, 24), settings=Settings(ascii=True)) as b:
        marks = set()
        for severity in ("information", "warning", "error"):
            b.app.controllers.tell("Said.", severity)
            await b.press("f12")
            marks.add(b.lines()[-2].split()[0])
            assert b.screen.isascii()
        assert len(marks) == 3


@pytest.mark.parametrize("key", ["8", "C", "V", "A", "W"])
async def test_screens_over_the_panes_have_the_line_too(board: Boards, key: str) -> None:
    async with board((80, 24)) as b:
        await b.press(key, "c")  # nothing to copy there, or copied
        if not b.messages:
            b.app.controllers.tell("Nothing to copy yet.")
            await b.press("f12")
        assert b.lines()[-2].startswith(" • ")
        assert b.messages[-1].split("\n")[0][:40] in b.lines()[-2]


async def test_a_picture_has_no_message_in_it(board: Boards, tmp_path: Path) -> None:
    async with board((120, 40), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press("1", "e", *["down"] * 4, "enter")
        assert b.messages[-1].startswith("Written: ")
        await b.press("e", *["down"] * 4, "tab", "enter")
        b.app.controllers.tell("A message that comes meanwhile.", "warning")
        await b.press("e", *["down"] * 4, "tab", "enter")
        pictures = list(tmp_path.glob("*.svg"))
        assert pictures
        for picture in pictures:
            text = picture.read_text().replace("&#160;", " ")
            assert "Tokens" in text
            assert "Written" not in text
            assert "meanwhile" not in text
