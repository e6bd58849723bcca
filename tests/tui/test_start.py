"""What is made for the first paint, and what comes after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual import events

from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tui import catalogue
from tui.app import InterpBoardApp
from tui.catalogue import pane_slots
from tui.testing.wait_until_idle import wait_until_idle

NAMES = [slot.name for slot in pane_slots()]


class Watched(InterpBoardApp):
    """Keeps which panes are there when the screen is composed; keys can be typed at once."""

    CSS_PATH = str(Path(catalogue.__file__).with_name("interpboard.tcss"))
    early: tuple[str, ...] = ()

    def on_mount(self) -> None:  # Textual calls that of the base as well
        self.at_first = [pane.slot.name for pane in self.panes.views]
        for key in self.early:
            self.post_message(events.Key(key, key))


@pytest.mark.parametrize(
    ("size", "first"),
    [((60, 20), ["tokens"]), ((80, 24), ["tokens"]), ((120, 40), None), ((200, 60), NAMES)],
    ids=str,
)
async def test_panes_out_of_sight_are_made_after_the_first_paint(
    size: tuple[int, int], first: list[str] | None
) -> None:
    app = Watched(engine_factory=FakeEngine)
    async with app.run_test(size=size):
        await wait_until_idle(app)
        seen = [pane.slot.name for pane in app.panes.views if pane.display]
        assert app.at_first == seen == (first or seen)
        assert [pane.slot.name for pane in app.panes.views] == NAMES
        assert [child.id for child in app.screen.query_one("#panes").children] == NAMES
        assert app.panes.view.data.result is not None


@pytest.mark.parametrize("key", ["3", "7", "shift+tab"])
async def test_a_key_typed_before_the_first_paint_goes_to_a_pane_that_comes_after_it(
    key: str,
) -> None:
    app = Watched(engine_factory=FakeEngine)
    app.early = (key, "z") if key == "3" else (key,)
    async with app.run_test(size=(80, 24)):
        await wait_until_idle(app)
        assert app.panes.active == ("lens" if key == "3" else "neurons")
        assert app.screen.has_class("-zoomed") == (key == "3")
        pane = app.panes.view
        assert pane.display
        assert pane.has_focus_within
        assert pane.data.result is not None


async def test_a_terminal_that_is_resized_at_once_has_all_panes_that_fit_it(board: Boards) -> None:
    async with board((80, 24), settle=False) as b:
        await b.pilot.resize_terminal(200, 60)
        await wait_until_idle(b.app)
        assert all(pane.display and pane.size.height > 2 for pane in b.app.panes.views)
        assert [pane.slot.name for pane in b.app.panes.views] == NAMES


def test_what_only_commands_need_is_not_imported_for_the_first_paint() -> None:
    """Each of these files costs every start a fifth of a millisecond and more."""
    listing = "import sys, tui.run; print(*sorted(m for m in sys.modules if m.startswith('tui.')))"
    there = set(
        subprocess.run(
            [sys.executable, "-c", listing], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert "tui.controllers.panes" in there
    late = {"export", "find", "log", "notes", "palette", "perform", "prompt_table", "saved_runs"}
    assert not {f"tui.controllers.{name}" for name in late} & there
    assert not {name for name in there if name.startswith("tui.slots.") and name.endswith(".view")}


async def test_once_the_engine_is_started_no_key_waits_for_a_controller_to_be_made(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        made = vars(b.app.controllers)
        assert {"export", "jump", "palette", "perform", "saved_runs"} <= set(made)


async def test_the_tokens_of_the_prompt_are_there_before_any_score(board: Boards) -> None:
    async with board((120, 40), settle=False, engine=waiting) as b:
        b.engine.only("model")
        await b.pilot.pause(0.05)
        assert not b.app.panes.of("tokens").strip.tokens  # type: ignore[attr-defined]
        b.engine.only("predictions")
        await b.pilot.pause(0.3)
        pane = b.app.panes.of("tokens")
        assert pane.data.result is None
        body = [line for line in b.lines()[3:12] if "Eiffel" in line]
        assert body
        await b.press("h", "s", "enter")  # there is nothing yet that this could be about
        b.engine.release()
        await wait_until_idle(b.app)
        assert pane.data.result is not None
        assert pane.position == 7


def waiting(listener: Any) -> FakeEngine:
    engine = FakeEngine(listener)
    engine.paused = True
    return engine
