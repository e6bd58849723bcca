"""The commands that read whole texts (``tune-lens``, ``max-activating``), and ``examples`` of the latter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from interpboard import config
from interpboard.cli.compute import ModelChoice, collect, tune
from interpboard.cli.examples_command import Form, examples_as
from interpboard.cli.flags import (
    Debug,
    Device,
    Dtype,
    ModelName,
    OutputFile,
    Pickle,
    Special,
    Trust,
    Unchecked,
    Unused,
    model_choice,
    off,
)
from interpboard.cli.load_flags import opening_models
from interpboard.cli.opening import debug_wanted
from interpboard.cli.options import choose_form, try_file, try_folder
from interpboard.cli.output import deliver
from interpboard.cli.streams import say
from interpboard.registry import ANALYSES
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions


def _model_options(
    model: ModelName = None,
    device: Device = None,
    dtype: Dtype = None,
    trust_remote_code: Trust = False,
    allow_pickle: Pickle = False,
    ignore_unused_weights: Unused = False,
    no_check_weights: Unchecked = False,
    no_special_tokens: Special = None,
    debug: Debug = False,
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> ModelChoice:
    """The model that these options choose, the settings behind them."""
    given = {
        "model": model, "device": device, "dtype": dtype,
        "special_tokens": off(no_special_tokens),
    }  # fmt: skip
    allowed = (trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights)
    return model_choice(config.read_settings(given).settings, *allowed, load=load)


def _on_texts(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with the options that choose a model; it is handed that as ``choice``, and ``debug``."""
    declared = inspect.signature(command, eval_str=True).parameters
    options = inspect.signature(_model_options, eval_str=True).parameters

    @wraps(command)
    def called(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options if name in given}
        debug = debug_wanted(chosen["debug"])
        command(**given, choice=_model_options(**chosen), debug=debug)

    kept = [each for name, each in declared.items() if name not in ("choice", "debug")]
    called.__signature__ = inspect.Signature([*kept, *options.values()])  # type: ignore[attr-defined]
    return opening_models(called)


@_on_texts
def tune_lens_command(
    corpus: Annotated[
        Path, typer.Option(help="A text file to train on, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the lens.", show_default=False)],
    steps: Annotated[int, typer.Option(min=1)] = 250,
    batch: Annotated[int, typer.Option(min=1, help="Windows of text a step.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens of a window.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate, falling to zero.")] = 1e-3,
    *,
    choice: ModelChoice,
    debug: bool,
) -> None:
    """Train a tuned lens; interrupted, the same command goes on, at most 25 steps back."""
    try_folder(out, "--out")
    settings = {"steps": steps, "batch": batch, "length": length, "rate": rate}
    last, warnings = tune(choice, corpus, out, settings, debug=debug)
    names = ("embed", *map(str, range(len(last) - 1)))
    shown = "  ".join(f"{name} {kl:.3g}" for name, kl in zip(names, last, strict=True))
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}")
    say(f"KL(final | layer) of the last step, nats a token: {shown}")


@_on_texts
def max_activating_command(
    corpus: Annotated[Path, typer.Option(help="A text file, or a folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the examples.", show_default=False)],
    layers: Annotated[str | None, typer.Option(help="Layers, e.g. 0,3 (all).")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Examples kept per neuron.")] = 16,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a window of text.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 16,
    before: Annotated[int, typer.Option(min=0, help="Tokens kept before a peak.")] = 15,
    after: Annotated[int, typer.Option(min=0, help="Tokens kept after a peak.")] = 5,
    *,
    choice: ModelChoice,
    debug: bool,
) -> None:
    """Collect where in a text every neuron is most active; interrupted, the same command goes on."""
    try_file(out, "--out")
    settings = {
        "layers": ANALYSES["max_activating"].parse({"layers": layers})["layers"], "top_k": top_k,
        "length": length, "batch": batch, "before": before, "after": after,
    }  # fmt: skip
    tokens, warnings = collect(choice, corpus, out, settings, debug=debug)
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}: {tokens} tokens; a neuron's: interpboard examples {out} 0.0")


def examples_command(
    file: Annotated[Path, typer.Argument(help="What max-activating wrote.", show_default=False)],
    neuron: Annotated[str, typer.Argument(help="Layer and neuron: 2.117.", show_default=False)],
    form: Annotated[
        Form | None, typer.Option("--format", "-f", help="By default by --output, or text.")
    ] = None,
    output: OutputFile = None,
    debug: Debug = False,
) -> None:
    """Show the max-activating examples of a neuron; the peak's token stands in [[ ]]."""
    from interpboard.results.examples import ExamplesFile, neuron_named

    chosen = choose_form(output, form)
    layer, index = neuron_named(neuron)
    deliver(examples_as(ExamplesFile(file).neuron(layer, index), chosen), output)
