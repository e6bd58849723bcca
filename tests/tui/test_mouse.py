"""The mouse, where there is one: a click selects, the wheel scrolls, a drag over tokens marks the subject."""

from __future__ import annotations

import pytest
from textual.events import MouseScrollDown
from textual.widget import Widget

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.terminal import FAKE, Terminal
from tui.testing.wait_until_idle import wait_until_idle

SIZES = [(80, 24), (120, 40)]


def where(b: Board, text: str) -> tuple[int, int]:
    """Column and row at which ``text`` stands on the screen, below the prompt."""
    row, line = next((y, line) for y, line in enumerate(b.lines()) if y > 1 and text in line)
    return line.index(text), row


async def click(b: Board, text: str) -> None:
    await b.pilot.click(offset=where(b, text))
    await wait_until_idle(b.app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_click_selects_a_token_a_cell_and_a_row_and_brings_its_pane_to_the_front(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("1")
        await click(b, "Tower⁻")
        assert b.readout("tokens").startswith("2 ·Tower")
        await b.press("2")
        await click(b, "-.7")
        assert b.readout("heads").startswith("L3 H2")
        assert b.app.panes.focus_name == "heads"
        await b.press("6")
        await click(b, "L1 H6")
        assert b.readout("logits").startswith("L1 H6")


async def test_a_click_on_a_saved_run_shows_it(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("2", "3", "8")
        await click(b, "Logit lens")
        assert "\n Logit lens\n" in b.screen  # below the list


@pytest.mark.parametrize(("first", "last"), [("Eiffel", "located"), ("located", "Eiffel")])
async def test_a_drag_over_tokens_marks_them_as_the_subject_and_trace_asks_for_them(
    board: Boards, first: str, last: str
) -> None:
    async with board((120, 40)) as b:
        await b.press("1")
        await b.pilot.mouse_down(offset=where(b, first))
        await b.pilot.mouse_up(offset=where(b, last))
        await wait_until_idle(b.app)
        assert b.app.state.subject == (1, 2, 3, 4)
        await b.press("4")
        assert b.engine.requests[-1].params["subject"] == [1, 2, 3, 4]


async def test_a_click_and_a_drag_that_leaves_the_text_mark_nothing(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("1")
        for end in ("Eiffel", "strongest first"):
            await b.pilot.mouse_down(offset=where(b, "Eiffel"))
            await b.pilot.mouse_up(offset=where(b, end))
            await wait_until_idle(b.app)
            assert b.app.state.subject == ()


async def test_the_wheel_scrolls_what_is_under_it(board: Boards) -> None:
    async with board((80, 12), engine=FakeEngine) as b:
        await b.press("6")
        before, cursor = b.screen, b.readout("logits")
        view: Widget = b.app.panes.view.view
        x, y = view.region.x + 3, view.region.y + 2
        first = b.lines()[view.region.y]
        for _ in range(
            4
        ):  # as the terminal's driver sends it: to the app, at a place of the screen
            b.app.post_message(MouseScrollDown(None, x, y, 0, 1, 0, False, False, False, x, y))
            await wait_until_idle(b.app)
        assert b.screen != before
        assert b.lines()[view.region.y] != first
        assert b.readout("logits") == cursor


WHEEL = "\x1b[<65;10;8M"


@pytest.mark.parametrize("words", [[], ["--no-mouse"]], ids=["mouse", "no mouse"])
def test_a_terminals_own_mouse_is_heard_unless_it_is_switched_off(words: list[str]) -> None:
    app = Terminal(FAKE, *words)
    try:
        app.until("Eiffel", "Paris", "engine: idle", "explained here")
        assert (b"\x1b[?1000h" in app.output) == (not words)
        if not words:
            seen = len(app.output)
            app.press("\x1b[<0;3;5M\x1b[<0;3;5m" + WHEEL)
            while len(app.output) == seen:  # what is said of the first token
                assert app.read(10.0)
        app.press("q")
        assert app.wait() == 0
    finally:
        app.close()
