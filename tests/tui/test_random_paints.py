"""Whatever is typed, answered and resized, the terminal shows what a whole paint shows."""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tui.conftest import Board
from tests.tui.emulator import Emulator
from tests.tui.fake import FakeEngine
from tests.tui.test_bursts import KEYS, _settled, post
from tests.tui.test_painting import Watched
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

SIZES = [(80, 24), (120, 40), (60, 20), (100, 30), (81, 24)]
STEPS = st.lists(
    st.one_of(st.sampled_from(KEYS), st.sampled_from(SIZES), st.sampled_from(["held", "answered"])),
    min_size=8,
    max_size=20,
)


class WatchedResized(Watched):
    """In a window of any size; what was in it before is not known any more."""

    def __init__(self, app: InterpBoardApp) -> None:
        super().__init__(app)
        app.terminal = self.terminal  # what the app forgets is forgotten here

    def display(self, screen: object, update: object) -> None:
        if (self.emulator.width, self.emulator.height) != self.app.size:
            self.emulator = Emulator(self.app.size)
        super().display(screen, update)


async def painted(steps: list[str | tuple[int, int]]) -> None:
    """Take the steps one right behind the other; at each resize and at the end compare the screens."""
    app = InterpBoardApp(engine_factory=FakeEngine)
    async with app.run_test(size=SIZES[0]) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        watched = WatchedResized(app)
        for step in [*steps, "answered"]:
            if isinstance(step, tuple):
                await _settled(app, pilot)
                watched.check()
                await pilot.resize_terminal(*step)
            elif step in ("held", "answered"):
                b.engine.paused = step == "held"
                if step == "answered":
                    b.engine.release()
            else:
                post(app, step)
            await asyncio.sleep(0.002)
        await wait_until_idle(app)
        await _settled(app, pilot)
        watched.check()


@settings(max_examples=4, deadline=None)
@given(STEPS)
@example(
    [(120, 40), "2", "r", "l", "h", "j", "held", "k", "r", "3", "j", (60, 20), "answered", "p"]
)
def test_any_keys_answers_and_sizes_leave_what_a_whole_paint_shows(
    steps: list[str | tuple[int, int]],
) -> None:
    asyncio.run(painted(steps))
