"""The door of the command line: ``interpboard [TEXT]``, ``… analyze``, ``… report``, ``… list``,
``… config``.

Standard output is data, standard error is narration. Exit codes: 0 done, 2 bad input (one line
that says what was wrong and what to do), 1 our fault, 130 interrupted. This module imports next to
nothing, so that the bare command reaches the app's first screen without paying for the rest; the
commands are in ``commands``.
"""

from __future__ import annotations

import contextvars
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from interpboard.cli import opening as door
from interpboard.cli.leaving import LastOfAll
from interpboard.cli.opening import Opening, debug_wanted, open_app
from interpboard.cli.streams import fill_closed_descriptors, hush_stdout, say

SUBCOMMANDS = (
    "analyze",
    "report",
    "compare",
    "sweep",
    "probe",
    "what-if",
    "sessions",
    "list",
    "config",
    "tune-lens",
    "max-activating",
    "examples",
)
# Options in front of TEXT whose next argument is their value.
WITH_VALUE = frozenset(
    {
        "--model",
        "-m",
        "--text",
        "-t",
        "--device",
        "--dtype",
        "--color",
        "--theme",
        "--prompts",
        "--dataset",
        "--session",
        "--revision",
        "--subfolder",
        "--gguf-file",
        "--device-map",
        "--max-memory",
        "--offload-folder",
        "--adapter",
        "--adapter-state",
        "--quantize",
        "--pooling",
        "--parts",
        "--chat",
        "--system",
        "--user",
        "--assistant",
        "--text-pair",
        "--decoder-text",
        "--chat-template",
    }
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if argv is None:
        fill_closed_descriptors()
    given = list(sys.argv[1:] if argv is None else argv)
    return contextvars.copy_context().run(_main, given, argv is None)


def _main(given: list[str], process_is_ours: bool) -> int:
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
        if opening is not None and door.is_interactive():
            return open_app(opening)
        if process_is_ours:
            from interpboard.config.garbage import look_seldom

            look_seldom()
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
    named = False  # is there a --text, too?
    waiting = _resumed(argv)
    for arg in waiting:
        if arg == "--":
            texts += waiting
        elif arg in WITH_VALUE:
            named |= arg in ("--text", "-t")
            rest += [arg, *([value] if (value := next(waiting, None)) is not None else [])]
        elif arg.startswith("-") and arg != "-":
            named |= arg.startswith("--text=")
            rest.append(arg)
        elif arg in SUBCOMMANDS and not texts:
            rest, tail = [arg, *rest], list(waiting)
            before_dashes = tail[: tail.index("--")] if "--" in tail else tail
            return Arguments(rest + tail, "--debug" in rest or "--debug" in before_dashes)
        else:
            _refuse_mistyped(arg)
            texts.append(arg)
    if len(texts) > 1 or (texts and named):
        from interpboard.errors import BadParameter

        raise BadParameter("More than one TEXT was given.", "Put the prompt in quotes, once.")
    return Arguments([*rest, *(f"--text={text}" for text in texts)], "--debug" in rest)


def _resumed(argv: Sequence[str]) -> Iterator[str]:
    """``--resume NAME`` as ``--resume --session=NAME``: the parser knows no option with a value that may
    be left out."""
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        yield word
        if word == "--":
            yield from waiting
            return
        if word in WITH_VALUE and waiting:
            yield waiting.pop(0)
        elif word == "--resume" and waiting and not waiting[0].startswith("-"):
            yield f"--session={waiting.pop(0)}"


def plain_opening(args: Sequence[str]) -> Opening | None:
    """What the app is to open, where ``args`` (routed) say no more than that; else None.

    It spares the usual start the command parser's import. Whatever is unusual is left to the parser.
    """
    text: str | None = None
    flags: dict[str, Any] = {}
    resume, session, prompts = False, "", None
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
        if found is None or name not in ("--text", "--prompts", "--session", *_SETTINGS):
            return None
        if name == "--text":
            text = found
        elif name == "--prompts":
            prompts = found
        elif name == "--session":
            resume, session = True, found
        else:
            flags[name.removeprefix("--")] = found
    if text in ("", "-") or any("\ud800" <= c <= "\udfff" for c in text or ""):
        return None
    return Opening(text, flags, resume, prompts, session)


def _run_commands(args: list[str]) -> int:
    from interpboard.cli.commands import app

    code = app(args, prog_name="interpboard", standalone_mode=False)
    if sys.stdout is not None:
        sys.stdout.flush()  # here what cannot be written is still an error in words
    return code if isinstance(code, int) else 0


def _refuse_mistyped(word: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(word, SUBCOMMANDS, n=1, cutoff=0.8)
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
        for note in getattr(error, "__notes__", ()) if not debug else ():
            for line in note.splitlines():
                say(line)
        return 2
    if hasattr(error, "format_message"):  # the command parser's own: unknown option, missing value
        message = bounded(error.format_message().rstrip("."))
        say(f"error: {message}. See interpboard --help.")
        return 2
    if type(error).__name__ == "Abort" and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # the parser takes it for Ctrl+D; a module cut short ends so too
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    say(f"error: {bounded(what.splitlines()[0])} This is a fault of interpboard; run with --debug.")
    return 1


def run_as_script() -> NoReturn:
    """``interpboard`` and ``python -m interpboard``."""
    last = LastOfAll()
    last.code = main()
    sys.exit(last.code)


if __name__ == "__main__":
    run_as_script()
