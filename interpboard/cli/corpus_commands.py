"""The commands that read whole texts (``tune-lens``, ``max-activating``), and ``examples`` of the latter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard import config
from interpboard.cli.compute import ModelChoice, collect, tune
from interpboard.cli.examples_command import Form, examples_as
from interpboard.cli.flags import (
    Debug,
    Device,
    Dtype,
    ModelName,
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


def _chosen(
    flags: tuple[str | None, str | None, str | None, bool | None],
    allowed: tuple[bool, ...],
    load: LoadOptions,
) -> ModelChoice:
    """The model of the settings, of which ``flags`` give model, device, dtype and no special tokens."""
    model, device, dtype, no_special_tokens = flags
    given = {
        "model": model, "device": device, "dtype": dtype,
        "special_tokens": off(no_special_tokens),
    }  # fmt: skip
    return model_choice(config.read_settings(given).settings, *allowed, load=load)


@opening_models
def tune_lens_command(
    corpus: Annotated[
        Path, typer.Option(help="A text file to train on, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the lens.", show_default=False)],
    model: ModelName = None,
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
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> None:
    """Train a tuned lens; interrupted, the same command goes on, at most 25 steps back."""
    try_folder(out, "--out")
    choice = _chosen(
        (model, device, dtype, no_special_tokens),
        (trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights),
        load,
    )
    settings = {"steps": steps, "batch": batch, "length": length, "rate": rate}
    last, warnings = tune(choice, corpus, out, settings, debug=debug_wanted(debug))
    names = ("embed", *map(str, range(len(last) - 1)))
    shown = "  ".join(f"{name} {kl:.3g}" for name, kl in zip(names, last, strict=True))
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}")
    say(f"KL(final | layer) of the last step, nats a token: {shown}")


@opening_models
def max_activating_command(
    corpus: Annotated[Path, typer.Option(help="A text file, or a folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the examples.", show_default=False)],
    model: ModelName = None,
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
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> None:
    """Collect where in a text every neuron is most active; interrupted, the same command goes on."""
    try_file(out, "--out")
    choice = _chosen(
        (model, device, dtype, no_special_tokens),
        (trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights),
        load,
    )
    settings = {
        "layers": ANALYSES["max_activating"].parse({"layers": layers})["layers"], "top_k": top_k,
        "length": length, "batch": batch, "before": before, "after": after,
    }  # fmt: skip
    tokens, warnings = collect(choice, corpus, out, settings, debug=debug_wanted(debug))
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}: {tokens} tokens; a neuron's: interpboard examples {out} 0.0")


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
    deliver(examples_as(ExamplesFile(file).neuron(layer, index), chosen), output)
