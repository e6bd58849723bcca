"""The app opens its first model as the command line says, and a model picked later as it is."""

from __future__ import annotations

from typing import Any

import pytest

from interpboard.cli import commands, opening
from interpboard.cli import main as cli
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tests.tui.fake import FakeEngine
from tests.tui.stand_ins import Spoken
from tui.catalogue import SLOTS
from tui.session.session import Session
from tui.session.state import Answer, Answers, State

ASKED = LoadOptions(adapters=("./mine",), quantize="4bit")


async def test_options_are_of_the_model_that_was_named_with_them() -> None:
    loads: list[tuple[str, Any]] = []

    class Engine(FakeEngine):
        def load(self, model: str, **options: Any) -> int:
            loads.append((model, options.get("options", NOTHING_ASKED)))
            return super().load(model, **options)

    state = State(slots=Answers({slot.name: Answer() for slot in SLOTS}))
    made = Session(state, SLOTS, lambda _names: None, Spoken(), Engine)
    await made.boot("mine", "cpu", "float32", load=ASKED)
    await made.settled()
    for name in ("other", "mine"):
        made.load(name)
        await made.settled()
    await made.close()
    assert loads == [("mine", ASKED), ("other", NOTHING_ASKED), ("mine", ASKED)]


def test_the_command_line_hands_them_to_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(opening, "is_interactive", lambda: True)
    monkeypatch.setattr(commands, "open_app", lambda given: opened.append(given) or 0)
    assert cli.main(["Tom is", "--adapter", "./mine", "--quantize", "4bit"]) == 0
    assert [(given.text, given.load) for given in opened] == [("Tom is", ASKED)]
