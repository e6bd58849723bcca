"""``interpboard what-if``: heads chosen and held, a random set of the same size beside them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from interpboard import config
from interpboard.cli import chat_options, flags
from interpboard.cli.compute import WhatIfChoice, compute_what_if
from interpboard.cli.opening import debug_wanted
from interpboard.cli.options import choose_metric, choose_output, read_text
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.streams import say
from interpboard.errors import BadParameter, BadPrompt
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from interpboard.registry.metric_names import METRICS


class Put(StrEnum):
    """What stands in place of the heads."""

    zero = "zero"
    mean = "mean"
    patch = "patch"


def what_if_command(
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The prompt; - reads standard input.")
    ] = None,
    chat: chat_options.ChatFile = None,
    system: chat_options.System = None,
    user: chat_options.User = None,
    assistant: chat_options.Assistant = None,
    chat_template: chat_options.Template = None,
    heads: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="Hold strongest=N heads (all are measured first), layer=N (its heads and MLP), or "
            "type=NAME (induction, previous_token …).",
        ),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option(
            "--hold", help='Interventions in their own words, e.g. "2.5=zero; 1.mlp=mean".'
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
    model: flags.ModelName = None,
    target: Annotated[
        str | None, typer.Option(help="The token explained, as text or as #161 by id.")
    ] = None,
    foil: Annotated[str | None, typer.Option(help="The token it is contrasted with.")] = None,
    position: Annotated[int, typer.Option(help="Where it is predicted; -1: the end.")] = -1,
    metric: Annotated[
        str | None,
        typer.Option(help=", ".join(METRICS) + ".", autocompletion=flags.complete_metric),
    ] = None,
    trust_remote_code: flags.Trust = False,
    allow_pickle: flags.Pickle = False,
    ignore_unused_weights: flags.Unused = False,
    no_check_weights: flags.Unchecked = False,
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    device: flags.Device = None,
    dtype: flags.Dtype = None,
    no_special_tokens: flags.Special = None,
    color: flags.Paint = None,
    theme: flags.Background = None,
    ascii: flags.AsciiOnly = None,
    debug: flags.Debug = False,
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> None:
    """Hold a set of heads against the model, and a random set of the same size beside it.

    Standard error says which heads they are and the line that makes the result again.
    """
    chosen_form = choose_output(output, form)
    asked_chat = chat_options.chosen_chat(text, chat, system, user, assistant, chat_template)
    prompt = asked_chat if text is None else read_text(text)
    if prompt is None:
        raise BadPrompt(
            "There is no prompt.", "Give one with --text '...', or a chat with --user '...'."
        )
    if heads is None and also is None:
        raise BadParameter("Nothing is held.", "Give --heads strongest=10, or --hold '2.5=zero'.")
    settings = config.read_settings(
        {
            "model": model, "device": device, "dtype": dtype, **flags.page_flags(color, theme, ascii),
            "special_tokens": flags.off(no_special_tokens),
        }
    ).settings  # fmt: skip
    asked = choose_metric(metric, target, foil, position, settings.metric)
    wanted = WhatIfChoice(
        heads, also or "", put.value, corrupted or "", None if no_control else seed
    )
    choice = flags.model_choice(
        settings,
        trust_remote_code,
        allow_pickle,
        ignore_unused_weights,
        no_check_weights,
        load=load,
    )
    document, notes = compute_what_if(choice, prompt, asked, wanted, debug=debug_wanted(debug))
    for line in notes:
        say(line)
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=output is not None), output)
