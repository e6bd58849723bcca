"""``compare``: B − A of two files of saved results, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard import config
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
from interpboard.cli.output import deliver, document_as, read_saved, tell_warnings
from interpboard.cli.streams import say


def compare_command(
    a: Annotated[Path, typer.Argument(help="Results saved as JSON.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Those they are taken from.", show_default=False)],
    form: OutputFormat = None,
    output: OutputFile = None,
    color: Paint = None,
    theme: Background = None,
    ascii: AsciiOnly = None,
    debug: Debug = False,
) -> None:
    """Write B − A of each analysis that both files hold, aligned by the tokens of their prompts."""
    from interpboard.comparison import differences

    chosen = choose_output(output, form)
    settings = config.read_settings(page_flags(color, theme, ascii)).settings
    compared, reasons = differences(*read_saved([a, b]))
    for reason in reasons:
        say(f"left out: {reason}")
    tell_warnings(compared)
    deliver(document_as(compared, chosen, settings, to_file=output is not None), output)
