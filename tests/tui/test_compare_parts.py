"""A comparison shows what the pane shows: the MLPs' column, names as there, and keys that can act."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from interpboard.engine import protocol
from interpboard.results import LabelledArray
from tests.tui.compared import LONGER, SHOWN, ByText, line, run
from tests.tui.conftest import Board, Boards
from tui.catalogue import pane_slots
from tui.commands.command import commands


class ByTextWhole(ByText):
    """The effects of MLPs too differ by the number of tokens."""

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        asked = isinstance(request, protocol.RunAnalysis) and request.analysis == "what_if"
        if not asked or "alone" not in event.result.extra:
            return event
        alone = event.result.extra["alone"]
        grown = LabelledArray(alone.axes, alone.values + 0.5 * len(self.tokens(request.text)))
        extra = {**event.result.extra, "alone": grown}
        return msgspec.structs.replace(
            event, result=msgspec.structs.replace(event.result, extra=extra)
        )


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_the_difference_of_heads_has_the_mlps_that_the_pane_has(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, engine=ByTextWhole) as b:
        await b.press("2")
        await run(b, LONGER)
        await b.press(SHOWN, "G", "$")
        assert "MLP" in next(row for row in b.lines() if re.search(r"H0 .*H7", row))
        said = b.app.panes.of("heads").shown_readout().plain
        assert said.startswith(" L3 MLP  B − A +0.500 larger in B")
        numbers = {
            side: float(re.findall(rf"  {side} ([−+]\S+)", said)[-1].replace("−", "-"))
            for side in "AB"
        }
        await b.press(SHOWN, "G", "$")
        shown = {"A": b.app.panes.of("heads").shown_readout().plain.strip()}
        await b.press(SHOWN, "G", "$")
        shown["B"] = b.readout("heads")
        for side, readout in shown.items():
            assert readout.startswith("L3 MLP"), readout
            own = readout.split()[2].replace("−", "-")
            assert float(own) == pytest.approx(numbers[side], abs=2e-3)


async def test_neurons_are_called_in_a_difference_as_in_the_pane(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await b.press("7")
        await run(b, LONGER)
        assert re.match(r"L\d+ N\d+ ", b.readout("neurons"))
        await b.press(SHOWN)
        assert re.match(r" L\d+ N\d+ ", b.app.panes.of("neurons").shown_readout().plain)
        assert re.search(r"L\d+ N\d+ +[−+]", b.screen)


def offered(b: Board) -> set[str]:
    """The commands of the pane in focus, and of the app, that the bottom line has."""
    footer = f"{b.lines()[-1]} "
    return {
        each.id
        for each in commands(b.app.panes.focus_name, "app")
        if each.label and f" {each.shown.split(' ')[0]} {each.label} " in footer
    }


async def test_the_bottom_line_leads_on_and_offers_nothing_that_is_refused(board: Boards) -> None:
    async with board((200, 60), engine=ByText) as b:
        await b.press("1", "g", "s")  # so that Trace has an answer
        await run(b, LONGER)
        for view in ("B − A", "A"):
            await b.press(SHOWN)
            assert line(b, "before:").startswith(f" {view} ")
            for slot in pane_slots():
                assert slot.place is not None
                await b.press(str(slot.place.number))
                footer = b.lines()[-1]
                assert footer.startswith(" = Compare  ? Help "), footer
                refused = {
                    each.id
                    for each in commands(slot.name, "app")
                    if b.app.controllers.comparison.refuses(each)
                }
                assert refused or view == "A"
                assert not offered(b) & refused
        await b.press(SHOWN, "1")
        assert b.lines()[-1].startswith(" Space Explain ")
        assert "subject" in offered(b)
