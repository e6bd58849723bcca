"""Views of documents, written where they belong."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.cli.opening import is_dark
from interpboard.cli.options import Format
from interpboard.cli.streams import say, write_out
from interpboard.errors import BadParameter
from interpboard.files import atomic

if TYPE_CHECKING:
    from interpboard.config import Settings
    from interpboard.results import Document


PIPE_WIDTH = 100


def tell_warnings(document: Document) -> None:
    """The warnings of the results, on standard error, each once; they are in the data as well."""
    told: dict[str, dict[str, None]] = {}  # of each warning the analyses it is of, in their order
    for result in document.results:
        for warning in result.warnings:
            told.setdefault(warning, {})[result.analysis] = None
    number = len({result.analysis for result in document.results})
    for warning, names in told.items():
        of_all = 1 < number == len(names)
        say(f"warning: {warning}" if of_all else f"warning: {', '.join(names)}: {warning}")


def document_as(document: Document, form: Format, settings: Settings, *, to_file: bool) -> str:
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
    page = terminal.render
    if form is Format.plot:
        from interpboard.visualization.plot_page import document_plots as page
    is_terminal = not to_file and sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if not to_file else PIPE_WIDTH
    encoding = "utf-8" if to_file else (getattr(sys.stdout, "encoding", None) or "ascii")
    return page(
        document,
        width,
        color=terminal.color_wanted(settings.color, is_terminal),
        dark=is_dark(settings.theme),
        ascii_only=settings.ascii or not encoding.lower().replace("-", "").startswith("utf"),
    )


def read_saved(files: Sequence[Path]) -> list[Document]:
    """The documents that were saved in ``files``; of a sweep's folder its means. Raises ``BadResultFile``."""
    from interpboard.results import Document

    return [_means_of(path) if path.is_dir() else Document.load(path) for path in files]


def _means_of(folder: Path) -> Document:
    """The means over the rows that are there now, whether or not the sweep has ended."""
    from interpboard.sweeps.aggregate import AggregateSettings, aggregate
    from interpboard.sweeps.folder import SweepFolder

    found = SweepFolder.open(folder)
    asked = found.manifest
    return aggregate(found, AggregateSettings(level=asked.level, group=asked.request.group))


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
        write_output(output, text)
        say(f"wrote {output}")


def write_output(path: Path, text: str) -> None:
    """``text`` as the whole of ``path``, or nothing of it. Raises ``BadParameter``."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise BadParameter(f"Cannot write {path}: {error.strerror}.") from error
