"""Below 80x24: one pane without a frame, down to 40x12; a line where there is not even that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.catalogue import pane_slots
from tui.dialogs.help import HelpScreen
from tui.slots.pane_title import pane_title
from tui.testing.wait_until_idle import wait_until_idle
from tui.theme import DARK_INKS
from tui.widgets.line import in_rows

SMALL = [(40, 12), (60, 20), (59, 40), (79, 24), (120, 14)]
TOO_SMALL = [(39, 24), (80, 11), (30, 8), (1, 1)]
FRAME = set("┏┓┗┛┃╭╮╰╯")


async def resize(b: Board, size: tuple[int, int]) -> None:
    await b.pilot.resize_terminal(*size)
    await wait_until_idle(b.app)


@pytest.mark.parametrize("size", SMALL, ids=str)
async def test_every_pane_is_shown_without_a_frame_with_its_title_readout_and_next_step(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("1", "g", "s")
        for slot in pane_slots():
            assert slot.place is not None
            await b.press(str(slot.place.number))
            lines = b.lines()
            assert b.app.panes.focus_name == slot.name
            assert any(
                line.startswith(f" {slot.place.number} {slot.place.title}") for line in lines
            )
            assert not FRAME & set("".join(lines[3:]))
            words = b.readout(slot.name).split("  ")
            assert " ".join(words[0].split()) in " ".join(b.screen.split())
            for needed in ("? Help", "e Export"):
                assert needed in lines[-1]
            for strip in b.strips():
                assert sum(cell_len(segment.text) for segment in strip) == size[0]


async def test_below_that_one_line_says_the_size_that_is_needed(board: Boards) -> None:
    async with board(TOO_SMALL[0]) as b:
        for size in TOO_SMALL:
            await resize(b, size)
            if size[0] > 10:
                assert " ".join(b.screen.split()) == "InterpBoard needs 40 columns and 12 rows."
            await resize(b, (80, 24))
            assert "━ 1 Tokens" in b.screen, size


SHRUNK = (*TOO_SMALL, (60, 20), (40, 12))


@pytest.mark.parametrize(("before", "sizes"), [("2", SHRUNK[::2]), ("5", SHRUNK[1::2])])
async def test_focus_and_frame_are_where_they_were_after_shrinking_and_back(
    board: Boards, before: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    async with board((80, 24)) as b:
        for small in sizes:
            await b.press(before)
            focus = b.app.panes.focus_name
            await resize(b, small)
            await resize(b, (80, 24))
            await b.press("8", "q")
            assert b.app.panes.focus_name == focus, small
            await b.press("3", "z", "z")
            assert b.app.panes.focus_name == "lens", small
            assert b.app.prompt.text == b.app.state.question.text
            assert "┏━ 3 Lens" in b.screen, small


async def test_resizes_in_a_row_paint_what_a_start_at_that_size_paints(board: Boards) -> None:
    async with board((120, 40)) as b:
        for size in ((60, 20), (200, 60), (30, 5), (80, 24), (40, 12), (79, 23), (60, 20)):
            await resize(b, size)
        shrunk = b.screen
    async with board((60, 20)) as b:
        assert b.screen == shrunk


async def test_a_key_in_the_field_below_the_size_is_text_and_digits_are_panes_after_it(
    board: Boards,
) -> None:
    async with board((60, 20)) as b:
        await b.press("p", "2", "escape", "4")
        assert b.app.prompt.text.endswith("2")
        assert b.app.panes.focus_name == "trace"


async def test_under_sixty_columns_a_grid_is_colours_and_the_readout_has_the_number(
    board: Boards,
) -> None:
    async with board((59, 24)) as b:
        await b.press("2")
        rows = [line for line in b.lines() if line.startswith(("L0", "L1", "L2", "L3"))]
        assert len(rows) == 4
        assert not any(char.isdigit() for row in rows for char in row[2:])
        value = b.readout("heads").split()[2]
        assert value in b.screen
        await resize(b, (60, 24))
        assert any(
            char.isdigit() for line in b.lines() if line.startswith("L0") for char in line[2:]
        )


@pytest.mark.parametrize("size", [(60, 20), (40, 12)], ids=str)
async def test_boxes_fit_and_what_is_chosen_is_in_sight(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        for key in ("t", "o", "e", "i", "question_mark", "colon", "L", "8", "C", "V"):
            await b.press(key)
            assert b.app.screen is not b.app.screen_stack[0], key
            for strip in b.strips():
                assert sum(cell_len(segment.text) for segment in strip) == size[0], key
            if key == "t":
                await b.press(*["down"] * 8)
                assert "▸ ·Madrid" in b.screen
            await b.press("escape")
            assert b.app.screen is b.app.screen_stack[0], key


@pytest.mark.parametrize("size", [(40, 12), (48, 16), (120, 14)], ids=str)
async def test_where_lines_are_few_most_are_rows_and_a_message_takes_the_footers_place(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        for key, least in (("2", 5), ("3", 6), ("5", 6)):
            await b.press(key)
            grid = b.app.panes.view.view
            assert grid.size.height >= least
            assert "hurt" not in b.lines()[-2]
            assert b.lines()[-1].startswith((" Space", " v View"))
            await b.press("question_mark")  # what gave way is a key away
            assert isinstance(b.app.screen, HelpScreen)
            whole = " ".join(b.app.screen.shown)
            assert ("− helped, + hurt" if key == "2" else "probability") in whole
            await b.press("escape")
        grid_before = b.lines()[3:-1]
        b.app.controllers.messages.tell("Something was said.")
        await b.pilot.pause()
        await b.pilot.pause()
        assert "Something was said." in b.lines()[-1]
        assert b.lines()[3:-1] == grid_before
        await b.press("1")
        assert "Something" not in b.screen
        assert "? Help" in b.lines()[-1]


async def test_where_no_scrollbar_says_so_the_corner_says_where_more_columns_are(
    board: Boards,
) -> None:
    async with board((40, 12)) as b:
        await b.press("3", "0")
        assert b.lines()[3].startswith("  › ")
        await b.press("dollar_sign")
        assert b.lines()[3].startswith("  ‹ ")
    async with board((40, 24)) as b:
        await b.press("3", "0")
        assert "›" not in "".join(b.lines()[3:6])


async def test_a_second_row_of_the_readout_is_taken_when_it_is_needed_and_kept(
    board: Boards,
) -> None:
    async with board((60, 20)) as b:
        await b.press("5")
        lines = b.lines()
        at = next(i for i, line in enumerate(lines) if line.startswith(" means"))
        assert "rank" in lines[at - 1]  # no empty row between the two
        await b.press("2")
        said = " ".join(b.screen.split())
        assert " ".join(b.readout("heads").split()) in said  # all of it
        await b.press("3", "2", "l")
        rows = b.lines()
        assert sum(row.startswith("L") for row in rows) == 4


@pytest.mark.parametrize("size", [(120, 40), (60, 20), (80, 24), (200, 60)], ids=str)
async def test_what_is_empty_in_a_pane_is_given_to_its_long_texts(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("1", "g", "l", "s", "4")
        said = " ".join(b.screen.translate(str.maketrans("┃│", "  ")).split())
        assert "0.09 of the effect" in said
        if size != (120, 40):  # its pane has no line to spare there
            assert "+ carries the answer mean of noises" in " ".join(
                " ".join(line[: size[0] // 4] if size[0] == 200 else line for line in b.lines())
                .translate(str.maketrans("┃│", "  ")).split()
            )  # fmt: skip
        await b.press("2")
        assert "14.20 → 9.99" in b.screen


@settings(max_examples=60, deadline=None)
@given(
    st.integers(24, 90),
    st.sampled_from(["Δ logit ·house, zero ablation", "B − A of head ablation, logit ·Paris", ""]),
    st.sampled_from(["×10⁻²", "×10⁻³⁰⁰", "x1e-4", ""]),
    st.booleans(),
)
def test_a_title_never_loses_the_factor_of_its_numbers(
    room: int, more: str, factor: str, clean: bool
) -> None:
    for slot in pane_slots():
        title = pane_title(
            slot, DARK_INKS, clean_run=clean, noted="", more=more, factor=factor, room=room
        ).plain
        assert cell_len(title) <= room
        assert title.endswith(factor)
        assert slot.place is not None
        assert title.startswith(f"{slot.place.number} {slot.place.title}")


async def test_headings_of_lists_never_lose_the_factor_of_their_numbers(board: Boards) -> None:
    class Small(FakeEngine):
        def event_of(self, request: Any) -> Any:
            event = super().event_of(request)
            result = getattr(event, "result", None)
            if result is not None and "promoted_by" in result.extra:
                for name in ("promoted_by", "suppressed_by"):
                    result.extra[name].values[...] *= 1e-3
            return event

    async with board((120, 40), engine=Small) as b:
        await b.press("7")
        for size in ((120, 40), (80, 24), (60, 20), (40, 12)):
            await resize(b, size)
            (heading,) = [line for line in b.lines() if "su" in line and "×10" in line][:1]
            assert heading.count("×10⁻") == 2
            assert "×1…" not in b.screen
            assert "×10…" not in b.screen


WORDS = st.lists(
    st.sampled_from(["−0.689", "1.25", "nats", "rank", "4/9", "of", "all", "·Paris", "日本", "exact"]),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(12, 60), st.integers(1, 3))
def test_rows_are_whole_words_and_no_number_loses_its_end_or_its_unit(
    words: list[str], width: int, height: int
) -> None:
    text = Text(" " + " ".join(words).strip())
    rows = in_rows(text, width, height).plain.split("\n")
    assert len(rows) <= height
    assert all(cell_len(row) <= width for row in rows)
    shown = " ".join(rows).split()
    whole = text.plain.split()
    if rows[-1].endswith("…"):
        rows[-1] = rows[-1].removesuffix("…").rstrip()
        shown = " ".join(rows).split()
        assert len(shown) < len(whole)
        last = rows[-1].split()
        assert not last or not last[-1][-1].isdigit()
    else:
        assert shown == whole
    assert shown == whole[: len(shown)]
