"""Compute a document, its progress on standard error, and write views of it where they belong."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from interpboard.analyses import ANALYSES
from interpboard.cli import hush_stdout, is_dark, say
from interpboard.cli_options import Format
from interpboard.display import ascii_everywhere
from interpboard.engine.threads import let_threads_sleep
from interpboard.errors import BadParameter
from interpboard.files import atomic

if TYPE_CHECKING:
    from interpboard.config import Settings
    from interpboard.models.language_model import LanguageModel
    from interpboard.results import Document, MetricRequest

PIPE_WIDTH = 100
# What the libraries say on standard error while they load, unless it is asked for.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class ModelChoice(NamedTuple):
    """Which model, where, and what it may do."""

    model: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    ignore_unused_weights: bool = False
    check_weights: bool = True
    special_tokens: bool = True


def compute(
    choice: ModelChoice,
    text: str | None,
    analyses: Sequence[str],
    metric: MetricRequest,
    params: Mapping[str, Mapping[str, Any]],
    *,
    swap: tuple[str, str] | None = None,
    debug: bool = False,
) -> Document:
    """Load the model and run the analyses. Here torch comes in.

    ``swap``: the corrupted prompt of every analysis that takes one is the text with the first exchanged for
    the second.
    Without a text it is the first prompt of the circuit's dataset; see ``needs_no_text``.
    """
    with _progress() as show, _stdout_aside(debug), _quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.analyze import analyze
        from interpboard.runs.watch import Watch

        lm = _opened(choice, show)
        text = _first_prompt(params["circuit"]) if text is None else text
        if swap is not None:
            params = _with_swapped(params, lm, text, swap)
        title = [""]

        def on_start(name: str) -> None:
            title[0] = ANALYSES[name].title if name in ANALYSES else name
            show(title[0], 0, 0)

        return analyze(
            lm,
            text,
            analyses=tuple(analyses),
            metric=metric,
            params=params,
            watch=Watch(on_progress=lambda done, total, _partial: show(title[0], done, total)),
            on_start=on_start,
        )


def _with_swapped(
    params: Mapping[str, Mapping[str, Any]], lm: LanguageModel, text: str, swap: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    from interpboard.patching.corrupt import swap_span

    corrupted = swap_span(lm, text, *swap)
    return {
        name: {**own, "corrupted": corrupted} if "corrupted" in own else dict(own)
        for name, own in params.items()
    }


def _first_prompt(circuit: Mapping[str, Any]) -> str:
    from interpboard.circuits.behaviours import load_behaviour
    from interpboard.circuits.prompt_pairs import read_examples

    if circuit.get("dataset"):
        return read_examples(circuit["dataset"])[0].clean
    return load_behaviour(circuit["behavior"]).examples[0].clean


def tune(
    choice: ModelChoice,
    corpus: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    debug: bool = False,
) -> tuple[list[float], tuple[str, ...]]:
    """Train a tuned lens on ``corpus`` into the folder ``out``; the last KL [layer], and warnings."""
    with _progress() as show, _stdout_aside(debug), _quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.circuits.tune_lens import Settings, tune_lens
        from interpboard.results import LabelledArray
        from interpboard.runs.watch import Watch

        last: list[float] = []

        def hear(done: int, total: int, partial: LabelledArray | None) -> None:
            show("Tuned lens", done, total)
            if partial is not None:
                last[:] = [float(value) for value in partial.values]

        lm = _opened(choice, show)
        made = tune_lens(lm, corpus, out, Settings(**settings), Watch(on_progress=hear))
        return last, made.warnings


def collect(
    choice: ModelChoice,
    corpus: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    debug: bool = False,
) -> tuple[int, tuple[str, ...]]:
    """Collect max-activating examples over ``corpus`` into ``out``; how many tokens, and warnings."""
    with _progress() as show, _stdout_aside(debug), _quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.circuits.collect_examples import Collection, collect_examples
        from interpboard.runs.watch import Watch

        watch = Watch(on_progress=lambda done, total, _partial: show("Examples", done, total))
        lm = _opened(choice, show)
        found = collect_examples(lm, corpus, out, Collection(**settings), watch)
        return found.info.tokens, found.warnings


def _opened(choice: ModelChoice, show: Callable[[str, int, int], None]) -> LanguageModel:
    from interpboard.models.language_model import open_model

    return open_model(
        choice.model,
        device=choice.device,
        dtype=choice.dtype,
        trust_remote_code=choice.trust_remote_code,
        allow_pickle=choice.allow_pickle,
        ignore_unused_weights=choice.ignore_unused_weights,
        check_weights=choice.check_weights,
        special_tokens=choice.special_tokens,
        on_stage=lambda stage, fraction: show(stage, round(100 * fraction), 100),
    )


def tell_warnings(document: Document) -> None:
    """The warnings of the results, on standard error; they are in the data as well."""
    for result in document.results:
        for warning in result.warnings:
            say(f"warning: {result.analysis}: {warning}")


def view(document: Document, form: Format, settings: Settings, *, to_file: bool) -> str:
    """``document`` as text of format ``form``, painted as the settings say."""
    from interpboard.visualization import export, terminal
    from interpboard.visualization.circuit_page import DIAGRAMS, diagram

    if form is Format.json:
        return export.json_text(document)
    if form is Format.csv:
        return export.csv_text(document)
    if form is Format.md:
        return export.markdown(document)
    if form is Format.html:
        return export.html(document)
    if form.value in DIAGRAMS:
        return diagram(document, form.value)
    is_terminal = not to_file and sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if not to_file else PIPE_WIDTH
    encoding = "utf-8" if to_file else (getattr(sys.stdout, "encoding", None) or "ascii")
    return terminal.render(
        document,
        width,
        color=terminal.color_wanted(settings.color, is_terminal),
        dark=is_dark(settings.theme),
        ascii_only=settings.ascii or not encoding.lower().replace("-", "").startswith("utf"),
    )


def read_saved(files: Sequence[Path]) -> list[Document]:
    """The documents that were saved in ``files``. Raises ``BadResultFile``."""
    from interpboard.results import Document

    return [Document.load(path) for path in files]


def side_by_side(documents: Sequence[Document], form: Format) -> str:
    """Several documents as one page. Raises ``BadParameter`` for any other format."""
    if form is not Format.html:
        raise BadParameter(
            f"{len(documents)} files stand side by side in HTML only, not in {form.value}.",
            "Use --format html, or one file.",
        )
    from interpboard.visualization.html import report

    return report(documents)


def deliver(text: str, output: Path | None) -> None:
    """``text`` to standard output, or to the file ``output``, said on standard error."""
    if output is None:
        write_out(text)
    else:
        write_file(output, text)
        say(f"wrote {output}")


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


def write_file(path: Path, text: str) -> None:
    """``text`` as the whole of ``path``, or nothing of it. Raises ``BadParameter``."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise BadParameter(f"Cannot write {path}: {error.strerror}.") from error


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
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
def _stdout_aside(debug: bool) -> Iterator[None]:
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
def _quiet_libraries(debug: bool) -> Iterator[None]:
    if debug:
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
