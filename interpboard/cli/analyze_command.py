"""``interpboard analyze``: analyses of one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interpboard import config
from interpboard.cli.chat_options import (
    Assistant,
    ChatFile,
    System,
    Template,
    User,
    chosen_chat,
)
from interpboard.cli.compute import compute, planned
from interpboard.cli.flags import (
    AsciiOnly,
    Background,
    Debug,
    Device,
    Dtype,
    MetricName,
    ModelName,
    OutputFile,
    OutputFormat,
    Paint,
    ParamFlags,
    Pickle,
    Special,
    Trust,
    Unchecked,
    Unused,
    choice_value,
    complete_analysis,
    model_choice,
    off,
)
from interpboard.cli.opening import debug_wanted
from interpboard.cli.options import (
    choose_analyses,
    choose_metric,
    choose_output,
    choose_params,
    needs_no_text,
    read_text,
    swap_of,
)
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.plan_page import plans_as
from interpboard.errors import BadParameter, BadPrompt
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions

if TYPE_CHECKING:
    from interpboard.results import Chat


def analyze_command(
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            "-t",
            show_default=False,
            help="The prompt; - reads standard input. Only circuits of a dataset do without.",
        ),
    ] = None,
    chat: ChatFile = None,
    system: System = None,
    user: User = None,
    assistant: Assistant = None,
    chat_template: Template = None,
    model: ModelName = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            "-a",
            help="One analysis; may be repeated (all).",
            autocompletion=complete_analysis,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="The token explained, as text or as #161 by id (the model's own first)."),
    ] = None,
    foil: Annotated[
        str | None,
        typer.Option(help="The token it is contrasted with, for logit_diff; as text or as #161."),
    ] = None,
    position: Annotated[
        int,
        typer.Option(help="Where the next token is predicted, from 0; -1: the end of the text."),
    ] = -1,
    metric: MetricName = None,
    corrupted: Annotated[
        str | None,
        typer.Option(help="A second prompt, as many tokens: patching between the two."),
    ] = None,
    swap: Annotated[
        str | None,
        typer.Option(
            metavar="OLD=NEW",
            help="The corrupted prompt: the text, its last OLD made NEW and nothing else changed.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="What noise is put on, as it stands in the text; a token by its id, as #161; or, if that is "
            "not in the text, positions, as 1,2 or 1:3 (1 and 2): causal tracing, and activation patching "
            "without --corrupted."
        ),
    ] = None,
    param: ParamFlags = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what it would take (time, memory, runs), and do no more."),
    ] = False,
    form: OutputFormat = None,
    output: OutputFile = None,
    device: Device = None,
    dtype: Dtype = None,
    trust_remote_code: Trust = False,
    allow_pickle: Pickle = False,
    ignore_unused_weights: Unused = False,
    no_check_weights: Unchecked = False,
    no_special_tokens: Special = None,
    color: Paint = None,
    theme: Background = None,
    ascii: AsciiOnly = None,
    debug: Debug = False,
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> None:
    """Run analyses on a prompt and write the results to standard output or a file."""
    chosen_form = choose_output(output, form)
    asked_chat = chosen_chat(text, chat, system, user, assistant, chat_template)
    prompt = asked_chat if text is None else read_text(text)
    exchange = None if swap is None else _exchange(prompt, corrupted, swap)
    if exchange is not None:
        corrupted = "".join(
            exchange
        )  # stands for the prompt that is made once there is a tokenizer
    given = {
        name: value
        for name, value in (("corrupted", corrupted), ("subject", subject))
        if value is not None
    }
    pairs = (*(f"{name}={value}" for name, value in given.items()), *(param or ()))
    analyses = choose_analyses(analysis, (pair.partition("=")[0] for pair in pairs))
    settings = config.read_settings(
        {
            "model": model, "device": device, "dtype": dtype, "color": choice_value(color),
            "theme": choice_value(theme), "ascii": ascii,
            "special_tokens": off(no_special_tokens),
        }
    ).settings  # fmt: skip
    request = choose_metric(metric, target, foil, position, settings.metric)
    params = choose_params(pairs, analyses)
    if prompt is None and not needs_no_text(analyses, params):
        raise BadPrompt(
            "There is no prompt.", "Give one with --text '...', or a chat with --user '...'."
        )
    choice = model_choice(
        settings,
        trust_remote_code,
        allow_pickle,
        ignore_unused_weights,
        no_check_weights,
        load=load,
    )
    debug = debug_wanted(debug)
    if plan:
        if prompt is None:
            raise BadPrompt("A plan is of a prompt.", "Give one with --text '...'.")
        plans = planned(choice, prompt, analyses, request, params, swap=exchange, debug=debug)
        deliver(plans_as(plans, chosen_form), output)
        return
    document = compute(choice, prompt, analyses, request, params, swap=exchange, debug=debug)
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=output is not None), output)


def _exchange(prompt: str | Chat | None, corrupted: str | None, swap: str) -> tuple[str, str]:
    if corrupted is not None:
        raise BadParameter("--swap and --corrupted both give a corrupted prompt.", "Use one.")
    if prompt is None:
        raise BadPrompt("--swap needs a prompt.", "Give one with --text '...'.")
    return swap_of(swap)
