"""A comparison taken away, saved, resumed, and beside another model or another engine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.tui.compared import FIRST, LONGER, SHOWN, ByText, line, resumed, run
from tests.tui.conftest import Boards

PANES_WITH_VALUES = "123567"


async def test_the_difference_leaves_as_a_result_that_says_what_it_is_of(board: Boards) -> None:
    from interpboard.results import Document

    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "2")
        state = b.app.controllers.comparison.shown(b.app.state)
        document = state.document(["heads"])
        assert document is not None
        read = Document.from_json(document.to_json()).results[0]
    assert read.analysis == "difference of head_ablation"
    assert (read.params["a_prompt"], read.params["b_prompt"]) == (FIRST, LONGER)


async def test_every_pane_with_values_shows_copies_and_exports_its_difference(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    yanked = tmp_path / "state" / "yank.txt"
    async with board((80, 24), engine=ByText) as b:
        await b.press(*PANES_WITH_VALUES)  # each has its answer of the prompt before
        await run(b, LONGER)
        await b.press(SHOWN)
        for number in PANES_WITH_VALUES:
            await b.press(number)
            title = b.app.panes.view.slot.place.title
            assert f"{number} {title}" in b.screen
            assert "B − A of" in b.screen, title
            await b.press("y")
            assert "B − A" in yanked.read_text() or "only in" in yanked.read_text(), title
            await b.press("Y")
            assert "difference of" in yanked.read_text(), title
            before = yanked.read_text()
            await b.press("c")
            assert yanked.read_text() == before, title
            assert "for one side" in b.messages[-1]
            out = tmp_path / f"{number}.csv"
            await b.press("e")
            field: Any = b.app.screen.query_one("Input")
            field.value = str(out)
            await b.press("enter")
            assert "difference of" in out.read_text(encoding="utf-8"), title


async def test_another_model_leaves_a_as_it_is(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN)
        b.app.session.load("other")
        await b.press("2")
        assert "what is kept of A stays" in " ".join(b.messages)
        assert "A demo float32, before: The Eiffel" in b.screen
        assert "B other float32" in b.screen
        assert "B − A of head ablation" in b.screen


async def test_the_engine_dies_and_both_sides_go_on(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN)
        b.engine.die()
        await b.press("2")
        assert "B − A +1.000" in b.screen


async def test_a_saved_run_is_compared_with_from_runs(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)
        await run(b, "A third prompt of")
        await b.press("8", "slash")
        await b.write("eiffel head_ab")
        await b.press("enter", "G", SHOWN)
        assert "A saved: The Eiffel" in b.screen
        await b.press("2")
        assert "B − A of head ablation" in b.screen


async def test_resuming_brings_the_comparison_back_in_the_view_that_was_shown(
    board: Boards,
) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, SHOWN)
        above = line(b, "before:")
        await b.press(SHOWN, SHOWN, SHOWN)
        difference = [each for each in b.lines() if "B − A" in each]
    async with resumed() as b:
        assert line(b, "before:") == difference[0]
        assert "B − A of head ablation" in b.screen
        assert {r.text for r in b.engine.requests if r.analysis == "head_ablation"} == set()
        await b.press(SHOWN)
        assert line(b, "before:") == above


async def test_resuming_says_why_a_comparison_does_not_come_back(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN)
        path = b.app.controllers.saver.store.path
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM runs WHERE prompt = ?", (FIRST,))
    async with resumed() as b:
        assert f"nothing of “{FIRST}” is saved any more" in b.messages[-1]
        assert "before:" not in b.screen


async def test_a_comparison_that_was_ended_does_not_come_back(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(*[SHOWN] * 4)
    async with resumed() as b:
        assert "before:" not in b.screen
        assert b.messages == []


async def test_the_focus_stays_in_the_pane_through_every_view(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)
        await b.press("3")
        for _ in range(4):
            await b.press(SHOWN)
            assert b.app.panes.focus_name == "lens"
            await b.press("j", "k")
            assert b.app.panes.focus_name == "lens"


async def test_the_line_fits_the_screen_and_hostile_prompts_do_nothing(board: Boards) -> None:
    async with board((80, 24), engine=ByText, text="\x1b[31m[/red] a") as b:
        await run(b, LONGER * 4)
        await b.press(SHOWN)
        above = line(b, "before:")
        assert len(above) <= 80
        assert "= shows A" in above
        assert "\x1b" not in above
