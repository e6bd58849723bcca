"""The commands. Each checks its input first, then imports what it needs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interpboard import __version__, cli, cli_config, config
from interpboard.analyses import ANALYSES
from interpboard.cli_examples import Form, shown
from interpboard.cli_options import (
    DTYPES,
    Color,
    Format,
    ListFormat,
    Theme,
    choose_analyses,
    choose_form,
    choose_metric,
    choose_output,
    choose_params,
    needs_no_text,
    read_text,
    swap_of,
    try_file,
    try_folder,
)
from interpboard.cli_registry import registry_json, registry_text
from interpboard.cli_report import (
    ModelChoice,
    collect,
    compute,
    deliver,
    read_saved,
    side_by_side,
    tell_warnings,
    tune,
    view,
    write_out,
)
from interpboard.errors import BadParameter, BadPrompt
from interpboard.metric_names import METRICS

app = typer.Typer(
    name="interpboard",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[TEXT] | COMMAND [ARGS]...",
)


def _starting(with_: tuple[str, ...], incomplete: str) -> list[str]:
    return [name for name in with_ if name.startswith(incomplete)]


def _complete_analysis(incomplete: str) -> list[str]:
    return _starting(tuple(ANALYSES), incomplete)


def _complete_metric(incomplete: str) -> list[str]:
    return _starting(METRICS, incomplete)


def _complete_dtype(incomplete: str) -> list[str]:
    return _starting(DTYPES, incomplete)


def _complete_param(incomplete: str) -> list[str]:
    keys = {f"{p.name}=" for analysis in ANALYSES.values() for p in analysis.parameters}
    return _starting(tuple(sorted(keys)), incomplete)


Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="demo, a folder with a model, or a name on the hub."),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[
    str | None, typer.Option(help=", ".join(DTYPES) + ".", autocompletion=_complete_dtype)
]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Let the model run code of its own.")
]
Pickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Load weights that can run code (not safetensors).")
]
Unused = Annotated[
    bool,
    typer.Option(
        "--ignore-unused-weights", help="Open a model although its files hold more than it uses."
    ),
]
Unchecked = Annotated[
    bool, typer.Option("--no-check-weights", help="Do not look for NaN and infinity in weights.")
]
Special = Annotated[
    bool | None,
    typer.Option(
        "--no-special-tokens",
        help="Put nothing around the text that the tokenizer would: no beginning, no end of text.",
    ),
]
Paint = Annotated[
    Color | None, typer.Option(help="How many colours; auto follows the terminal and NO_COLOR.")
]
Background = Annotated[Theme | None, typer.Option(help="The terminal's background.")]
Ascii = Annotated[bool | None, typer.Option("--ascii", help="Draw with ASCII characters only.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Tracebacks and the libraries' messages, on stderr.")
]


def _version(wanted: bool) -> None:
    if wanted:
        write_out(f"interpboard {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The same as TEXT; - reads standard input.")
    ] = None,
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    no_special_tokens: Special = None,
    color: Paint = None,
    theme: Background = None,
    ascii: Ascii = None,
    no_mouse: Annotated[
        bool | None, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Bring back the last results; nothing is computed.")
    ] = False,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file with one prompt a line, for the app; > and < step."),
    ] = None,
    debug: Debug = False,
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
    interactive = cli.is_interactive()
    if text is not None:
        text = read_text(text)
    mouse = _off(no_mouse)
    flags = {
        "model": model, "device": device, "dtype": dtype, "color": _plain(color),
        "theme": _plain(theme), "ascii": ascii, "mouse": mouse,
        "special_tokens": _off(no_special_tokens),
    }  # fmt: skip
    if interactive:
        file = str(prompts) if prompts is not None else None
        raise typer.Exit(cli.open_app(cli.Opening(text, flags, resume, file)))
    if prompts is not None:
        raise BadParameter("--prompts is for the app.", "Give a TEXT, or a terminal.")
    settings = config.read(flags).settings
    metric = choose_metric(None, None, None, -1, settings.metric)
    debug = cli.debug_wanted(debug)
    document = compute(
        _model_choice(settings), cli.DEFAULT_TEXT if text is None else text,
        choose_analyses(None), metric, {}, debug=debug,
    )  # fmt: skip
    tell_warnings(document)
    write_out(view(document, Format.text, settings, to_file=False))


def _off(flag: bool | None) -> bool | None:
    """What a ``--no-`` flag says of its setting."""
    return False if flag else None


def _plain(choice: StrEnum | None) -> str | None:
    return None if choice is None else choice.value


def _model_choice(settings: config.Settings, *allowed: bool) -> ModelChoice:
    """``allowed``: trust remote code, allow pickles, ignore unused weights, no check of weights."""
    trust, pickle, unused, unchecked = allowed or (False,) * 4
    cli.pass_on(settings)
    model, device, dtype = settings.model, settings.device, settings.dtype
    special = settings.special_tokens
    return ModelChoice(model, device, dtype, trust, pickle, unused, not unchecked, special)


@app.command("analyze")
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
    model: Model = None,
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            "-a",
            help="One analysis; may be repeated (all).",
            autocompletion=_complete_analysis,
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
    metric: Annotated[
        str | None,
        typer.Option(help=", ".join(METRICS) + ".", autocompletion=_complete_metric),
    ] = None,
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
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="KEY=VALUE",
            autocompletion=_complete_param,
            help="A parameter, of one analysis as analysis.key=value; see interpboard list.",
        ),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", "-f", help="By default by --output, or text.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    trust_remote_code: Trust = False,
    allow_pickle: Pickle = False,
    ignore_unused_weights: Unused = False,
    no_check_weights: Unchecked = False,
    no_special_tokens: Special = None,
    color: Paint = None,
    theme: Background = None,
    ascii: Ascii = None,
    debug: Debug = False,
) -> None:
    """Run analyses on a prompt and write the results to standard output or a file."""
    chosen_form = choose_output(output, form)
    prompt = None if text is None else read_text(text)
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
    settings = config.read(
        {
            "model": model, "device": device, "dtype": dtype, "color": _plain(color),
            "theme": _plain(theme), "ascii": ascii,
            "special_tokens": _off(no_special_tokens),
        }
    ).settings  # fmt: skip
    request = choose_metric(metric, target, foil, position, settings.metric)
    params = choose_params(pairs, analyses)
    if prompt is None and not needs_no_text(analyses, params):
        raise BadPrompt("There is no prompt.", "Give one with --text '...'.")
    choice = _model_choice(
        settings, trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights
    )
    document = compute(
        choice, prompt, analyses, request, params, swap=exchange, debug=cli.debug_wanted(debug)
    )
    tell_warnings(document)
    deliver(view(document, chosen_form, settings, to_file=output is not None), output)


def _exchange(prompt: str | None, corrupted: str | None, swap: str) -> tuple[str, str]:
    if corrupted is not None:
        raise BadParameter("--swap and --corrupted both give a corrupted prompt.", "Use one.")
    if prompt is None:
        raise BadPrompt("--swap needs a prompt.", "Give one with --text '...'.")
    return swap_of(swap)


@app.command("report")
def report_command(
    files: Annotated[list[Path], typer.Argument(help="Results saved as JSON.", show_default=False)],
    form: Annotated[
        Format | None, typer.Option("--format", "-f", help="By default by --output, or text.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
    ] = None,
    color: Paint = None,
    theme: Background = None,
    ascii: Ascii = None,
    debug: Debug = False,
) -> None:
    """Show saved results again, in any format; several files side by side, in HTML."""
    chosen = choose_output(output, form)
    flags = {"color": _plain(color), "theme": _plain(theme), "ascii": ascii}
    settings = config.read(flags).settings
    documents = read_saved(files)
    if len(documents) > 1:
        written = side_by_side(documents, chosen)
    else:
        written = view(documents[0], chosen, settings, to_file=output is not None)
    deliver(written, output)


@app.command("tune-lens")
def tune_lens_command(
    corpus: Annotated[
        Path, typer.Option(help="A text file to train on, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the lens.", show_default=False)],
    model: Model = None,
    steps: Annotated[int, typer.Option(min=1)] = 250,
    batch: Annotated[int, typer.Option(min=1, help="Windows of text a step.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens of a window.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate, falling to zero.")] = 1e-3,
    device: Device = None,
    dtype: Dtype = None,
    trust_remote_code: Trust = False,
    allow_pickle: Pickle = False,
    ignore_unused_weights: Unused = False,
    no_check_weights: Unchecked = False,
    no_special_tokens: Special = None,
    debug: Debug = False,
) -> None:
    """Train a tuned lens; interrupted, the same command goes on, at most 25 steps back."""
    try_folder(out, "--out")
    flags = {
        "model": model, "device": device, "dtype": dtype,
        "special_tokens": _off(no_special_tokens),
    }  # fmt: skip
    choice = _model_choice(
        config.read(flags).settings,
        *(trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights),
    )
    settings = {"steps": steps, "batch": batch, "length": length, "rate": rate}
    last, warnings = tune(choice, corpus, out, settings, debug=cli.debug_wanted(debug))
    names = ("embed", *map(str, range(len(last) - 1)))
    shown = "  ".join(f"{name} {kl:.3g}" for name, kl in zip(names, last, strict=True))
    for warning in warnings:
        cli.say(f"warning: {warning}")
    cli.say(f"wrote {out}")
    cli.say(f"KL(final | layer) of the last step, nats a token: {shown}")


@app.command("max-activating")
def max_activating_command(
    corpus: Annotated[Path, typer.Option(help="A text file, or a folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the examples.", show_default=False)],
    model: Model = None,
    layers: Annotated[str | None, typer.Option(help="Layers, e.g. 0,3 (all).")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Examples kept per neuron.")] = 16,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a window of text.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 16,
    before: Annotated[int, typer.Option(min=0, help="Tokens kept before a peak.")] = 15,
    after: Annotated[int, typer.Option(min=0, help="Tokens kept after a peak.")] = 5,
    device: Device = None,
    dtype: Dtype = None,
    trust_remote_code: Trust = False,
    allow_pickle: Pickle = False,
    ignore_unused_weights: Unused = False,
    no_check_weights: Unchecked = False,
    no_special_tokens: Special = None,
    debug: Debug = False,
) -> None:
    """Collect where in a text every neuron is most active; interrupted, the same command goes on."""
    try_file(out, "--out")
    flags = {
        "model": model, "device": device, "dtype": dtype,
        "special_tokens": _off(no_special_tokens),
    }  # fmt: skip
    choice = _model_choice(
        config.read(flags).settings,
        *(trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights),
    )
    settings = {
        "layers": ANALYSES["max_activating"].parse({"layers": layers})["layers"], "top_k": top_k,
        "length": length, "batch": batch, "before": before, "after": after,
    }  # fmt: skip
    tokens, warnings = collect(choice, corpus, out, settings, debug=cli.debug_wanted(debug))
    for warning in warnings:
        cli.say(f"warning: {warning}")
    cli.say(f"wrote {out}: {tokens} tokens; a neuron's: interpboard examples {out} 0.0")


@app.command("examples")
def examples_command(
    file: Annotated[Path, typer.Argument(help="What max-activating wrote.", show_default=False)],
    neuron: Annotated[str, typer.Argument(help="Layer and neuron: 2.117.", show_default=False)],
    form: Annotated[
        Form | None, typer.Option("--format", "-f", help="By default by --output, or text.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Show the max-activating examples of a neuron; the peak's token stands in [[ ]]."""
    from interpboard.results.examples import ExamplesFile, neuron_named

    chosen = choose_form(output, form)
    layer, index = neuron_named(neuron)
    deliver(shown(ExamplesFile(file).neuron(layer, index), chosen), output)


@app.command("list")
def list_command(
    form: Annotated[ListFormat, typer.Option("--format", "-f")] = ListFormat.text,
    debug: Debug = False,
) -> None:
    """List the analyses: what their values mean, and their parameters."""
    write_out(registry_json() if form is ListFormat.json else registry_text())


app.add_typer(cli_config.app, name="config")
