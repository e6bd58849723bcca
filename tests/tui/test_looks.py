"""Light, dark, no colour, sixteen colours, ASCII: each shows what there is to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from interpboard.config import Settings
from interpboard.display import visible
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tests.tui.test_panes import FRESH, PANES
from tests.tui.test_robust import Hostile
from tui.terminal.capabilities import plain_ascii


class Large(FakeEngine):
    """So many heads that a cell is one column wide."""

    def __init__(self, listener: object) -> None:
        super().__init__(listener)  # type: ignore[arg-type]
        self.layers, self.heads = 8, 64


@pytest.mark.parametrize("look", ["dark", "light", "no-color", "ascii"])
async def test_screen_of_each_pane_in_each_look(
    board: Boards, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    settings = Settings(ascii=look == "ascii")
    async with board((80, 24), settings=settings, dark=look != "light") as b:
        for key in FRESH:
            await b.press(key)
            b.matches(f"{look}-{PANES[key]}", b.screen if look == "ascii" else b.painted())


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["dark", "light", "no-color", "ascii"])
async def test_screen_of_several_panes_in_each_look(
    board: Boards, look: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    settings = Settings(ascii=look == "ascii")
    async with board(size, settings=settings, dark=look != "light") as b:
        for key in FRESH if size[0] < 200 else "2":
            await b.press(key)
            name = f"{look}-{PANES[key]}-{size[0]}x{size[1]}"
            b.matches(name, b.screen if look == "ascii" else b.painted())


async def test_without_colour_no_cell_has_one(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with board((80, 24)) as b:
        for key in PANES:
            await b.press(key)
            for strip in b.strips():
                for segment in strip:
                    assert segment.style is not None
                    for color in (segment.style.color, segment.style.bgcolor):
                        assert color is None or color.is_default


@pytest.mark.parametrize("look", ["no-color", "16"])
async def test_signs_are_written_where_colours_cannot_tell_them_apart(
    board: Boards, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    async with board((80, 24), engine=Large) as b:
        if look == "16":
            from rich.color import ColorSystem

            monkeypatch.setattr(b.app.console, "_color_system", ColorSystem.STANDARD)
            await b.press("2", "1", "r")
        grid = b.app.panes.of("heads").view
        assert "city⁺" in b.screen
        assert "in⁻" in b.screen
        await b.press("2")
        data = grid.data  # type: ignore[attr-defined]
        row = next(line for line in b.lines() if line.startswith("┃L0 "))
        shown = row.removeprefix("┃L0 ")[:65]
        assert shown == "".join("-" if value < 0 else "+" for value in data.values[0])


async def test_in_ascii_every_screen_is_ascii_and_as_wide_as_the_terminal(board: Boards) -> None:
    async with board((80, 24), engine=Hostile, settings=Settings(ascii=True)) as b:
        await b.press("t", *"wrong", "enter")  # a message with the tokens of a target
        for key in (
            "1",
            "2",
            "3",
            "4",
            "6",
            "question_mark",
            "q",
            "colon",
            "escape",
            "e",
            "escape",
            "p",
        ):
            await b.press(key)
            assert b.screen.isascii()
            for strip in b.strips():
                assert sum(cell_len(segment.text) for segment in strip) == 80
        await b.press("escape", "1")
        assert "\\u65e5" in b.screen  # still to be told apart


async def test_ascii_is_the_terminals_and_not_the_files(board: Boards) -> None:
    from tui.files import export as exporting

    async with board(engine=Hostile, settings=Settings(ascii=True)) as b:
        document = b.app.state.document(["tokens"])
        assert document is not None
        assert "日本語" in exporting.render_document(document, "md")


@given(st.text(max_size=40))
def test_ascii_keeps_the_width_of_what_is_visible(text: str) -> None:
    shown = visible(text)
    assert plain_ascii(shown).isascii()
    assert cell_len(plain_ascii(shown)) == cell_len(shown)


def test_no_character_of_our_own_becomes_a_question_mark() -> None:
    ours = "─━│┃╭╮╰╯┏┓┗┛╸╴█▏▕▁▂▃▄▅▆▇▎▍▌▋▊▉·−Δ×→…›▸⁺⁻“”"
    assert "?" not in plain_ascii(ours)
