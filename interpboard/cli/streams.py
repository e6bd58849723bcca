"""The three streams: standard output is data, standard error is narration, and either may be gone."""

from __future__ import annotations

import contextlib
import os
import sys

from interpboard.errors import BadParameter


def fill_closed_descriptors() -> None:
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


def write_out(text: str) -> None:
    """``text`` to standard output, as UTF-8 with its own line ends. A reader may leave."""
    if sys.stdout is None:
        raise BadParameter("Standard output is closed.", "Use --output FILE.")
    try:
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:
            sys.stdout.write(text)
        else:
            sys.stdout.flush()
            stream.write(text.encode("utf-8"))
            stream.flush()
        sys.stdout.flush()
    except BrokenPipeError:
        hush_stdout()
    except OSError as error:
        hush_stdout()
        raise BadParameter(f"Cannot write standard output: {error.strerror}.") from error
