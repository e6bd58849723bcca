"""Copying, as far as it can be done over SSH.

Inside tmux a plain OSC 52 sequence reaches nobody and reports success, so tmux itself is asked to
hand the text on. The text is always written to a file as well: that much is certain, and it is said
where.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from interpboard.errors import StoreProblem
from interpboard.files import atomic

TMUX_WAIT_S = 2.0


async def copy(text: str, osc52: Callable[[str], None]) -> str:
    """Copy ``text`` and say in a line what was done."""
    written = await asyncio.to_thread(_write, text)
    if os.environ.get("TMUX"):
        if await _tmux(text):
            return f"Copied by way of tmux, and {written}"
        return f"tmux took no copy; {written}"
    osc52(text)
    return f"Copied, if the terminal allows it (OSC 52), and {written}"


def _write(text: str) -> str:
    """Where the text is now, or why it is nowhere, in words."""
    from interpboard.config import state_folder, state_path

    path = state_path() / "yank.txt"
    try:
        atomic.write_text(state_folder() / path.name, text + "\n", mode=atomic.PRIVATE)
    except StoreProblem as problem:
        return f"not written to a file: {problem.message}"
    except OSError as error:
        return f"not written to {path}: {error.strerror}"
    return f"written to {path}"


async def _tmux(text: str) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(
            "tmux", "load-buffer", "-w", "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.wait_for(process.communicate(text.encode()), TMUX_WAIT_S)
    except (OSError, TimeoutError):
        return False
    return process.returncode == 0
