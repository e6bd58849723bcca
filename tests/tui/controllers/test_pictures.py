"""Pictures: of what is painted without the question that asked for them, of one pane or of everything."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tui.controllers.plain import PlainBoard, panes_of, session
from tui.controllers.notify import Messages
from tui.controllers.pictures import Pictures

SCREEN = SimpleNamespace(region="the whole screen")


class Painting:
    """A screen that is painted when the test says so."""

    screen: Any = SCREEN

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_after_refresh(self, callback: Callable[[], None], /) -> None:
        self.later.append(callback)

    def paint(self) -> None:
        while self.later:
            self.later.pop(0)()


@pytest.mark.parametrize(
    ("name", "region"), [("heads", "the place of heads"), ("all", SCREEN.region)]
)
async def test_a_picture_is_of_its_pane_or_of_everything_once_the_question_is_gone(
    name: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[object, object, object]] = []
    messages, painting = Messages(lambda: None), Painting()

    def picture(screen: object, of: object) -> str:
        drawn.append((screen, of, messages.latest))
        return "<svg/>"

    monkeypatch.setattr("tui.terminal.picture.picture", picture)
    async with session() as own:
        panes = panes_of(own, PlainBoard())
        for pane in panes.views:
            pane.region = f"the place of {pane.slot.name}"  # type: ignore[assignment, misc]
        written: list[str] = []
        messages.tell("Written: an older file.")
        Pictures(painting, panes, messages).draw(name, written.append)
        assert drawn == []
        assert written == []
        painting.paint()
        assert drawn == [(SCREEN, region, None)]  # what was said is gone from it
        assert written == ["<svg/>"]
