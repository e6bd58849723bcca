"""By layer: what all parts up to each have brought, and from where the final token stays."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.display import ascii_everywhere
from interpboard.results import Document
from interpboard.results.lens_rows import converged
from tests.tui.conftest import Board, Boards
from tui.slots.lens.view import LensPane
from tui.slots.logits.view import LogitsPane
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.plot import BLOCKS, DIGITS, Series, in_blocks

SIZES = ((80, 24), (120, 40), (200, 60))
SUMS, SETTLED = ("6", "v", "v"), ("3", "v", "v", "v", "v", "v")


def logits(b: Board) -> LogitsPane:
    return b.app.query_one(LogitsPane)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(("keys", "name"), [(SUMS, "logits-sums"), (SETTLED, "lens-settled")])
async def test_screen_by_layer(
    board: Boards, keys: tuple[str, ...], name: str, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press(*keys)
        b.matches(f"{name}-{size[0]}x{size[1]}")


async def test_v_sums_the_parts_up_to_each_layer_and_the_last_is_the_whole(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press(*SUMS)
        pane = logits(b)
        result = pane.data.result
        assert result is not None
        assert [bar.label for bar in pane.list.bars] == ["embed", "L0", "L1", "L2", "L3"]
        sums = result.extra["accumulated"].values
        assert pane.values is not None
        np.testing.assert_array_equal(pane.values[0], sums)
        await b.press("G")
        total = float(result.values.sum())
        assert b.readout("logits") == (
            f"L3  {total:+.3f}  this layer {sums[-1] - sums[-2]:+.3f}  exact  of {total:.2f}"
        ).replace("-", "−")
        assert b.app.state.selection.layer == 3
        assert "summed by layer" in b.screen
        await b.press("g")
        assert b.app.state.selection.layer == -1
        await b.press("v")
        assert "by size" in b.screen
        assert b.readout("logits").startswith("embed")


async def test_the_cursor_stays_in_its_layer_through_the_views(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("6", "g")
        assert b.readout("logits").startswith("L2 H4")
        await b.press("v", "v")
        assert b.readout("logits").startswith("L2 ")
        await b.press("v")
        assert b.readout("logits").startswith("L2 H4")  # the strongest of the layer


async def test_a_list_by_size_scrolls_to_a_head_selected_elsewhere_only_once_it_has_the_focus(
    board: Boards,
) -> None:
    async with board((120, 40)) as b:
        pane = logits(b)
        await b.press("6", "g", "2")
        assert pane.display
        at = max(at for at, bar in enumerate(pane.list.bars) if " H" in bar.label)
        layer, head = pane.list.bars[at].label.split()
        await b.press("g", "0", *"j" * int(layer[1:]), *"l" * int(head[1:]))
        assert b.readout("heads").startswith(f"{layer} {head}")
        assert b.readout("logits").startswith(f"{layer} {head}")
        assert pane.list.cursor == at
        assert pane.list.scroll_offset.y == 0, "the strongest stay in sight"
        assert pane.list.size.height <= at
        await b.press("6")
        line = at + pane.list.above - pane.list.scroll_offset.y
        assert 0 <= line < pane.list.size.height


async def test_the_edited_runs_sums_stand_beside_the_clean_ones(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "space", "6", "v", "v", "v")
        pane = logits(b)
        edited = b.app.state.slots["logits_edited"].result
        assert edited is not None
        assert pane.values is not None
        np.testing.assert_array_equal(pane.values, edited.extra["accumulated"].values.T)
        await b.press("G")
        before, after = edited.values.sum(0)
        assert b.readout("logits").endswith(f"of {before:.2f} → {after:.2f}".replace("-", "−"))


async def test_a_saved_result_of_before_has_no_sums_and_no_such_view(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("6")
        state = b.app.state
        document = state.document(["logits"])
        assert document is not None
        (result,) = Document.from_json(document.to_json()).results
        del result.extra["accumulated"]
        b.app.session.restore(state.with_slot("logits", result=result))
        await wait_until_idle(b.app)
        await b.press("v", "v")
        assert logits(b).order == "size"


async def test_v_colours_where_the_final_token_stays_as_the_library_has_it(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press(*SETTLED)
        pane = b.app.query_one(LensPane)
        result, data = pane.data.result, pane.grid.data
        assert result is not None
        assert data is not None
        first = converged(result.extra["top_ids"].values)
        rows = np.arange(len(data.rows))[:, None]
        np.testing.assert_array_equal(data.values, rows >= first)
        assert 0 < data.values.mean() < 1
        await b.press("0")
        for column in range(len(data.columns)):
            label = data.rows[first[column]]
            assert f"  {column} settled from {label} on" in b.readout("lens")
            await b.press("l")
        assert "coloured: the final token from here on" in b.screen
        await b.press("2", "space", "3")
        assert " settled from L3 → L3 on" in b.readout("lens")
        await b.press("v")
        assert "settled" not in b.readout("lens")


@pytest.mark.parametrize(("letters", "steps"), [(False, BLOCKS), (True, DIGITS)])
def test_a_low_plot_has_a_block_for_each_layer_or_nothing(letters: bool, steps: str) -> None:
    lines = [Series("p", (0.0, 0.5, 1.0), 75), Series("edited", (-0.1, 1e-9, 0.999), 214)]
    token = ascii_everywhere.set(letters)
    try:
        text = in_blocks("p ·Paris", ("emb", "L0", "L1"), lines, 40, 2).plain.split("\n")
        assert not in_blocks("p ·Paris", ("emb", "L0", "L1"), lines, 18, 2)
    finally:
        ascii_everywhere.reset(token)
    half = steps[len(steps) // 2]
    assert text[0] == f"p ·Paris  emb {steps[0]}{half}{steps[-1]} L1"
    assert text[1] == f"edited  emb {steps[0]}{steps[0]}{steps[-1]} L1"


def test_a_number_that_is_not_there_is_a_gap_in_the_row_of_blocks() -> None:
    line = Series("faithfulness", (0.0, float("nan"), 1.0), 214)
    row = in_blocks("faithfulness", ("0", "5", "110"), (line,), 40, 1).plain
    assert row == f"faithfulness  0 {BLOCKS[0]} {BLOCKS[-1]} 110"
