"""The footer: what leads on from here, then what is needed everywhere, then what there is room for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from rich.cells import cell_len

from tests.tui.conftest import Boards
from tui.catalogue import footer_commands, pane_slots
from tui.commands.command import command
from tui.session.state import Answers, Engine
from tui.testing.wait_until_idle import wait_until_idle
from tui.theme import DARK_INKS
from tui.widgets.lines import footer, hint

PANES = [slot.name for slot in pane_slots()]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("focus", ["prompt", *PANES])
def test_it_never_ends_inside_an_entry_and_has_the_next_step_help_and_export(
    focus: str, width: int
) -> None:
    for busy in (False, True):
        found = footer_commands(focus, busy)
        shown = footer(found, DARK_INKS, width).plain
        assert cell_len(shown) <= width
        entries = [hint(each, DARK_INKS).plain for each in found]
        assert "".join(entries).startswith(shown)
        assert shown in ["".join(entries[:at]) for at in range(1, len(entries) + 1)]
        if focus != "prompt":
            assert shown.startswith(entries[0])
            assert " ? Help " in shown
            assert " e Export " in shown
            assert ("x Cancel" in "".join(entries)) == busy


@pytest.mark.parametrize("focus", PANES)
def test_where_there_is_room_it_shows_the_screens_and_the_saved_runs(focus: str) -> None:
    shown = footer(footer_commands(focus, False), DARK_INKS, 200).plain
    for id in ("circuit", "steering", "methods", "continuation", "pane_8"):
        assert f" {command(id).shown.split()[0]} {command(id).label} " in shown


async def test_trace_offers_the_corrupted_prompt_and_space_only_where_it_can_act(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        await b.press("4")
        assert b.lines()[-1].startswith(" d Corrupted")
        assert "Space Patch" not in b.lines()[-1]
        await b.press("1", "g", "s", "4")  # a causal trace: noise cannot be patched in
        assert b.app.state.slots["trace"].result is not None
        assert "Space Patch" not in b.lines()[-1]
        await b.press("d", "backspace", "x", "enter")
        assert b.app.state.slots["trace"].result is not None
        assert b.lines()[-1].startswith(" Space Patch")


async def test_what_leads_on_is_the_model_where_there_is_none_and_running_where_nothing_is_there(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        view, state = b.app.panes.view, b.app.state
        assert view.next_step(state) == ""
        assert view.next_step(replace(state, engine=Engine(phase="failed"))) == "model"
        emptied = replace(state, slots=Answers())
        assert view.next_step(emptied) == "run"
        shown = footer(footer_commands("tokens", False, "model"), DARK_INKS, 80).plain
        assert shown.startswith(" o Open ")


@pytest.mark.parametrize("width", [40, 80, 120])
async def test_screens_over_the_panes_have_a_first_step_help_export_and_the_way_back(
    board: Boards, width: int
) -> None:
    async with board((width, 24)) as b:
        for key in "8CVAW":
            await b.press(key)
            assert b.app.screen is not b.app.base
            line = b.lines()[-1]
            assert "…" not in line, key
            assert "Help" in line, key
            assert "Export" in line or width == 40, key
            assert "Back" in line or width == 40, key
            await b.press("q")
            assert b.app.screen is b.app.base


async def test_what_is_asked_again_at_every_move_of_a_cursor_does_not_change_the_footer(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        await b.press("2")
        before = b.lines()[-1]
        b.engine.paused = True
        for key in ("j", "dollar_sign"):  # attention goes with a head, a neuron with an MLP
            await b.press(key)
            async with asyncio.timeout(10):
                while b.app.panes.moving:
                    await b.pilot.pause(0.01)
        assert {"attention", "chosen_neuron"} <= set(b.app.state.busy)
        assert b.lines()[-1] == before
        await b.press("r")
        async with asyncio.timeout(10):  # panes and frame wait a little for the first answers
            while "x Cancel" not in b.lines()[-1]:
                await b.pilot.pause(0.02)
        b.engine.release()
        await wait_until_idle(b.app)
        assert b.lines()[-1] == before
