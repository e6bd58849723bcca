"""How often a process that is ours looks for garbage: seldom while modules come in, then not among them.

Importing torch and transformers makes half a million objects that stay. By Python's own count of 700 new ones
they are looked through again and again, which is a quarter of the time of the import, and once more when the
process ends. None of this is for a user's process: what is frozen there would be the user's garbage too.
"""

from __future__ import annotations

import gc

NEW_OBJECTS = 1_000_000  # new objects between two looks

_usual: list[tuple[int, int, int]] = []


def look_seldom() -> None:
    """From here on modules are imported. Garbage is still found, only later."""
    if not _usual:
        _usual.append(gc.get_threshold())
        gc.set_threshold(NEW_OBJECTS, *_usual[0][1:])


def look_as_usual() -> None:
    """They are there: what lives now is not looked through again. Nothing without ``look_seldom``."""
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())
