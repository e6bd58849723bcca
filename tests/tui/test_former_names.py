"""What older programs wrote on the disk comes back: slots had other names, and so had the list of edits."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.results import Document
from interpboard.store import Store
from tests.tui.answers import canned, tokens_of
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.stand_ins import Spoken, session
from tui.app import InterpBoardApp
from tui.catalogue import SLOTS
from tui.controllers.saved_runs import SavedRuns
from tui.controllers.saver import Saver
from tui.session.session import Session
from tui.testing.wait_until_idle import wait_until_idle

FORMER = {"mlps": "mlp_ablation", "other": "corrupted_predictions", "neuron": "chosen_neuron"}
CORRUPTED = "The Eiffel Tower is located in the town of"


def not_compared(*_: object) -> None:
    """Nothing here is compared."""
    raise AssertionError


async def not_offered(*_run: str) -> None:
    raise AssertionError("a run that is reopened is not offered for comparison")


def saved(store: Store, made: Session, former: str) -> Document:
    """The answer to the slot's question of today, saved under the name that it had."""
    slot, model = made.slots[FORMER[former]], made.state.model
    analyses = {"trace": "activation_patching"}
    selection = replace(made.state.selection, neuron=(2, 5))
    state = replace(made.state, corrupted=CORRUPTED, analyses=analyses, selection=selection)
    request = slot.request(state)
    assert request is not None
    assert model is not None
    run = protocol.RunAnalysis(
        0, request.analysis, request.question.text, params=dict(request.params)
    )
    prompt, result = canned(run, tokens_of(run.text), 4, 8)
    document = Document(model=model.info, prompt=prompt, results=(result,))
    store.add(document, former, asdict(request.question), time.time())
    return document


def test_the_former_names_are_those_that_were_ever_saved() -> None:
    assert {old: slot.name for slot in SLOTS for old in slot.formerly} == FORMER


@pytest.mark.parametrize("former", FORMER)
async def test_a_run_saved_under_a_former_name_is_restored(former: str) -> None:
    told, shown = Spoken(), list[str]()
    async with session(told) as made:
        saver = Saver(100, [], told)
        document = saved(saver.store, made, former)
        own = SavedRuns(made, saver, told, shown.append, lambda: None, not_compared, not_offered)
        (run,) = saver.store.runs()
        assert run.slot == former
        assert await own.reopen(run)
        answer = made.state.slots[FORMER[former]]
        assert answer.result is not None
        np.testing.assert_array_equal(answer.result.values, document.results[0].values)
        assert answer.prompt == document.prompt
        assert shown == [FORMER[former]]
        assert former not in made.state.slots
        assert told == []


async def test_a_run_of_a_slot_that_never_was_is_refused() -> None:
    told = Spoken()
    async with session(told) as made:
        saver = Saver(100, [], told)
        saved(saver.store, made, "mlps")
        (run,) = saver.store.runs()
        own = SavedRuns(
            made, saver, told, lambda _slot: None, lambda: None, not_compared, not_offered
        )
        assert not await own.reopen(replace(run, slot="nothing"))
        assert told == ["No pane shows this analysis: z shows it whole."]


async def test_a_store_of_an_older_program_resumes_as_it_was_left(board: Boards) -> None:
    async with board() as b:
        await b.press("2", "G")
        path, screen = b.app.controllers.saver.store.path, b.lines()[2:18]
        assert b.app.state.slots["mlp_ablation"].result is not None
    with sqlite3.connect(path) as database:
        (count,) = database.execute(
            "SELECT count(*) FROM runs WHERE slot = 'mlp_ablation'"
        ).fetchone()
        assert count == 1
        database.execute("UPDATE runs SET slot = 'mlps' WHERE slot = 'mlp_ablation'")
    database.close()
    app = InterpBoardApp(resume=True, engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        assert b.engine.requests == []
        await b.press("2", "G")
        assert b.lines()[2:18] == screen
        assert b.app.state.slots["mlp_ablation"].result is not None


async def test_a_list_of_interventions_kept_under_its_former_name_is_restored(
    board: Boards,
) -> None:
    async with board() as b:
        store, text = b.app.controllers.saver.store, b.app.state.question.text
        items = [["2.4=zero", False], ["1.mlp=mean", True]]
    with sqlite3.connect(store.path) as database:
        database.execute("DELETE FROM desk")
    database.close()
    store.remember("held", {"model": "demo", "prompt": text, "items": items})
    app = InterpBoardApp(resume=True, engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)):
        await wait_until_idle(app)
        listed = [[item.text, item.on] for item in app.state.interventions.items]
    assert listed == items
