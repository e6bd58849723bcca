"""``report``: saved results shown again, several files side by side, or a session with its notes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli import flags, sessions_command
from interpboard.cli.option_groups import PageFlags, option_groups, settings_with
from interpboard.cli.options import choose_output, try_file
from interpboard.cli.output import deliver, document_as, read_saved, side_by_side
from interpboard.cli.streams import say
from interpboard.errors import BadParameter
from interpboard.files import atomic


@option_groups
def report_command(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Results saved as JSON, folders of sweeps; or one session: its name, number or JSON.",
            show_default=False,
        ),
    ],
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Show saved results again, in any format; several files side by side, in HTML.

    A session is written with its notes as the text: as Markdown, HTML or JSON. An --output that ends in
    .parquet is a table, a row a value with its interval beside it.
    """
    if output is not None and form is None and output.suffix.lower() == ".parquet":
        _as_parquet(files, output)
        return
    chosen = choose_output(output, form)
    settings = settings_with(page)
    session = sessions_command.session_named(files)
    if session is not None:
        deliver(sessions_command.report_of(session, chosen), output)
        return
    of_file = sessions_command.page_in(files)
    if of_file is not None:
        deliver(sessions_command.page_as(of_file, chosen), output)
        return
    documents = read_saved(files)
    if len(documents) > 1:
        written = side_by_side(documents, chosen)
    else:
        written = document_as(documents[0], chosen, settings, to_file=output is not None)
    deliver(written, output)


def _as_parquet(files: list[Path], output: Path) -> None:
    try_file(output, "--output")
    if len(files) > 1:
        raise BadParameter(f"{len(files)} files are no one table.", "Write them one by one.")
    if sessions_command.session_named(files) or sessions_command.page_in(files):
        raise BadParameter("A session is no table.", "Write it as .md, .html or .json.")
    (document,) = read_saved(files)
    from interpboard.visualization.parquet_table import parquet_bytes

    try:
        atomic.write_bytes(output, parquet_bytes(document))
    except OSError as error:
        raise BadParameter(f"Cannot write {output}: {error.strerror}.") from error
    say(f"wrote {output}")
