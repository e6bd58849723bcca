"""All controllers together on a stand-in for the app: what commands act with needs no screen, no Textual."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from interpboard.config import Settings
from tests.tui.controllers.plain import PlainBoard, PlainPane, PlainStack
from tests.tui.fake import FakeEngine
from tui.catalogue import SLOTS, pane_slots
from tui.commands.command import command
from tui.controllers.controllers import Controllers
from tui.slots.at_cursor import AtCursor

TEXT = "The Eiffel Tower is located in the city of"


class PlainPrompt:
    """The prompt's field."""

    def __init__(self) -> None:
        self.text, self.kind = TEXT, "text"
        self.input = SimpleNamespace(pane=None)

    def show(self, text: str, kind: str = "text") -> None:
        self.text, self.kind = text, kind

    def place(self, words: str) -> None: ...


class PlainApp(PlainStack, PlainBoard):
    """What the controllers need of an app."""

    stays = ""

    def __init__(self) -> None:
        PlainBoard.__init__(self)
        PlainStack.__init__(self)
        self.prompt: Any = PlainPrompt()
        self.quits = 0

    def show_message(self) -> None: ...

    def call_after_refresh(self, callback: Any, /) -> None:
        callback()

    def copy_to_clipboard(self, text: str) -> None: ...

    def put_hint_away(self) -> bool:
        return False

    def action_switch_theme(self) -> None: ...

    def action_redraw(self) -> None: ...

    def action_suspend_process(self) -> None: ...

    async def action_quit(self) -> None:
        self.quits += 1


def built(app: PlainApp) -> Controllers:
    """The controllers with a plain pane for each slot that has one."""

    def changed(names: set[str]) -> None:
        shown = own.changed(own.state)
        for pane in own.panes.views:
            pane.show(shown)

    own = Controllers(app, SLOTS, Settings(), TEXT, None, FakeEngine, changed)
    own.panes.take([PlainPane(slot) for slot in pane_slots(SLOTS)])
    return own


async def acted() -> dict[str, Any]:
    """Start, go to Heads, switch a head off, undo it twice, leave: what was seen on the way."""
    app = PlainApp()
    own = built(app)
    own.panes.arrange()
    await own.boot(Settings(keep_runs=0), resume=False)
    await own.idle()
    seen: dict[str, Any] = {"model": own.state.model is not None}
    await own.perform.do(command("pane_2"))
    await own.idle()
    seen["active"] = own.panes.active
    seen["heads"] = own.state.slots["heads"].result is not None
    pane: Any = own.panes.view
    pane.intervention = lambda: AtCursor("2.4", "zero")
    await own.perform.do(command("toggle"))
    await own.idle()
    seen["on"] = own.state.interventions.text
    seen["edited"] = own.state.edited("what_if") is not None
    await own.perform.do(command("undo"))
    await own.perform.do(command("undo"))
    await own.perform.do(command("quit"))
    seen["said"] = [message.text for message in own.messages.said]
    seen["left"] = app.quits or app.actions
    await own.close()
    return seen


SEEN = {
    "model": True,
    "active": "heads",
    "heads": True,
    "on": "2.4=zero",
    "edited": True,
    "said": ["Nothing to undo."],
    "left": 1,
}


async def test_a_command_goes_through_the_controllers_of_an_app_that_is_none() -> None:
    assert await acted() == SEEN


def test_the_controllers_are_built_and_act_without_textual() -> None:
    code = (
        "import asyncio, json, sys; from tests.tui.controllers.test_container import acted;"
        "seen = asyncio.run(acted()); print(json.dumps([seen, 'textual' in sys.modules]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(ended.stdout) == [SEEN, False]
