"""When is everything that was said on the screen? For tests, pictures and benchmarks. A mixin of the app."""

from __future__ import annotations

import asyncio
import contextlib

from textual.widget import Widget

from tui.controllers.part import Part

PAUSE_S = 0.002
LOOK_S = 0.2


class LeftError(RuntimeError):
    """What waits for the screen of an app that was left would wait for ever."""


class Settling(Part):
    """Waiting for ``InterpBoardApp``."""

    async def settled(self) -> None:
        """Wait until the engine is idle and everything it said is on the screen.

        Raises LeftError where the app is left before.
        """
        self._alive()
        while not self._me.session.up.is_set():
            await self._pause()
        for _ in range(2):  # what is laid out by the first round may ask for another width
            await self._at_peace()

    async def _at_peace(self) -> None:
        while self._me._resize_event is not None or self._me._resize_timer is not None:
            await self._pause()  # Textual gathers what a dragged window sends
        await self._me.session.settled()
        await self._me.saver.settled()
        await self._me.book_settled()
        screen_settled = getattr(self.screen, "settled", None)
        if screen_settled is not None:
            await screen_settled()
        while self._me._following is not None:
            await self._pause()
        rounds = 2  # what a resize shows or hides is laid out after its first paint
        while rounds > 0 or self._unpainted():
            rounds -= 1
            painted = asyncio.Event()
            self.call_after_refresh(painted.set)
            while not painted.is_set():
                self._alive()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(painted.wait(), LOOK_S)

    async def _pause(self) -> None:
        self._alive()
        await asyncio.sleep(PAUSE_S)

    def _alive(self) -> None:
        """An app that has failed, or that was left, will never settle."""
        if self._me._exception is not None:
            raise self._me._exception
        if self._me._exit:
            raise LeftError("the app was left: nothing more comes on its screen")

    def _unpainted(self) -> bool:
        """Is anything on its way to the screen?"""
        screen = self.screen
        return bool(screen._dirty_widgets or screen._compositor._dirty_regions) or any(
            widget._repaint_required
            or widget._layout_required
            or widget._scroll_required
            or widget.message_queue_size
            for widget in screen.walk_children(Widget, with_self=True)
        )
