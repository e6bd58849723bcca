"""A pair of prompts is one again after ``--resume``: the corrupted prompt is shown, not asked anew."""

from __future__ import annotations

from tests.tui.conftest import Boards
from tests.tui.test_runs import resumed

CORRUPTED = "The Louvre Tower is located in the city of"


async def test_the_corrupted_prompts_tokens_and_answer_stand_in_trace_after_resume(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("4", "d", "ctrl+u")
        await b.write(CORRUPTED)
        await b.press("enter", "z")
        before = b.lines()[3:]
        assert "The ·Lou… ·Tow…" in "\n".join(before), b.screen
        assert "the corrupted prompt says ·Paris" in b.screen
    async with resumed() as b:
        await b.press("4", "z")
        assert b.lines()[3:] == before
        assert b.app.state.corrupted == CORRUPTED
        assert b.engine.requests == []
