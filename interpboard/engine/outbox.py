"""What the engine says: events written to the pipe by a thread of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from typing import BinaryIO

from interpboard.engine import protocol

_MOST_WAITING = 1 << 26


class Outbox:
    """Writes events, whole frames at a time, in a thread of its own; ``send`` from any thread.

    An owner who does not read makes ``send`` wait once ``_MOST_WAITING`` bytes wait to be written. Answers
    to a cancel do not wait: they are few and small.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._writing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._write, daemon=True).start()

    def send(self, event: protocol.Event, *, at_once: bool = False) -> None:
        """Put ``event`` in, as it is now. Raises ``protocol.TooLarge``."""
        frame = protocol.frame(event)
        with self._changed:
            while self._size > _MOST_WAITING and not at_once:
                self._changed.wait()
            self._frames.append(frame)
            self._size += len(frame)
            self._changed.notify_all()

    def all_written(self, timeout_s: float) -> bool:
        """Wait until what was put in is written, or for so long; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._frames and not self._writing, timeout_s)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._frames:
                    self._changed.wait()
                frame = self._frames.popleft()
                self._size -= len(frame)
                self._writing = True
                self._changed.notify_all()
            try:
                self._stream.write(frame)
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                os._exit(0)  # the owner is gone
            except OSError as error:
                print(f"cannot write to the owner: {error}", file=sys.stderr, flush=True)
                os._exit(1)
