"""``interpboard analyze``: analyses of one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.chat_options import ChatFlags
from interpboard.cli.choice_options import ChoiceFlags
from interpboard.cli.compute import compute, planned
from interpboard.cli.opening import debug_wanted
from interpboard.cli.option_groups import (
    MetricFlags,
    OpenedModelFlags,
    PageFlags,
    option_groups,
    settings_with,
)
from interpboard.cli.options import (
    choose_analyses,
    choose_output,
    choose_params,
    needs_no_text,
    swap_of,
)
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.plan_page import plans_as
from interpboard.errors import BadParameter, BadPrompt

if TYPE_CHECKING:
    from interpboard.results import Chat


@option_groups
def analyze_command(
    *,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            "-t",
            show_default=False,
            help="The prompt; - reads standard input. Circuits of a dataset and losses of a file do "
            "without.",
        ),
    ] = None,
    chat: ChatFlags,
    choices: ChoiceFlags,
    model: OpenedModelFlags,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            "-a",
            help="One analysis; may be repeated (all).",
            autocompletion=flags.complete_analysis,
        ),
    ] = None,
    metric: MetricFlags,
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
    param: flags.ParamFlags = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what it would take (time, memory, runs), and do no more."),
    ] = False,
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Run analyses on a prompt and write the results to standard output or a file."""
    chosen_form = choose_output(output, form)
    prompt = chat.prompt(text)
    compared = choices.pairs()
    if compared and chat.text_pair is not None:
        raise BadParameter("--text-pair and choices both give second texts.", "Use one.")
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
    pairs = (*(f"{name}={value}" for name, value in given.items()), *compared, *(param or ()))
    analyses = choose_analyses(
        analysis or (["choices"] if compared else None), (pair.partition("=")[0] for pair in pairs)
    )
    settings = settings_with(model, page)
    request = metric.request(settings)
    params = choose_params(pairs, analyses)
    if prompt is None and not needs_no_text(analyses, params):
        raise BadPrompt(
            "There is no prompt.", "Give one with --text '...', or a chat with --user '...'."
        )
    choice = model.choice(settings)._replace(pair=chat.text_pair is not None)
    debug = debug_wanted(debug)
    if plan:
        if prompt is None:
            raise BadPrompt("A plan is of a prompt.", "Give one with --text '...'.")
        plans = planned(choice, prompt, analyses, request, params, swap=exchange, debug=debug)
        deliver(plans_as(plans, chosen_form), output)
        return
    run = compute
    if "," in choice.device:
        from interpboard.cli.divided import compute_divided as run  # with the engine's own
    document = run(choice, prompt, analyses, request, params, swap=exchange, debug=debug)
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=output is not None), output)


def _exchange(prompt: str | Chat | None, corrupted: str | None, swap: str) -> tuple[str, str]:
    if corrupted is not None:
        raise BadParameter("--swap and --corrupted both give a corrupted prompt.", "Use one.")
    if prompt is None:
        raise BadPrompt("--swap needs a prompt.", "Give one with --text '...'.")
    return swap_of(swap)
