"""When is everything that was said on the screen? For tests, pictures and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tui.terminal import pending

if TYPE_CHECKING:
    from tui.app import InterpBoardApp

PAUSE_S = 0.002
PAINT_S = 0.2  # how long a paint is waited for before the app is looked at again


class LeftError(RuntimeError):
    """What waits for the screen of an app that was left would wait for ever."""


async def wait_until_idle(app: InterpBoardApp) -> None:
    """Wait until the engine is idle and everything it said is on the screen.

    Raises LeftError where the app is left before, and what ended it where that was a fault.
    """
    _check_alive(app)
    while not app.session.up.is_set():
        await _pause(app)
    for _ in range(2):  # what is laid out by the first round may ask for another width
        await _one_round(app)
    while not _at_rest(app):  # what is in sight, once it is laid out, may be asked for
        await _one_round(app)


async def wait_until_painted(app: InterpBoardApp) -> None:
    """Wait until what the app shows is on the screen, whatever the engine still does.

    Raises as ``wait_until_idle`` does.
    """
    rounds = 2  # what a resize shows or hides is laid out after its first paint
    while rounds > 0 or pending.unpainted(app.screen) or pending.unpainted_behind(app):
        rounds -= 1
        painted = asyncio.Event()
        app.call_after_refresh(painted.set)
        while not painted.is_set():
            _check_alive(app)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(painted.wait(), PAINT_S)


async def _one_round(app: InterpBoardApp) -> None:
    while pending.resizing(app) or app.keys_wait:
        await _pause(app)
    await _controllers_idle(app)
    screen_idle = getattr(app.screen, "settled", None)
    if screen_idle is not None:
        await screen_idle()
    while app.panes.moving or app.turns.going:
        await _pause(app)
    await wait_until_painted(app)


async def _controllers_idle(app: InterpBoardApp) -> None:
    idle = asyncio.ensure_future(app.controllers.idle())
    try:
        while not idle.done():
            _check_alive(app)
            await asyncio.wait({idle}, timeout=PAINT_S)
        await idle
    finally:
        idle.cancel()


def _at_rest(app: InterpBoardApp) -> bool:
    engine = app.session.engine
    return engine is None or engine.idle.is_set()


async def _pause(app: InterpBoardApp) -> None:
    _check_alive(app)
    await asyncio.sleep(PAUSE_S)


def _check_alive(app: InterpBoardApp) -> None:
    """An app that has failed, or that was left, never becomes idle."""
    fault = pending.failure(app)
    if fault is not None:
        raise fault
    if pending.left(app):
        raise LeftError("the app was left: nothing more comes on its screen")
