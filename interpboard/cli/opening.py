"""Opening the app: whether there is a terminal for it, and the settings it starts with."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions

if TYPE_CHECKING:
    from interpboard.config import Settings


class Opening(NamedTuple):
    """What the app opens, and the settings that flags give. ``text`` None: none was given."""

    text: str | None
    flags: dict[str, Any]
    resume: bool = False
    prompts: str | None = None  # a file with one prompt a line
    session: str = ""  # which is resumed, by name or number; empty: the last results
    load: LoadOptions = NOTHING_ASKED
    chat: str = ""  # the JSON of one, in place of a text
    dataset: str = ""  # rows of any format, or the folder of a sweep


def debug_wanted(flag: bool) -> bool:
    """``--debug``, or INTERPBOARD_DEBUG set to anything but 0."""
    return flag or os.environ.get("INTERPBOARD_DEBUG", "") not in ("", "0")


def is_interactive() -> bool:
    """Whether there is a terminal at both ends that an app can draw on."""
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except (AttributeError, ValueError):  # a closed or missing stream
        return False


def open_app(opening: Opening) -> int:
    """Run the terminal app; its exit code. Raises ``BadConfig``, ``BadPrompt``."""
    from interpboard import config

    settings = config.read_settings(opening.flags).settings
    pass_on(settings)
    if os.environ.get("NO_COLOR") == "":  # the convention: empty is not set
        del os.environ["NO_COLOR"]
    if settings.color == "none":
        os.environ["NO_COLOR"] = "1"
    elif settings.color != "auto":
        os.environ.pop("NO_COLOR", None)
        system = {"16": "standard"}.get(settings.color, settings.color)
        os.environ["TEXTUAL_COLOR_SYSTEM"] = system  # Textual reads it when it is imported
    gc.disable()  # nothing made before the first paint is garbage; the app collects from then on
    from tui.run import run  # late: it is heavy, and only this command needs it

    prompts = None
    if opening.prompts is not None:
        from interpboard.files.places import expanded
        from tui.files.prompt_file import read_prompt_file

        prompts = read_prompt_file(expanded(opening.prompts))
    return run(
        settings,
        text=opening.text,
        dark=is_dark(settings.theme),
        resume=opening.resume,
        prompts=prompts,
        session=opening.session,
        load=opening.load,
        chat=opening.chat,
        dataset=opening.dataset,
    )


def pass_on(settings: Settings) -> None:
    """Put into the environment what the engine, in this process or a child, reads there."""
    if settings.batch_tokens:
        os.environ["INTERPBOARD_BATCH_TOKENS"] = str(settings.batch_tokens)
    if settings.memory_mib:
        os.environ["INTERPBOARD_MEMORY_MIB"] = str(settings.memory_mib)


def is_dark(theme: str) -> bool:
    """``dark`` or ``light``; for ``auto`` what COLORFGBG says of the terminal, or dark."""
    if theme != "auto":
        return theme == "dark"
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] not in ("7", "15")
