"""While something is computed: a bar on standard error, and the libraries kept quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator

from interpboard.display import ascii_everywhere

# What the libraries say on standard error while they load, unless it is asked for.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """``show(what, done, total)``: one bar on standard error, nothing where that is no terminal."""
    if not (sys.stderr and sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    bar = TextColumn("{task.percentage:>3.0f}%") if ascii_everywhere.get() else BarColumn()
    columns = (TextColumn("{task.description}", markup=False), bar, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("", total=None)
        shown = [""]

        def show(what: str, done: int, total: int) -> None:
            if what != shown[0]:
                shown[0] = what
                progress.reset(task, description=what, total=total or None)
            progress.update(task, completed=done, total=total or None)

        yield show


@contextlib.contextmanager
def stdout_aside(debug: bool) -> Iterator[None]:
    """Standard output is for data: whatever libraries print meanwhile goes to standard error with
    ``--debug`` and nowhere without it, also what is written below Python."""
    if sys.stdout is not None:
        sys.stdout.flush()
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        sink = sys.stderr if debug and sys.stderr is not None else nowhere
        stack.enter_context(contextlib.redirect_stdout(sink))
        with contextlib.suppress(OSError, ValueError):  # no descriptor 1, or no real stderr
            kept = os.dup(1)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 1)
            os.dup2(sink.fileno(), 1)
        yield


@contextlib.contextmanager
def quiet_libraries(debug: bool) -> Iterator[None]:
    if debug:
        yield
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
