"""Grids show whole cells only, every one of them can be seen, and their numbers can be read."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.containers import Vertical

from interpboard.visualization.colors import Scale
from tests.tui.conftest import Board, Boards
from tui.slots.heads.view import HeadsPane
from tui.slots.lens.view import LensPane
from tui.terminal import pending
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.grid_cell import cell_text
from tui.widgets.grid_data import GridData
from tui.widgets.grid_layout import Layout, number_width, shown_around, word_width
from tui.widgets.heat_grid import HeatGrid

LONG = (
    "The Eiffel Tower is located in the city of Paris and the Colosseum is located in the city of"
)


# -- whole cells -----------------------------------------------------------------------------------


@given(
    st.integers(1, 40), st.integers(1, 200), st.integers(0, 12), st.integers(1, 16), st.integers(1, 2),
    st.integers(1, 120), st.integers(1, 40), st.data(),
)  # fmt: skip
def test_every_cell_can_be_brought_wholly_into_sight(
    rows: int,
    columns: int,
    label: int,
    width: int,
    height: int,
    wide: int,
    high: int,
    data: st.DataObject,
) -> None:
    layout = Layout(rows, columns, 1, label, width, height)
    most_x, most_y = layout.most_scrolled(wide, high)
    at_x, at_y = data.draw(st.integers(0, most_x)), data.draw(st.integers(0, most_y))
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    x = shown_around(column, layout.columns_seen(at_x, wide)) * width
    y = shown_around(row, layout.rows_seen(at_y, high)) * height
    assert 0 <= x <= most_x
    assert 0 <= y <= most_y
    assert column in layout.columns_seen(x, wide)
    assert row in layout.rows_seen(y, high)
    seen = layout.columns_seen(x, wide)
    assert label + len(seen) * width <= max(wide, label + width)  # one always, more only if whole
    assert layout.columns_seen(most_x, wide)[-1] == columns - 1
    assert layout.rows_seen(most_y, high)[-1] == rows - 1


@given(st.integers(1, 300), st.integers(1, 200), st.booleans())
def test_a_cell_is_never_wider_than_the_room_for_it(columns: int, room: int, marked: bool) -> None:
    width = number_width(columns, room, marked=marked)
    assert width == 1 or width * columns <= room
    assert 1 <= word_width(columns, room) <= room


class GridApp(App[None]):
    """One grid on the whole screen."""

    def __init__(self, data: GridData) -> None:
        super().__init__()
        self.shows = data

    def compose(self) -> ComposeResult:
        with Vertical():
            yield HeatGrid(lambda: None, id="grid")

    def on_mount(self) -> None:
        self.query_one(HeatGrid).show(self.shows)
        self.query_one(HeatGrid).focus()

    @property
    def drawn(self) -> list[str]:
        strips = pending.strips(self.screen)
        return ["".join(text for text, _, _ in strip).rstrip() for strip in strips]


def named(rows: int, columns: int, *, words: bool, below: bool = False) -> GridData:
    """Cells that say where they are."""
    texts = np.array(
        [[f"r{row}c{column:02d}" for column in range(columns)] for row in range(rows)], dtype=object
    )
    data = GridData(
        rows=tuple(f"L{row}" for row in range(rows)),
        columns=tuple(f"c{column:02d}" for column in range(columns)),
        values=np.linspace(-1, 1, rows * columns).reshape(rows, columns),
        scale=Scale(1.0),
        words=texts if words else None,
    )
    return replace(data, below=data) if below else data


@pytest.mark.parametrize("size", [(61, 12), (23, 7), (12, 6)], ids=str)
@pytest.mark.parametrize(
    "shape", [(5, 18, True, False), (30, 25, True, True), (4, 90, False, False)], ids=str
)
async def test_the_last_column_is_reached_and_no_cell_is_cut_at_any_size(
    size: tuple[int, int], shape: tuple[int, int, bool, bool]
) -> None:
    rows, columns, words, below = shape
    app = GridApp(named(rows, columns, words=words, below=below))
    async with app.run_test(size=size) as pilot:
        grid = app.query_one(HeatGrid)
        for key, column in (("dollar_sign", columns - 1), ("0", 0), ("l", 1), ("dollar_sign", -1)):
            await pilot.press(key)
            await pilot.pause()
            column %= columns
            assert grid.cursor[1] == column
            head = app.drawn[0]
            if grid.cell_width >= 4:  # narrower heads name every n-th column
                assert f"c{column:02d}" in head
                assert not re.search(r"(^|\s)\d\d\b|\bc\d?(\s|$)|…", head[grid.header_width :]), (
                    head
                )
        await pilot.press("G")
        await pilot.pause()
        text = "\n".join(app.drawn)
        assert f"L{rows - 1}" in text
        if words and grid.cell_width >= 7:
            assert f"r{rows - 1}c{columns - 1:02d}" in text
            assert "…" not in text
        # Wherever a wheel leaves it, cells are whole, and the cursor's place is that of its cell.
        for x in range(1, 9):
            grid.scroll_to(x, 0, animate=False, force=True)
            await pilot.pause()
            if words and grid.cell_width >= 7:
                assert not re.search(r"(^|\s)\d?c\d|…", "\n".join(app.drawn[1:])), app.drawn


async def test_the_answers_column_of_a_long_prompt_is_in_sight(board: Boards) -> None:
    async with board((120, 40), text=LONG) as b:
        await b.press("3")
        pane = b.app.query_one(LensPane)
        last = len(LONG.split()) - 1
        assert pane.grid.cursor[1] == last  # where it opens: at the answer
        assert _head(b).endswith("·of    │") or "·of " in _head(b)
        assert _head(b).count("·of") == 1
        await b.press("0")
        assert "The " in _head(b)
        await b.press("dollar_sign")
        assert _head(b).rstrip("│ ┃").endswith("·of")
        assert f"after {last} ·of" in b.readout("lens")


@pytest.mark.parametrize("size", [(80, 24), (97, 30)], ids=str)
async def test_every_grid_of_the_app_reaches_its_last_column(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, text=LONG) as b:
        for opens in "35VW":
            await b.press(opens)
            grids = [grid for grid in b.app.screen.query(HeatGrid) if grid.has_focus]
            assert len(grids) == 1, opens
            (grid,) = grids
            assert grid.data is not None
            for key, last in (("0", False), ("dollar_sign", True)):
                await b.press(key)
                seen, wanted = grid.columns_seen, len(grid.data.columns) - 1 if last else 0
                assert wanted in seen, opens
                drawn = grid.header_width + len(seen) * grid.cell_width
                assert drawn <= grid.size.width
                x, y = grid.region.offset
                line = b.lines()[y]
                assert cell_len(line) >= x + drawn or not line[x:].strip()
            if b.app.screen is not b.app.base:
                await b.press("q")


def _head(b: Board) -> str:
    """The line of the lens's columns."""
    grid = b.app.query_one(LensPane).grid
    x, y = grid.region.offset
    return b.lines()[y][x : x + grid.size.width + 1]


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "title"), [(1e-8, "×10⁻⁸"), (1e-2, "×10⁻²"), (1.0, ""), (1e5, "×10⁵")]
)
async def test_the_numbers_of_a_grid_share_a_factor_that_its_title_says(
    board: Boards, factor: float, title: str
) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        state = b.app.state
        result = state.slots["heads"].result
        assert result is not None
        values = result.values / 4.21 * 4.2  # the largest is 4.2
        small = result.__class__(
            **{name: getattr(result, name) for name in result.__struct_fields__}
            | {"values": values * factor}
        )
        mlps = replace(state.slots["mlp_ablation"], result=None, request=None)
        state = state.with_slot("heads", result=small)
        state.slots["mlp_ablation"] = mlps  # type: ignore[index]
        b.app.session.restore(state)
        await wait_until_idle(b.app)
        title_line = next(line for line in b.lines() if "2 Heads  Δ" in line)
        assert (title in title_line) if title else ("×" not in title_line)
        grid = b.app.query_one(HeadsPane).grid
        assert " -4.2" in b.screen
        assert not re.search(r"[+-]0(?![.\d])|[+−]0 ", b.screen)
        x, y = grid.region.offset
        cells = re.findall(r"[-+][.\de-]+", b.lines()[y + 3][x:])
        assert cells
        assert float(cells[4]) == pytest.approx(-4.2)  # row L2, H4
        assert re.search(r"−4\.20? -   0   \+ \+4\.20? ", b.screen)  # the scale follows


async def test_in_ascii_the_factor_is_ascii(board: Boards) -> None:
    from interpboard.config import Settings

    async with board((80, 24), settings=Settings(ascii=True)) as b:
        await b.press("2")
        state = b.app.state
        result = state.slots["heads"].result
        assert result is not None
        fields = {name: getattr(result, name) for name in result.__struct_fields__}
        small = result.__class__(**fields | {"values": result.values * 1e-4})
        state = state.with_slot("heads", result=small).with_slot("mlp_ablation", result=None)
        b.app.session.restore(state)
        await wait_until_idle(b.app)
        assert "x1e-4" in b.screen
        assert b.screen.isascii()


numbers = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(numbers, min_size=1, max_size=6), st.integers(3, 8), st.booleans(), st.booleans())
def test_a_cell_is_as_wide_as_it_says_and_only_zero_is_zero(
    values: list[float], width: int, marked: bool, diverging: bool
) -> None:
    row = np.array([values])
    data = GridData(
        ("L0",), tuple("abcdef"[: len(values)]), row, Scale.of(row, diverging=True),
        badges={(0, 0): "p"} if marked else None,
    )  # fmt: skip
    for column, value in enumerate(values):
        text = cell_text(data, (0, column), width)
        assert cell_len(text) == width
        assert (re.fullmatch(r"[ p]*[+-]?0 ?", text) is not None) == (value == 0)
        assert text[0] == " ", text  # it does not touch the cell before
        assert not re.search(r"[a-df-z][-+.\d]|[-+.\d][a-df-z]", text), text  # no letter is glued


@pytest.mark.parametrize("width", [7, 8])
def test_the_letter_of_a_type_stands_in_a_column_of_its_own(width: int) -> None:
    values = np.array([[-4.21, -4.21, 0.42, 12.0]])
    badges = {(0, 0): "c", (0, 2): "p"}
    data = GridData(("L0",), ("H0", "H1", "H2", "H3"), values, Scale(12.0), badges=badges)
    cells = [cell_text(data, (0, column), width) for column in range(4)]
    assert {cell[1] for cell in cells} == {"c", " ", "p"}
    for cell in cells:
        assert cell[0] == cell[2] == " " or cell[2] == "~"
        assert cell.strip(" cp")[0] in "+-"
    estimated = replace(data, estimated=np.ones((1, 4), dtype=bool))
    assert cell_text(estimated, (0, 0), width).startswith(" c ")


@pytest.mark.parametrize("width", [4, 5, 6, 7])
def test_an_estimate_has_its_digits_and_a_mark_between_it_and_the_number_before(width: int) -> None:
    row = np.array([[0.5, -0.25]])
    data = GridData(
        ("L0",), ("a", "b"), row, Scale.of(row, diverging=True), estimated=np.full((1, 2), True)
    )
    for column, digits in enumerate(("+.5", "-.2")):
        text = cell_text(data, (0, column), width)
        assert cell_len(text) == width
        assert text.lstrip().startswith(f"~{digits}"), text
