"""The door of the command line: ``interpboard [TEXT]``, ``… analyze``, ``… report``, ``… list``,
``… config``.

Standard output is data, standard error is narration. Exit codes: 0 done, 2 bad input (one line
that says what was wrong and what to do), 1 our fault, 130 interrupted. This module imports next to
nothing, so that the bare command reaches the app's first screen without paying for the rest; the
commands are in ``cli_commands``.
"""

from __future__ import annotations

import contextlib
import contextvars
import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from interpboard.config import Settings

COMMANDS = ("analyze", "report", "list", "config", "tune-lens", "max-activating", "examples")
DEFAULT_TEXT = "The Eiffel Tower is located in the city of"
# Options in front of TEXT whose next argument is their value.
WITH_VALUE = frozenset(
    {"--model", "-m", "--text", "-t", "--device", "--dtype", "--color", "--theme", "--prompts"}
)
_SETTINGS = ("--model", "--device", "--dtype", "--color", "--theme")  # flags with a setting's name
_SWITCHES: dict[str, tuple[str, bool]] = {
    "--no-special-tokens": ("special_tokens", False),
    "--ascii": ("ascii", True),
    "--no-mouse": ("mouse", False),
}
_COMPLETION = "_INTERPBOARD_COMPLETE"
_CANNOT_WRITE = (errno.ENOSPC, errno.EIO, errno.EBADF)  # of a stream: files' errors name the file


class Arguments(NamedTuple):
    """What ``route`` found: arguments for the commands, and whether a traceback is wanted."""

    args: list[str]
    debug: bool


class Opening(NamedTuple):
    """What the app opens, and the settings that flags give. ``text`` None: none was given."""

    text: str | None
    flags: dict[str, Any]
    resume: bool = False
    prompts: str | None = None  # a file with one prompt a line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if argv is None:
        _fill_closed_descriptors()
    given = list(sys.argv[1:] if argv is None else argv)
    return contextvars.copy_context().run(_main, given)


def _main(given: list[str]) -> int:
    if "--ascii" in given:
        from interpboard.display import ascii_everywhere

        ascii_everywhere.set(True)  # also in what goes wrong before it is looked at
    debug = debug_wanted(False)
    try:
        if _COMPLETION in os.environ:
            return _run_commands(given)
        args, asked = route(given)
        debug = debug or asked
        opening = plain_opening(args)
        if opening is not None and is_interactive():
            return open_app(opening)
        return _run_commands(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        hush_stdout()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in _CANNOT_WRITE:
            return _report(error, debug)
        hush_stdout()
        say(f"error: Cannot write standard output: {error.strerror}. Use --output FILE.")
        return 2
    except Exception as error:  # noqa: BLE001 - the last door: every error becomes a line and a code
        return _report(error, debug)


def route(argv: Sequence[str]) -> Arguments:
    """Make the free TEXT an option and put the command first, so that options may stand anywhere.

    ``interpboard --model demo "some text"`` becomes ``--model demo --text=…``; a TEXT that is the
    name of a command is written after ``--``. Raises ``BadParameter`` for a second TEXT, and for a
    word that looks like a mistyped command.
    """
    texts: list[str] = []
    rest: list[str] = []
    waiting = iter(argv)
    for arg in waiting:
        if arg == "--":
            texts += waiting
        elif arg in WITH_VALUE:
            rest += [arg, *([value] if (value := next(waiting, None)) is not None else [])]
        elif arg.startswith("-") and arg != "-":
            rest.append(arg)
        elif arg in COMMANDS and not texts:
            rest, tail = [arg, *rest], list(waiting)
            before_dashes = tail[: tail.index("--")] if "--" in tail else tail
            return Arguments(rest + tail, "--debug" in rest or "--debug" in before_dashes)
        else:
            _refuse_mistyped(arg)
            texts.append(arg)
    if len(texts) > 1:
        from interpboard.errors import BadParameter

        raise BadParameter("More than one TEXT was given.", "Put the prompt in quotes.")
    return Arguments([*rest, *(f"--text={text}" for text in texts)], "--debug" in rest)


def plain_opening(args: Sequence[str]) -> Opening | None:
    """What the app is to open, where ``args`` (routed) say no more than that; else None.

    It spares the usual start the command parser's import. Whatever is unusual is left to the parser.
    """
    text: str | None = None
    flags: dict[str, Any] = {}
    resume, prompts = False, None
    words = iter(args)
    for word in words:
        if word in _SWITCHES:
            setting, on = _SWITCHES[word]
            flags[setting] = on
            continue
        if word == "--resume":
            resume = True
            continue
        name, equals, value = word.partition("=")
        found = value if equals else next(words, None)
        if found is None or name not in ("--text", "--prompts", *_SETTINGS):
            return None
        if name == "--text":
            text = found
        elif name == "--prompts":
            prompts = found
        else:
            flags[name.removeprefix("--")] = found
    if text in ("", "-") or any("\ud800" <= c <= "\udfff" for c in text or ""):
        return None
    return Opening(text, flags, resume, prompts)


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

    settings = config.read(opening.flags).settings
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
    from tui.app import run  # late: it is heavy, and only this command needs it

    prompts = None
    if opening.prompts is not None:
        from interpboard.files.places import expanded
        from tui.files.prompt_file import read

        prompts = read(expanded(opening.prompts))
    return run(
        settings,
        text=opening.text,
        dark=is_dark(settings.theme),
        resume=opening.resume,
        prompts=prompts,
    )


def pass_on(settings: Settings) -> None:
    """Put into the environment what the engine, in this process or a child, reads there."""
    if settings.batch_tokens:
        os.environ["INTERPBOARD_BATCH_TOKENS"] = str(settings.batch_tokens)


def is_dark(theme: str) -> bool:
    """``dark`` or ``light``; for ``auto`` what COLORFGBG says of the terminal, or dark."""
    if theme != "auto":
        return theme == "dark"
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] not in ("7", "15")


def _fill_closed_descriptors() -> None:
    """A file that is opened must not become standard output because that was closed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def hush_stdout() -> None:
    """Whoever read our output has gone: let the interpreter's last flush go nowhere, quietly."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the very end


def say(line: str) -> None:
    """One line of narration on standard error, harmless whatever it quotes."""
    from interpboard.display import ascii_everywhere, ours_in_ascii, visible

    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    plain = ascii_everywhere.get() or not encoding.lower().startswith("utf")
    shown = visible(ours_in_ascii(line) if plain else line, ascii_only=plain)
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody listens
        print(shown, file=sys.stderr, flush=True)


def _run_commands(args: list[str]) -> int:
    from interpboard.cli_commands import app

    code = app(args, prog_name="interpboard", standalone_mode=False)
    if sys.stdout is not None:
        sys.stdout.flush()  # here what cannot be written is still an error in words
    return code if isinstance(code, int) else 0


def _refuse_mistyped(word: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, n=1, cutoff=0.8)
    if near:
        from interpboard.errors import BadParameter

        raise BadParameter(
            f"There is no command {word!r}.",
            f"Did you mean {near[0]}? As a prompt: interpboard -- {word}",
        )


def _report(error: Exception, debug: bool) -> int:
    from interpboard.errors import Cancelled, InterpBoardError, bounded

    if isinstance(error, Cancelled):
        return 130
    if debug:
        import traceback

        say_lines = "".join(traceback.format_exception(error)).splitlines()
        for line in say_lines:
            say(line)
    if isinstance(error, InterpBoardError):
        say(f"error: {error.message} {error.remedy}".strip() if debug else f"error: {error}")
        return 2
    if hasattr(error, "format_message"):  # the command parser's own: unknown option, missing value
        said = bounded(error.format_message().rstrip("."))
        say(f"error: {said}. See interpboard --help.")
        return 2
    if type(error).__name__ == "Abort":  # the parser's word for end of input or an interruption
        return 130
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    say(f"error: {bounded(what.splitlines()[0])} This is a fault of interpboard; run with --debug.")
    return 1


def run_as_script() -> NoReturn:
    """``python -m interpboard``."""
    sys.exit(main())


if __name__ == "__main__":
    run_as_script()
