"""``report``: saved results shown again, several files side by side, or a session with its notes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli import flags, sessions_command
from interpboard.cli.option_groups import PageFlags, option_groups, settings_with
from interpboard.cli.options import choose_output
from interpboard.cli.output import deliver, document_as, read_saved, side_by_side


@option_groups
def report_command(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Results saved as JSON, folders of sweeps; or one session, by name or number.",
            show_default=False,
        ),
    ],
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Show saved results again, in any format; several files side by side, in HTML.

    A session is written with its notes as the text: as Markdown, HTML or JSON.
    """
    chosen = choose_output(output, form)
    settings = settings_with(page)
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
