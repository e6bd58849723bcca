"""Of a model in 16 bits, heads that do no more than rounding are marked, and how much that is is said."""

from __future__ import annotations

import re

import pytest

from interpboard.config import Settings
from interpboard.results.intervals import unsure_entries
from tests.tui.conftest import Board
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


@pytest.mark.usefixtures("forked_engines")
async def test_heads_within_rounding_are_marked() -> None:
    settings = Settings(model="demo", dtype="bfloat16", device="cpu")
    app = InterpBoardApp(text="The capital of France is", settings=settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("2", "z")
        await wait_until_idle(app)
        result = app.state.slots["heads"].result
        assert result is not None
        marked = unsure_entries(result)
        assert 0 < marked.sum() < marked.size
        assert re.search(r"\? within 0\.\d+ is rounding", b.screen)
        grid = [line for line in b.lines() if re.match(r"\W*L\d ", line)]
        assert sum(line.count("?") for line in grid[: len(marked)]) == marked.sum()
        layer, head = (int(at[0]) for at in marked.nonzero())
        await b.press(*f"{layer}.{head}")
        assert "within rounding" in b.screen
