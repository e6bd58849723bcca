"""``report``: saved results shown again, several files side by side, or a session with its notes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard import config
from interpboard.cli import sessions_command
from interpboard.cli.flags import (
    AsciiOnly,
    Background,
    Debug,
    OutputFile,
    OutputFormat,
    Paint,
    page_flags,
)
from interpboard.cli.options import choose_output
from interpboard.cli.output import deliver, document_as, read_saved, side_by_side


def report_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Results saved as JSON, folders of sweeps; or one session, by name or number.",
            show_default=False,
        ),
    ],
    form: OutputFormat = None,
    output: OutputFile = None,
    color: Paint = None,
    theme: Background = None,
    ascii: AsciiOnly = None,
    debug: Debug = False,
) -> None:
    """Show saved results again, in any format; several files side by side, in HTML.

    A session is written with its notes as the text: as Markdown, HTML or JSON.
    """
    chosen = choose_output(output, form)
    settings = config.read_settings(page_flags(color, theme, ascii)).settings
    session = sessions_command.session_named(files)
    if session is not None:
        deliver(sessions_command.report_of(session, chosen), output)
        return
    documents = read_saved(files)
    if len(documents) > 1:
        written = side_by_side(documents, chosen)
    else:
        written = document_as(documents[0], chosen, settings, to_file=output is not None)
    deliver(written, output)
