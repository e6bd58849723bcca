"""B − A in Trace: each cell is the difference of the two traces, and a token that one has alone has none."""

from __future__ import annotations

import pytest

from tests.tui.compared import LONGER, SHOWN, ByText, pane, run
from tests.tui.conftest import Boards
from tui import words


async def test_the_difference_of_two_traces_is_that_of_their_cells(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await b.press("1", "home", "s", "4")
        first = pane(b, "trace").data.result
        assert first is not None
        await run(b, LONGER)
        await b.press("1", "home", "s", "4")
        second = pane(b, "trace").data.result
        assert second is not None
        assert second is not first
        await b.press(SHOWN)
        made = pane(b, "trace").data.result
        assert made is not None
        assert "B − A of causal trace" in b.screen
        labels = made.axes[1].labels
        (only,) = [at for at, label in enumerate(labels) if label.startswith("B: ")]
        shared = [at for at in range(len(labels)) if at != only]
        expected = second.values[:, shared] - first.values
        assert abs(expected).max() > 0
        assert made.values[:, shared] == pytest.approx(expected)
        assert (made.values[:, only] != made.values[:, only]).all()
        said = pane(b, "trace").shown_readout().plain
        assert f"B − A {words.signed(float(made.values[pane(b, 'trace').cursor]))}" in said
