"""Which pane is active and in sight, and how cursors follow each other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.tui.controllers.plain import PlainBoard, PlainPane, panes_of, session
from tui.controllers.panes import PROMPT_INPUT, Panes


def cursors(panes: Panes) -> set[int]:
    return {pane.cursor for pane in panes.views}


async def test_one_pane_is_active_framed_and_asked_for() -> None:
    async with session() as own:
        panes = panes_of(own, PlainBoard())
        panes.go("heads")
        assert panes.active == "heads"
        framed = [pane.slot.name for pane in panes.views if getattr(pane, "framed", False)]
        assert framed == ["heads"]
        assert {"heads", *panes.view.slot.beside} <= set(own.in_sight)


async def test_panes_are_gone_through_by_number_and_round() -> None:
    async with session() as own:
        panes = panes_of(own, PlainBoard())
        names = [pane.slot.name for pane in panes.views]
        seen = []
        for _ in names:
            seen.append(panes.active)
            panes.step(1)
        assert seen == names
        assert panes.active == names[0]
        panes.step(-1)
        assert panes.active == names[-1]


@pytest.mark.parametrize("name", ["-narrow", "-low"])
async def test_a_small_screen_shows_the_active_pane_alone_and_asks_for_nothing_else(
    name: str,
) -> None:
    async with session() as own:
        board = PlainBoard()
        board.size_names = [name]
        panes = panes_of(own, board)
        panes.go("lens")
        assert [pane.slot.name for pane in panes.views if pane.display] == ["lens"]
        assert set(own.in_sight) == {"lens", *panes.view.slot.beside}


async def test_the_zoom_hides_the_others_until_it_is_left() -> None:
    async with session() as own:
        panes = panes_of(own, PlainBoard())
        panes.arrange()
        shown = sum(pane.display for pane in panes.views)
        panes.zoom()
        assert sum(pane.display for pane in panes.views) == 1
        panes.zoom(False)
        assert sum(pane.display for pane in panes.views) == shown > 1


async def test_other_panes_come_to_a_cursor_only_once_it_rests() -> None:
    async with session() as own:
        board = PlainBoard()
        panes = panes_of(own, board)
        panes.arrange()
        panes.view.cursor = 3
        panes.select(token=3)
        assert panes.moving
        assert cursors(panes) == {0, 3}
        assert board.due is not None
        board.due()
        assert not panes.moving
        assert cursors(panes) == {3}


async def test_enter_opens_what_is_under_the_cursor_and_runs_where_nothing_is() -> None:
    async with session() as own:
        events: list[str] = []
        panes = panes_of(
            own, PlainBoard(), run=lambda: events.append("run"), open_screen=events.append
        )
        panes.open()
        assert events == ["run"]
        assert isinstance(panes.view, PlainPane)
        panes.view.opens = "attention"
        panes.open()
        assert panes.active == "attention"
        assert isinstance(panes.view, PlainPane)
        panes.view.opens = "circuit"  # a screen, not a pane
        panes.open()
        assert events == ["run", "circuit"]
        assert panes.active == "attention"


async def test_the_focus_says_which_pane_is_active_and_may_be_in_the_prompt() -> None:
    async with session() as own:
        board = PlainBoard()
        panes = panes_of(own, board)
        assert not panes.take_focus()  # nothing has it
        board.set_focus(panes.of("trace").view)
        assert panes.take_focus()
        assert panes.focus_name == panes.active == "trace"
        board.focused = SimpleNamespace(id=PROMPT_INPUT, ancestors=[])
        assert panes.take_focus()
        assert panes.focus_name == "prompt"
        assert panes.active == "trace"
        assert not any(getattr(pane, "framed", False) for pane in panes.views)


async def test_one_returns_to_the_pane_the_selection_and_the_cursors_there_were() -> None:
    async with session() as own:
        panes = panes_of(own, PlainBoard())
        panes.go("lens")
        panes.view.cursor = 2
        panes.select(token=2)
        where = panes.where()
        panes.go("heads")
        panes.select(token=5)
        panes.cursor_rested()
        panes.return_to(where)
        assert panes.active == "lens"
        assert own.state.selection.token == 2
        assert panes.of("lens").cursor == 2


async def test_only_panes_that_show_what_has_changed_are_filled_anew() -> None:
    async with session(in_sight=("tokens",)) as own:
        panes = panes_of(own, PlainBoard())
        shown: list[str] = []
        for pane in panes.views:
            pane.show = lambda state, pane=pane: shown.append(pane.slot.name)
        panes.show(own.state, {"lens"})
        assert shown == ["lens"]
