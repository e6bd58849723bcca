"""``interpboard what-if``: interventions on chosen heads, beside a random set of the same size."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.chat_options import ChatFlags
from interpboard.cli.compute import WhatIfChoice, compute_what_if
from interpboard.cli.opening import debug_wanted
from interpboard.cli.option_groups import (
    MetricFlags,
    OpenedModelFlags,
    PageFlags,
    option_groups,
    settings_with,
)
from interpboard.cli.options import choose_output
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.streams import say
from interpboard.errors import BadParameter, BadPrompt


class Put(StrEnum):
    """What stands in place of the heads."""

    zero = "zero"
    mean = "mean"
    patch = "patch"


@option_groups
def what_if_command(
    *,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The prompt; - reads standard input.")
    ] = None,
    chat: ChatFlags,
    heads: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="Which heads: strongest=N (all are measured first), layer=N (its heads and its MLP), or "
            "type=NAME (induction, previous_token …).",
        ),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option(
            "--interventions", help='As text, e.g. "2.5=zero; 1.mlp=mean"; with or without --heads.'
        ),
    ] = None,
    put: Annotated[Put, typer.Option(help="What stands in place of the chosen heads.")] = Put.zero,
    corrupted: Annotated[
        str | None, typer.Option(help="The prompt that patch takes its values from.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random set beside the chosen one.")] = 0,
    no_control: Annotated[
        bool, typer.Option("--no-control", help="Without a random set beside.")
    ] = False,
    model: OpenedModelFlags,
    metric: MetricFlags,
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Intervene on a set of heads, and on a random set of the same size beside it.

    Standard error says which heads they are and the line that makes the result again.
    """
    chosen_form = choose_output(output, form)
    prompt = chat.prompt(text)
    if prompt is None:
        raise BadPrompt(
            "There is no prompt.", "Give one with --text '...', or a chat with --user '...'."
        )
    if heads is None and also is None:
        raise BadParameter(
            "There is no intervention.", "Give --heads strongest=10, or --interventions '2.5=zero'."
        )
    settings = settings_with(model, page)
    asked = metric.request(settings)
    wanted = WhatIfChoice(
        heads, also or "", put.value, corrupted or "", None if no_control else seed
    )
    choice = model.choice(settings)._replace(pair=chat.text_pair is not None)
    document, notes = compute_what_if(choice, prompt, asked, wanted, debug=debug_wanted(debug))
    for line in notes:
        say(line)
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=output is not None), output)
