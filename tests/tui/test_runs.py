"""Results are saved as they finish, come back without an engine, and can be compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interpboard.config import Settings
from interpboard.errors import StoreProblem
from interpboard.store import Store
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.dialogs.help import HelpScreen
from tui.dialogs.runs import RunsScreen
from tui.testing.wait_until_idle import wait_until_idle


class NoModel(FakeEngine):
    """A machine on which no model can be loaded."""

    def event_of(self, request: Any) -> Any:
        from interpboard.engine import protocol

        if isinstance(request, protocol.Load):
            return protocol.Failed(0, "bad_device", "No device is called 'cuda'.", "Use cpu.")
        return protocol.Failed(0, "no_model", "No model is loaded.", "Load one first.")


@asynccontextmanager
async def resumed(engine: Any = FakeEngine, **options: Any) -> AsyncIterator[Board]:
    app = InterpBoardApp(resume=True, engine_factory=engine, **options)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        yield Board(app, pilot)


def answered(b: Board) -> list[str]:
    """The slots that have a result."""
    return [name for name, slot in b.app.state.slots.items() if slot.result is not None]


async def view(b: Board) -> str:
    screen = b.app.screen
    assert isinstance(screen, RunsScreen)
    await wait_until_idle(b.app)
    return b.screen


async def test_every_finished_result_is_in_the_store(board: Boards) -> None:
    async with board() as b:
        shown = {name: slot.result for name, slot in b.app.state.slots.items()}
        store = b.app.controllers.saver.store
    runs = store.runs()
    assert {run.slot for run in runs} == {name for name, result in shown.items() if result}
    for run in runs:
        saved, result = store.document(run.id).results[0], shown[run.slot]
        assert result is not None
        assert (saved.values == result.values).all()
        assert run.prompt == "The Eiffel Tower is located in the city of"


@pytest.mark.parametrize("engine", [FakeEngine, NoModel])
async def test_resume_brings_the_panes_back_and_computes_nothing(
    board: Boards, engine: type[FakeEngine]
) -> None:
    async with board(text="A prompt of its own [/x") as b:
        await b.press("2", "a", "M", "t", *" Rome".replace(" ", "_").split("_")[0], "escape")
        heads, screen, ask = b.readout("heads"), b.lines()[2:18], b.app.state.question
    async with resumed(engine) as b:
        assert b.app.state.question == ask
        assert b.engine.requests == []
        assert b.readout("heads") == heads
        await b.press("2")
        assert b.lines()[2:18] == screen
        assert b.app.prompt.text == "A prompt of its own [/x"
        assert "mean ablation" in b.screen
        assert b.engine.requests == []
        if engine is NoModel:
            assert "No device is called" in b.messages[0]
            assert "engine: no model" in b.lines()[0]


async def test_after_resuming_r_runs_the_same_question(board: Boards) -> None:
    async with board() as b:
        await b.press("M")
    async with resumed() as b:
        await b.press("r")
        assert len(b.engine.requests) == len(answered(b)) > 0
        # Direct logit attribution has no probability to take apart: it explains the logit.
        for request in b.engine.requests:
            direct = request.analysis == "direct_logit_attribution"
            assert request.metric.name == ("logit" if direct else "prob")


async def test_interventions_come_back_with_their_own_results_only(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "space", "6", "2", "h", "space")  # Logits is not in sight any more
        assert b.app.state.interventions.text == "2.4=zero; 2.3=zero"
    async with resumed() as b:
        assert b.app.state.interventions.text == "2.4=zero; 2.3=zero"
        assert b.app.state.edited("what_if") is not None
        assert b.app.state.slots["logits_edited"].result is None
        await b.press("6")
        asked = {r.analysis: r.params for r in b.engine.requests}
        assert "what_if" not in asked
        assert asked["edited_direct_attribution"]["interventions"] == "2.4=zero; 2.3=zero"


async def test_what_was_undone_or_switched_off_stays_so(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "space", "h", "space", "u")
    async with resumed() as b:
        assert b.app.state.interventions.text == "2.4=zero"
        await b.press("2", "space")
        assert [(item.text, item.on) for item in b.app.state.interventions.items] == [
            ("2.4=zero", False)
        ]
    async with resumed() as b:
        assert [(item.text, item.on) for item in b.app.state.interventions.items] == [
            ("2.4=zero", False)
        ]
        assert b.app.state.edited("what_if") is None
        assert b.app.state.slots["what_if"].result is None
    async with board((80, 24), text="The Eiffel Tower is located in the city of") as b:
        assert not b.app.state.interventions.items
    async with resumed() as b:  # the last of the apps had no interventions
        assert not b.app.state.interventions.items


async def test_resume_with_an_empty_store_says_so_and_runs() -> None:
    async with resumed() as b:
        assert "There is no saved run to resume." in b.messages
        assert len(b.engine.requests) == len(answered(b)) > 0


async def test_resume_with_a_damaged_store_says_so_and_runs(board: Boards) -> None:
    async with board() as b:
        path = b.app.controllers.saver.store.path
    path.write_text("nonsense " * 1000)
    async with resumed() as b:
        assert len(b.engine.requests) == len(answered(b)) > 0
        assert len(b.messages) == 1
        assert "damaged" in b.messages[0]


async def test_runs_lists_newest_first_shows_and_reopens(board: Boards) -> None:
    async with board() as b:
        await b.press("p")
        await b.write(" x")
        await b.press("enter", "8")
        text = await view(b)
        saved = len(b.app.controllers.saver.store.runs())
        assert saved == 2 * len(answered(b))  # both prompts
        assert f"{saved} of {saved}, newest first" in text
        first = b.app.screen.list.run  # type: ignore[attr-defined]
        assert first.prompt.endswith("city of x")
        before = len(b.engine.requests)
        while b.app.screen.list.run.prompt.endswith(" x"):  # type: ignore[attr-defined]
            await b.press("j")
        text = await view(b)
        assert "prompt: The Eiffel Tower is located in the city of\n" in "\n".join(
            line.rstrip(" ┃│") for line in text.splitlines()
        )
        await b.press("enter")
        assert not isinstance(b.app.screen, RunsScreen)
        assert b.app.prompt.text == "The Eiffel Tower is located in the city of"
        assert len(b.engine.requests) == before
        for name in ("predictions", "tokens", "lens", "logits", "heads", "mlp_ablation"):
            assert b.app.state.slots[name].result is not None, name


async def test_a_run_of_another_model_is_shown_and_that_model_loaded_before_it_runs(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("o")
        await b.write("other")
        await b.press("enter", "8")
        await view(b)
        await b.press("G", "enter")
        await wait_until_idle(b.app)
        assert b.lines()[0].startswith(" demo")
        assert b.engine.loaded == "other"
        await b.press("enter")
        assert b.engine.loaded == "demo"
        assert b.lines()[0].startswith(" demo")
        assert not b.app.state.busy


async def test_search_narrows_and_pins_compare(board: Boards) -> None:
    async with board((180, 40)) as b:
        await b.press("2", "a", "8", "f")
        await b.write("head_ab")
        await b.press("enter")
        text = await view(b)
        runs = b.app.controllers.saver.store.runs()
        matching = [run for run in runs if run.analysis == "head_ablation"]
        assert len(matching) == 2  # by zero and by the mean
        assert f"2 of {len(runs)}, newest first  with “head_ab”" in text
        await b.press("space", "j", "space")
        text = await view(b)
        assert "2 pinned" in text
        assert "Head ablation mean" in text
        assert " A " in text
        assert " B " in text
        await b.press("d")
        text = await view(b)
        assert "B − A" in text
        assert "positive: larger in B" in " ".join(text.split())
        assert "different parameters: A ablation=mean, B none" in text
        await b.press("space")
        assert "1 pinned" in await view(b)
        await b.press("z")
        assert "Head ablation" in await view(b)
        await b.press("J", "K", "z", "question_mark")
        assert isinstance(b.app.screen, HelpScreen)
        await b.press("q", "q")
        assert not isinstance(b.app.screen, RunsScreen)


@pytest.mark.parametrize("key", ["q", "escape", "backspace", "8"])
async def test_ways_out_of_runs(board: Boards, key: str) -> None:
    async with board() as b:
        await b.press("8")
        await b.press(key)
        assert not isinstance(b.app.screen, RunsScreen)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_screen_of_runs(
    board: Boards, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.widgets.run_list.time.strftime", lambda *_: "11-24 12:00:00")
    async with board(size) as b:
        await b.press("2", "a", "8")
        await view(b)
        b.matches(f"runs-{size[0]}x{size[1]}")


async def test_a_run_is_taken_away_as_row_markdown_code_and_file(
    board: Boards, tmp_path: Any
) -> None:
    async with board(settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press("8")
        await view(b)
        await b.press("Y")
        await b.pilot.pause()
        await b.app.workers.wait_for_complete()
        text = (tmp_path / "state" / "yank.txt").read_text()
        assert text.startswith("# InterpBoard: `demo`")
        run = b.app.screen.list.run  # type: ignore[attr-defined]
        for key, expected in (("y", " demo "), ("c", "analyze --model demo ")):
            await b.press(key)
            text = (tmp_path / "state" / "yank.txt").read_text()
            assert expected in text
        compile(text, "lines", "exec")
        assert f"--analysis {run.analysis}" in text
        await b.press("e")
        assert f"this run ({run.analysis})" in b.screen
        await b.press("tab", "enter")
        (path,) = tmp_path.glob("*.md")
        assert path.read_text().startswith("# InterpBoard: `demo`")
        assert path.name == f"interpboard-demo-{run.analysis}.md"


async def test_a_full_disk_is_said_once_loses_nothing_and_is_tried_again(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, full = Store.add, [True]

    def sometimes(self: Store, *args: Any) -> int:
        if full[0]:
            raise StoreProblem("The disk is full: runs.sqlite takes no more.", "Free some space.")
        return add(self, *args)

    monkeypatch.setattr(Store, "add", sometimes)
    async with board() as b:
        assert b.messages == [
            "Not saved: The disk is full: runs.sqlite takes no more. Free some space. "
            "What is on the screen stays."
        ]
        assert "·Paris" in b.screen
        assert b.app.controllers.saver.store.runs() == []
        full[0] = False
        await b.press("M")
        runs = b.app.controllers.saver.store.runs()
        assert {run.slot for run in runs} == set(answered(b))
        # What the logits say is the same for both metrics, and kept once.
        assert len(runs) == 2 * len(answered(b)) - 1


async def test_old_asks_with_unknown_or_wrong_fields_still_open(board: Boards) -> None:
    from tui.session.restoring import question_of
    from tui.session.state import Question

    async with board() as b:
        (run, *_) = b.app.controllers.saver.store.runs()
    from dataclasses import replace

    assert question_of(replace(run, ask={})) == Question(run.prompt)
    strange = {"text": "x", "metric": ["no"], "colour": 3, "target": None}
    assert question_of(replace(run, ask=strange)) == Question("x")


async def test_settings_reach_the_store() -> None:
    app = InterpBoardApp(settings=Settings(keep_runs=2), engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)):
        await wait_until_idle(app)
        assert len(app.controllers.saver.store.runs()) == 2
