"""``compare``: B − A of two files of saved results, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.option_groups import PageFlags, option_groups, settings_with
from interpboard.cli.options import choose_output
from interpboard.cli.output import deliver, document_as, read_saved, tell_warnings
from interpboard.cli.streams import say


@option_groups
def compare_command(
    *,
    a: Annotated[Path, typer.Argument(help="Results saved as JSON.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Those they are taken from.", show_default=False)],
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Write B − A of each analysis that both files hold, aligned by the tokens of their prompts."""
    from interpboard.comparison import differences

    chosen = choose_output(output, form)
    settings = settings_with(page)
    compared, reasons = differences(*read_saved([a, b]))
    for reason in reasons:
        say(f"left out: {reason}")
    tell_warnings(compared)
    deliver(document_as(compared, chosen, settings, to_file=output is not None), output)
