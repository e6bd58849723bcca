"""Training a lens and collecting examples from the panes: asked, told, stopped, gone on with, taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from interpboard.circuits.lens import training as tune_lens
from interpboard.circuits.lens import translators
from interpboard.config import Settings
from interpboard.engine import protocol
from interpboard.registry import find_analysis
from tests.tui.conftest import Board, Boards
from tests.tui.test_neurons import examples_file
from tui.catalogue import SLOTS
from tui.dialogs.job import JobScreen
from tui.slots.lens import spec as lens
from tui.testing.wait_until_idle import wait_until_idle

# The key of the pane, its slot, and what is written.
KINDS = [("3", "training", "lens-demo"), ("7", "collecting", "examples-demo.safetensors")]


ANALYSES_OF = {slot.name: slot.analysis for slot in SLOTS if slot.kind == "job"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The sky is blue.")
    return path


def asked(b: Board, slot: str) -> list[dict[str, Any]]:
    return [r.params for r in b.engine.requests if r.analysis == ANALYSES_OF[slot]]


async def fill(b: Board, *fields: str | Path) -> None:
    """Write into the fields from the first on; None leaves one as it is. Then Enter."""
    for at, text in enumerate(fields):
        await b.press(*(("tab",) if at else ()), "ctrl+u")
        await b.write(str(text))
    await b.press("enter")


def test_the_app_knows_the_librarys_names_of_files() -> None:
    assert lens.UNFINISHED == tune_lens.STATE
    assert lens.LENS_FILE == translators._CONFIG


def test_a_job_takes_what_its_analysis_takes() -> None:
    for slot in ANALYSES_OF:
        names = [own.name for own in find_analysis(ANALYSES_OF[slot]).parameters]
        assert {"corpus", "out"} <= set(names)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_screen_of_the_question(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, settings=Settings(export_folder="/texts")) as b:
        for pane, slot, _ in KINDS:
            await b.press(pane, "F")
            assert isinstance(b.app.screen, JobScreen)
            b.matches(f"{slot}-{size[0]}x{size[1]}")
            await b.press("escape")


@pytest.mark.parametrize(("pane", "slot", "name"), KINDS)
async def test_it_runs_in_the_engine_with_progress_and_x_stops_it(
    board: Boards, tmp_path: Path, corpus: Path, pane: str, slot: str, name: str
) -> None:
    async with board((120, 40), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press(pane, "F")
        await fill(b, corpus, tmp_path / name, "length=16 batch=2")
        sent = {"corpus": str(corpus), "out": str(tmp_path / name), "length": 16, "batch": 2}
        assert asked(b, slot) == [sent]
        b.engine.paused = True
        await b.press("F", "enter")  # what was written before is there: the same again
        assert asked(b, slot) == [sent, sent]
        b.engine.progress(slot, 3, 12)
        await b.pilot.pause(0.3)
        title = find_analysis(ANALYSES_OF[slot]).title.lower()
        assert f"{title}  25%" in b.lines()[0]
        await b.press("x")
        b.engine.paused = False
        await wait_until_idle(b.app)
        assert "engine: idle" in b.lines()[0]
        assert b.messages[-1] == "Stopped. The same again goes on from there."
        assert b.app.state.slots[slot].job is None


async def test_a_trained_lens_is_read_with_at_once_also_when_it_is_trained_anew(
    board: Boards, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "lens"
    async with board((80, 24)) as b:
        await b.press("3", "F")
        await fill(b, corpus, out)
        assert b.app.state.analyses["lens"] == "tuned_lens"
        read = [r for r in b.engine.requests if r.analysis == "tuned_lens"]
        assert [r.params for r in read] == [{"translators": str(out)}]
        assert "tuned lens: top token after the layer" in b.screen
        assert "Trained" in b.messages[-1]
        await b.press("F", "enter")
        read = [r for r in b.engine.requests if r.analysis == "tuned_lens"]
        assert len(read) == 2  # the folder is the same, what is in it is not


async def test_collected_examples_are_shown_at_once(
    board: Boards, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "e.safetensors"
    async with board((80, 24)) as b:
        await b.press("7")
        assert "F finds max-activating examples" in b.screen
        examples_file(out)  # what the engine would write
        await b.press("F")
        await fill(b, corpus, out)
        assert "L2 N5 in corpus.txt: above 0 at 3.0% of 1,000 tokens" in b.screen
        assert b.app.state.examples == str(out)


@pytest.mark.parametrize(("pane", "slot", "name"), KINDS)
async def test_what_cannot_be_is_one_line_and_can_be_put_right(
    board: Boards, tmp_path: Path, corpus: Path, pane: str, slot: str, name: str
) -> None:
    async with board((80, 24), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press(pane, "F", "enter")
        assert "text: a path is missing." in b.screen
        await fill(b, tmp_path / "none")
        assert "There is no file or folder" in b.screen
        await fill(b, corpus, "", "")
        assert "save as: a path is missing." in b.screen
        await b.press("shift+tab")
        await fill(b, tmp_path / name, "nonsense=1")
        assert "has no nonsense" in b.screen
        await fill(b, "batch=0")
        assert "at least 1, not 0" in b.screen
        assert not asked(b, slot)
        b.engine.refused[ANALYSES_OF[slot]] = protocol.Failed(
            0, "bad_parameter", "Cannot write there.", ""
        )
        await fill(b, "batch=1")
        assert len(asked(b, slot)) == 1
        assert b.messages[-1] == "Cannot write there."
        assert not b.app.state.translators
        assert not b.app.state.examples


async def test_what_is_typed_ahead_lands_in_its_field(board: Boards) -> None:
    async with board((80, 24), settings=Settings(export_folder="/texts")) as b:
        await b.press("3", "F")
        for key in ("t", "tab", "o", "tab", "w"):  # as they come in one read, without a pause
            b.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await b.pilot.pause()
        await wait_until_idle(b.app)
        values = [field.value for field in b.app.screen.query(Input)]
        assert values == ["t", "/texts/lens-demoo", "w"]


async def test_a_whole_lens_is_not_trained_over_unasked_and_an_unfinished_one_goes_on(
    board: Boards, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "lens"
    out.mkdir()
    (out / lens.LENS_FILE).write_text("{}")
    async with board((80, 24)) as b:
        await b.press("3", "F")
        await fill(b, corpus, out)
        assert "lens has a lens: Enter again trains it anew" in b.screen
        assert not asked(b, "training")
        await b.press("enter")
        assert len(asked(b, "training")) == 1
        (out / lens.UNFINISHED).write_bytes(b"")
        await b.press("F", "enter")
        assert len(asked(b, "training")) == 2


async def test_another_model_is_not_kept_waiting(
    board: Boards, tmp_path: Path, corpus: Path
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "F")
        b.engine.paused = True
        await fill(b, corpus, tmp_path / "lens")
        assert b.app.state.slots["training"].job is not None
        b.app.session.load("other")
        assert b.app.state.slots["training"].job is None
        b.engine.release()
        await wait_until_idle(b.app)
        assert b.app.state.analyses.get("lens") != "tuned_lens"


async def test_a_job_that_a_dead_engine_took_along_is_run_again_on_request(
    board: Boards, tmp_path: Path, corpus: Path
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "F")
        b.engine.paused = True
        await fill(b, corpus, tmp_path / "lens")
        b.engine.die()
        b.engine.release()
        await wait_until_idle(b.app)
        assert len(asked(b, "training")) == 1
        await b.press("r")
        assert asked(b, "training")[0] == asked(b, "training")[1]
