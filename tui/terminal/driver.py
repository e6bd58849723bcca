"""The terminal read and written by the loop itself: a key and its echo wait for no other thread.

Textual reads in one thread and writes in another. Where the engine is on all cores each of them is woken a
few milliseconds late; a key then waits three times, here once. What a terminal does not take at once is left
to a thread as before: one that is stopped, or gone, must not hold up the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from codecs import getincrementaldecoder
from collections import deque
from typing import Any

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tui.terminal.pastes import Pastes

_MOST_READ = 1 << 12  # bytes
_TICK_S = 0.1  # how often a sequence that has begun is asked whether it is a key by itself


class LoopDriver(LinuxDriver):
    """Textual's, with its two threads left out where the system can do without them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading: asyncio.AbstractEventLoop | None = None
        self._tick: asyncio.TimerHandle | None = None

    def start_application_mode(self) -> None:
        """Take the terminal."""
        loop = asyncio.get_running_loop()
        self._parser = XTermParser(self._debug)
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._pastes = Pastes()
        try:
            loop.add_reader(self.fileno, self._readable)
        except (OSError, NotImplementedError):  # a file, which is always ready
            self._reading = None
        else:
            self._reading = loop
        super().start_application_mode()
        direct = Outlet.of(self._file.fileno()) if self._file is not None else None
        if direct is not None and self._writer_thread is not None:
            self._writer_thread.stop()  # it has written what it had
            direct.start()
            self._writer_thread = direct

    def run_input_thread(self) -> None:
        """Textual's thread: it ends at once where the loop reads."""
        if self._reading is None:
            super().run_input_thread()

    def disable_input(self) -> None:
        """No more keys."""
        if self._reading is not None:
            self._stop_reading()
        super().disable_input()

    def send_message(self, message: Message) -> None:
        """To the app, which is in this thread where the loop reads."""
        if self._reading is not None:
            self._app.post_message(message)
        else:
            super().send_message(message)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.remove_reader(self.fileno)
            self._reading = None
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _readable(self) -> None:
        try:
            data = os.read(self.fileno, _MOST_READ)
        except BlockingIOError:
            return
        except OSError:  # the terminal is gone, and the signal that says so is on its way
            data = b""
        if not data:
            self._stop_reading()
            return
        text = self._pastes(self._decode(data))
        try:
            for event in self._parser.feed(text) if text else ():  # nothing would be the end
                self.process_message(event)
        except ParseError as error:  # as in the thread, which tells the app
            self._app.call_later(self._app.panic, str(error))
        self._look_again()

    def _look_again(self) -> None:
        """A sequence that is not continued is a key: Escape."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._parser._timeout_time is not None and self._reading is not None:
            self._tick = self._reading.call_later(_TICK_S, self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        for event in self._parser.tick():
            self.process_message(event)
        self._look_again()


class Outlet(WriterThread):
    """Writes at once what the terminal takes at once; the rest, and all behind it, its thread writes.

    ``quick`` is the terminal opened anew so that no write to it waits: that is no affair of those who share
    the one that we were given.
    """

    def __init__(self, quick: int, slow: int) -> None:
        threading.Thread.__init__(self, daemon=True, name="output")
        self._quick, self._slow = quick, slow
        self._left: deque[bytes | None] = deque()
        self._some = threading.Condition()

    @classmethod
    def of(cls, slow: int) -> Outlet | None:
        """Of the terminal at a descriptor; none where it cannot be opened."""
        try:
            quick = os.open(os.ttyname(slow), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return None
        return cls(quick, slow)

    def write(self, text: str) -> None:
        """Send ``text``, behind what was sent before."""
        data = text.encode("utf-8", "replace")
        if not self._left:
            with contextlib.suppress(
                OSError
            ):  # it takes nothing now, or is gone: the thread waits for it
                data = data[os.write(self._quick, data) :]
        if data:
            with self._some:
                self._left.append(data)
                self._some.notify()

    def fileno(self) -> int:
        """The terminal's."""
        return self._slow

    def run(self) -> None:
        """Write what is left. It stays in the list until it is written, and what comes goes behind it."""
        while True:
            with self._some:
                self._some.wait_for(lambda: self._left)
                data = self._left[0]
            if data is None:
                break
            with contextlib.suppress(OSError):  # gone
                while data:
                    data = data[os.write(self._slow, data) :]
            with self._some:
                self._left.popleft()
        os.close(self._quick)

    def stop(self) -> None:
        """Wait until everything is written."""
        with self._some:
            self._left.append(None)
            self._some.notify()
        self.join()
