"""The commands. Each checks its input first, then imports what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard import __version__
from interpboard.cli import (
    compare_command,
    config_command,
    corpus_commands,
    flags,
    opening,
    sessions_command,
)
from interpboard.cli.analyze_command import analyze_command
from interpboard.cli.chat_options import ChatFlags, chat_text, chosen_chat
from interpboard.cli.compute import compute
from interpboard.cli.opening import Opening, debug_wanted, open_app
from interpboard.cli.option_groups import ModelFlags, PageFlags, option_groups, settings_with
from interpboard.cli.options import (
    Format,
    ListFormat,
    choose_analyses,
    choose_metric,
)
from interpboard.cli.output import document_as, tell_warnings
from interpboard.cli.probe_command import probe_command
from interpboard.cli.registry_page import registry_json, registry_text
from interpboard.cli.report_command import report_command
from interpboard.cli.streams import write_out
from interpboard.cli.sweep_command import sweep_command
from interpboard.cli.what_if_command import what_if_command
from interpboard.config import DEFAULT_TEXT
from interpboard.errors import BadParameter

app = typer.Typer(
    name="interpboard",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[TEXT] | COMMAND [ARGS]...",
)


def _version(wanted: bool) -> None:
    if wanted:
        write_out(f"interpboard {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@option_groups
def start(
    *,
    context: typer.Context,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The same as TEXT; - reads standard input.")
    ] = None,
    chat: ChatFlags,
    model: ModelFlags,
    page: PageFlags,
    no_mouse: Annotated[
        bool | None, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Bring back the last results; with a NAME behind it those of that session. Nothing is "
            "computed.",
        ),
    ] = False,
    session: Annotated[
        str, typer.Option(metavar="NAME", help="The same as --resume NAME; a name or a number.")
    ] = "",
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file with one prompt a line, for the app; > and < step."),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(metavar="PATH", help="Rows, or the folder of a sweep, as a table in the app."),
    ] = "",
    debug: flags.Debug = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Which tokens, heads and layers carry a language model's answer to TEXT.

    Opens the app; where there is no terminal, writes a text report instead. A TEXT that is the name
    of a command is written after --.
    """
    if context.invoked_subcommand is not None:
        return
    interactive = opening.is_interactive()
    spoken = chosen_chat(text, chat)
    if chat.text_pair is not None:
        raise BadParameter(
            "--text-pair is for analyze and what-if.",
            "Here a pair is one text: 'first ||| second'.",
        )
    if text is not None:
        text = chat.text(text)
    if interactive:
        given = {**model.settings(), **page.settings(), "mouse": flags.off(no_mouse)}
        file = str(prompts) if prompts is not None else None
        resumed = resume or bool(session)
        opened = Opening(
            text, given, resumed, file, session, model.load, chat_text(spoken), dataset
        )
        raise typer.Exit(open_app(opened))
    if prompts is not None:
        raise BadParameter("--prompts is for the app.", "Give a TEXT, or a terminal.")
    if dataset:
        raise BadParameter("--dataset is for the app.", "interpboard sweep takes rows here.")
    if session:
        raise BadParameter(
            "--resume NAME is for the app, and there is no terminal.",
            "interpboard report NAME writes the session.",
        )
    settings = settings_with(model, page)
    metric = choose_metric(None, None, None, -1, settings.metric)
    debug = debug_wanted(debug)
    document = compute(
        model.choice(settings), spoken or (DEFAULT_TEXT if text is None else text),
        choose_analyses(None), metric, {}, debug=debug,
    )  # fmt: skip
    tell_warnings(document)
    write_out(document_as(document, Format.text, settings, to_file=False))


app.command("report")(report_command)
app.command("analyze")(analyze_command)
app.command("compare")(compare_command.compare_command)
app.command("sweep")(sweep_command)
app.command("probe")(probe_command)
app.command("what-if")(what_if_command)
app.command("tune-lens")(corpus_commands.tune_lens_command)
app.command("max-activating")(corpus_commands.max_activating_command)
app.command("examples")(corpus_commands.examples_command)


@app.command("list")
def list_command(
    form: Annotated[ListFormat, typer.Option("--format", "-f")] = ListFormat.text,
    debug: flags.Debug = False,
) -> None:
    """List the analyses: what their values mean, and their parameters."""
    write_out(registry_json() if form is ListFormat.json else registry_text())


app.add_typer(sessions_command.sessions_app, name="sessions")
app.add_typer(config_command.config_app, name="config")
