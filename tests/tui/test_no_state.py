"""Without a place to keep anything the app runs, says so in one line, and nothing of it fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interpboard.engine import protocol
from interpboard.store import Store
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tests.tui.test_runs import resumed


@pytest.fixture
def no_place(tmp_path: Path) -> Path:
    """A file lies where the state folder belongs."""
    path = tmp_path / "state"
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("a file")
    return path


async def test_the_app_runs_without_a_state_folder_and_says_it_once(
    board: Boards, no_place: Path
) -> None:
    async with board() as b:
        assert "Paris" in b.screen
        await b.press("2", "a", "r")
        said = [message for message in b.messages if "saved" in message]
        assert said == [
            f"Nothing is saved: Cannot make the folder {no_place}: File exists. "
            "Set INTERPBOARD_STATE to one that can be written."
        ]
        await b.press("y")  # copying writes a file as well
        assert "not written to a file" in b.messages[-1]
        await b.press("8")
        assert "Cannot" in b.screen
        await b.press("q", "H")
    assert no_place.read_text() == "a file"


async def test_resuming_without_a_state_folder_is_said(no_place: Path) -> None:
    async with resumed() as b:
        assert any("Not resumed: Cannot make the folder" in message for message in b.messages)


class Changed(FakeEngine):
    """The model of the same name has other weights than it had."""

    weights = "numbers:a.changed"

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            model = msgspec.structs.replace(event.model, weights=self.weights)
            return msgspec.structs.replace(event, model=model)
        return event


class Before(Changed):
    """The same before that."""

    weights = "numbers:a.before"


async def test_saved_runs_of_other_weights_are_marked_beside_the_model_that_is_loaded(
    board: Boards,
) -> None:
    async with board(engine=Before) as b:
        shown = b.readout("heads")
    async with resumed(Changed) as b:
        (told,) = [message for message in b.messages if "other weights" in message]
        assert told == "The saved results are of other weights than demo has now: r runs anew."
        assert b.readout("heads") == shown
        marks = b.screen.count("other weights, r runs this one")
        assert marks
        saved = b.app.state.document(["heads"])
        assert saved is not None
        assert saved.model.weights == Before.weights  # exports say whose numbers they are
        await b.press("r")
        assert b.screen.count("other weights, r runs this one") < marks
        anew = b.app.state.document(["heads"])
        assert anew is not None
        assert anew.model.weights == Changed.weights
    runs = Store().runs()
    assert {run.weights for run in runs} == {Before.weights, Changed.weights}


async def test_runs_of_the_same_question_to_other_weights_are_not_put_side_by_side(
    board: Boards,
) -> None:
    async with board((80, 24), engine=Before) as b:
        await b.press("2", "3")  # heads, and the lens
    async with board((80, 24), engine=Changed) as b:
        await b.press("2")  # heads alone
    async with resumed(Changed) as b:
        assert not [message for message in b.messages if "other weights" in message]
        assert b.app.state.slots["heads"].result is not None
        lens = b.app.state.slots["lens"]
        assert lens.result is None or lens.of is None or lens.of.weights == Changed.weights


async def test_opening_an_older_run_of_other_weights_says_so(board: Boards) -> None:
    async with board(engine=Before):
        pass
    async with board(engine=Changed, text="Another prompt") as b:
        run = next(
            run for run in b.app.controllers.saver.store.runs() if run.weights == Before.weights
        )
        await b.app.controllers.saved_runs.reopen(run)
        await b.press("2")
        assert any("other weights than demo has now" in message for message in b.messages)
        assert "not loaded" in b.lines()[0]
