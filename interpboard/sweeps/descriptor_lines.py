"""What a library writes below Python to standard error, less a line that is not for the user."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def stderr_without(words: str) -> Iterator[None]:
    """Lines with ``words`` do not reach descriptor 2; the others do, at the end of the block."""
    with tempfile.TemporaryFile() as held, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # there is no descriptor 2
            kept = os.dup(_STDERR)
            stack.callback(_let_through, kept, held.fileno(), words.encode())
            os.dup2(held.fileno(), _STDERR)
        yield


def _let_through(kept: int, held: int, words: bytes) -> None:
    os.dup2(kept, _STDERR)
    os.close(kept)
    os.lseek(held, 0, os.SEEK_SET)
    with os.fdopen(os.dup(held), "rb") as file:
        lines = [line for line in file if words not in line]
    if lines:
        os.write(_STDERR, b"".join(lines))
