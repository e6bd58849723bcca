"""One-shot timers that fire however late the clock is read."""

from __future__ import annotations

from functools import partial

from textual.message_pump import MessagePump
from textual.timer import Timer, TimerCallback

REST_S = (
    0.06  # keys have rested: then what they lead to is drawn or asked, not at every key of a run
)
SOON_S = (
    0.3  # an answer that takes no longer replaces the one before; else that is taken away first
)


class SureTimers(MessagePump):
    """For the app and its screens.

    Textual's timers skip a tick that is due before they begin to wait for it, and a one-shot timer has
    no other: a process held up in that moment for longer than the delay would never hear of it again.
    """

    def set_timer(
        self,
        delay: float,
        callback: TimerCallback | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        """Call ``callback`` after ``delay`` seconds, or as soon as there is time."""
        timer = Timer(
            self,
            delay,
            name=name,
            callback=None if callback is None else partial(self.call_next, callback),
            repeat=0,
            skip=False,
            pause=pause,
        )
        timer._start()
        self._timers.add(timer)
        return timer
