"""Two prompts that differ everywhere, and what the tests of comparing read of the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from interpboard.engine import protocol
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.slots.pane import Pane
from tui.testing.wait_until_idle import wait_until_idle

FIRST = "The Eiffel Tower is located in the city of"
LONGER = "The old Eiffel Tower is located in the city of"
SHOWN = "equals_sign"


class ByText(FakeEngine):
    """Values grow with the number of tokens, so that two prompts differ everywhere."""

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(request, protocol.RunAnalysis) and isinstance(event, protocol.Finished):
            result = event.result
            if result.analysis in ("head_ablation", "integrated_gradients"):
                values = result.values + len(self.tokens(request.text))
                event = msgspec.structs.replace(
                    event, result=msgspec.structs.replace(result, values=values)
                )
        return event


async def run(b: Board, text: str) -> None:
    b.app.prompt.show(text)
    await b.press("r")


def pane(b: Board, slot: str) -> Pane:
    return b.app.panes.of(slot)


def line(b: Board, words: str) -> str:
    """The first line of the screen that has ``words``."""
    return next((each for each in b.lines() if words in each), "")


@asynccontextmanager
async def resumed() -> AsyncIterator[Board]:
    app = InterpBoardApp(resume=True, engine_factory=ByText)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        yield Board(app, pilot)
