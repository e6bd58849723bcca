"""How a command ends: what is registered for the end is done, and memory goes in one piece.

Taking the modules of torch and transformers apart takes 0.13 s in which nothing is done for anybody.
"""

from __future__ import annotations

import atexit
import os
import sys


class LastOfAll:
    """Made before anything else is registered for the end, it is called after all of it.

    Without a ``code`` the interpreter ends as it always does, and so where a stream cannot be written: that
    is for it to say.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self)

    def __call__(self) -> None:
        """End the process with ``code``."""
        if self.code is None:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            return
        os._exit(self.code)
