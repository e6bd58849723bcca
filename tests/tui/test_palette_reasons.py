"""A command that would only refuse is dimmed in the palette, with the reason: all, in three states."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.dialogs.palette import PaletteEntry, PaletteScreen

# They end the app or its engine; and what the first of the two prompts in a row is compared with says more.
LEFT_OUT = {"quit", "restart"}
DONE = ("Copied", "Pinned", "Not pinned", "Written", "Light", "Dark")  # said of what was done


class NeverAnswers(FakeEngine):
    """The model is there, and no job ends."""

    def run(self, *args: object, **options: object) -> int:
        self.paused = True
        return super().run(*args, **options)  # type: ignore[arg-type]


class LoadsNothing(FakeEngine):
    """No model is ever there."""

    def load(self, model: str, **options: object) -> int:
        self.paused = True
        return super().load(model, **options)


async def turns(b: Board) -> None:
    """Let what was begun go on; nothing waits for an engine that does not answer."""
    for _ in range(6):
        await asyncio.sleep(0)
    await b.pilot._wait_for_screen()


async def entries(b: Board) -> list[PaletteEntry]:
    """What the palette lists now, a command once."""
    b.app.controllers.screens.uncover()
    b.app.controllers.palette.open()
    await turns(b)
    assert isinstance(b.app.screen, PaletteScreen)
    found = {entry.command.id: entry for entry in b.app.screen.entries}
    b.app.controllers.screens.uncover()
    await turns(b)
    return list(found.values())


async def only_refuse(b: Board) -> list[str]:
    """Commands that the palette offers, and that say something and do nothing else."""
    found = []
    for entry in await entries(b):
        if entry.why_not or entry.command.id in LEFT_OUT:
            continue
        if b.app.controllers.perform.why_not(
            entry.command, entry.place
        ):  # one before it has changed that
            continue
        app = b.app
        before, said, asked = app.state, len(b.messages), len(b.engine.requests)
        await app.controllers.perform.at(entry.command, entry.place)
        await turns(b)
        new = b.messages[said:]
        idle = app.state is before and len(b.engine.requests) == asked
        if idle and new and not new[-1].startswith(DONE):
            found.append(f"{entry.command.id} {entry.where}: {new}")
        app.controllers.screens.uncover()
        app.controllers.comparison.leave()
        await turns(b)
    return found


@pytest.mark.parametrize(
    "engine", [FakeEngine, NeverAnswers, LoadsNothing], ids=["idle", "busy", "no model"]
)
async def test_what_would_only_refuse_is_dimmed_and_says_why(
    board: Boards, engine: type[FakeEngine]
) -> None:
    async with board((80, 24), engine=engine, settle=engine is FakeEngine) as b:
        refusing = await only_refuse(b)
        assert not refusing, "\n".join(refusing)


async def test_reasons_of_comparisons_plots_tables_and_notes(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board((80, 24), engine=NeverAnswers, settle=False) as b:
        reasons = {entry.command.id: entry.why_not for entry in await entries(b)}
        assert reasons["compare"].startswith("There is no prompt before this one.")
        assert reasons["pin_prompt"] == "There is nothing to pin yet: run the prompt first."
        assert reasons["prompt_table"] == "No file of prompts is open: O opens one."
        assert reasons["table_sort"] == reasons["prompt_table"]
        assert reasons["plot"] == "Tokens has nothing to draw yet."
        assert reasons["what_if_drop"] == "There are no interventions: a in What if adds one."
        assert reasons["runs_difference"]
        assert not reasons["note"]
        monkeypatch.setattr(b.app.controllers.saver, "off", True)
        reasons = {entry.command.id: entry.why_not for entry in await entries(b)}
        for id in ("note", "notes", "sessions", "name_session"):
            assert reasons[id] == "Nothing can be saved here: no notes, no sessions."


async def test_what_can_act_has_no_reason(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("p", "x", "enter")
        await b.app.action_perform("pin_prompt")
        await b.press("2", "g", "space", "1")
        reasons = {entry.command.id: entry.why_not for entry in await entries(b)}
        for id in ("compare", "pin_prompt", "compare_model", "head_set", "what_if_drop", "plot"):
            assert not reasons[id], id
