"""While somebody types, what the engine says is shown a pane a turn; the screen comes to the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tests.tui.conftest import Board, Boards
from tests.tui.test_painting import Watched
from tui.terminal.turns import ShownInTurns
from tui.testing.wait_until_idle import wait_until_idle


class Typed:
    """An app of which only this is asked."""

    def __init__(self) -> None:
        self.keys_wait = False
        self.paints = 0

    def paint_now(self) -> None:
        self.paints += 1


async def shown(turns: ShownInTurns) -> None:
    while turns.going:
        await asyncio.sleep(0.001)


async def test_each_part_is_painted_by_itself_and_a_key_that_waits_goes_first() -> None:
    app, done = Typed(), []
    turns = ShownInTurns(app)

    def parts() -> Iterator[None]:
        for part in range(3):
            done.append((part, app.paints, app.keys_wait))
            app.keys_wait = True
            asyncio.get_running_loop().call_later(0.005, setattr, app, "keys_wait", False)
            yield

    turns.go(parts())
    await shown(turns)
    assert done == [(0, 0, False), (1, 1, False), (2, 2, False)]


async def test_what_is_left_is_dropped_where_all_is_shown_instead() -> None:
    app, done = Typed(), []
    turns = ShownInTurns(app)

    def parts() -> Iterator[None]:
        for part in range(3):
            done.append(part)
            turns.stop()
            yield

    turns.go(parts())
    assert turns.going
    await shown(turns)
    await asyncio.sleep(0.01)
    assert done == [0]


async def answered_amid_keys(b: Board, keys: str) -> set[int]:
    """How many panes were filled in one turn while keys came, after ``r``."""
    counts, turn = set(), [0]
    for pane in b.app.panes.views:
        show = pane.show

        def counted(state: object, show: object = show) -> None:
            turn[0] += 1
            show(state)  # type: ignore[operator]

        pane.show = counted  # type: ignore[method-assign]
    await b.pilot.press("r")
    for key in keys:
        await b.pilot.press(key)
        for _ in range(5):
            turn[0] = 0
            await asyncio.sleep(0)
            counts.add(turn[0])
    await wait_until_idle(b.app)
    return counts


async def test_answers_amid_keys_fill_one_pane_a_turn_and_leave_the_whole_screen(
    board: Boards,
) -> None:
    async with board((120, 40)) as b:
        await b.press("2")
        watched = Watched(b.app)
        counts = await answered_amid_keys(b, "lhlhjkjkljljkh")
        assert 1 in counts
        assert max(counts) == 1, counts
        watched.check()
        assert "previous prompt" not in b.screen
        typed = b.screen
        await b.press("r")
        assert b.screen == typed
