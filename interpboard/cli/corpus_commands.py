"""The commands that read whole texts (``tune-lens``, ``max-activating``), and ``examples`` of the latter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.compute import collect, tune
from interpboard.cli.examples_command import Form, examples_as
from interpboard.cli.opening import debug_wanted
from interpboard.cli.option_groups import OpenedModelFlags, option_groups, settings_with
from interpboard.cli.options import choose_form, try_file, try_folder
from interpboard.cli.output import deliver
from interpboard.cli.streams import say
from interpboard.registry import ANALYSES


@option_groups
def tune_lens_command(
    *,
    corpus: Annotated[
        Path, typer.Option(help="A text file to train on, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the lens.", show_default=False)],
    steps: Annotated[int, typer.Option(min=1)] = 250,
    batch: Annotated[int, typer.Option(min=1, help="Windows of text a step.")] = 8,
    length: Annotated[int, typer.Option(min=2, help="Tokens of a window.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate, falling to zero.")] = 1e-3,
    model: OpenedModelFlags,
    debug: flags.Debug = False,
) -> None:
    """Train a tuned lens; interrupted, the same command goes on, at most 25 steps back."""
    try_folder(out, "--out")
    settings = {"steps": steps, "batch": batch, "length": length, "rate": rate}
    choice = model.choice(settings_with(model))
    last, warnings = tune(choice, corpus, out, settings, debug=debug_wanted(debug))
    names = ("embed", *map(str, range(len(last) - 1)))
    shown = "  ".join(f"{name} {kl:.3g}" for name, kl in zip(names, last, strict=True))
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}")
    say(f"KL(final | layer) of the last step, nats a token: {shown}")


@option_groups
def max_activating_command(
    *,
    corpus: Annotated[Path, typer.Option(help="A text file, or a folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the examples.", show_default=False)],
    layers: Annotated[str | None, typer.Option(help="Layers, e.g. 0,3 (all).")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Examples kept per neuron.")] = 16,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a window of text.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 16,
    before: Annotated[int, typer.Option(min=0, help="Tokens kept before a peak.")] = 15,
    after: Annotated[int, typer.Option(min=0, help="Tokens kept after a peak.")] = 5,
    model: OpenedModelFlags,
    debug: flags.Debug = False,
) -> None:
    """Collect where in a text every neuron is most active; interrupted, the same command goes on."""
    try_file(out, "--out")
    settings = {
        "layers": ANALYSES["max_activating"].parse({"layers": layers})["layers"], "top_k": top_k,
        "length": length, "batch": batch, "before": before, "after": after,
    }  # fmt: skip
    choice = model.choice(settings_with(model))
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
    output: flags.OutputFile = None,
    debug: flags.Debug = False,
) -> None:
    """Show the max-activating examples of a neuron; the peak's token stands in [[ ]]."""
    from interpboard.results.examples import ExamplesFile, neuron_named

    chosen = choose_form(output, form)
    layer, index = neuron_named(neuron)
    deliver(examples_as(ExamplesFile(file).neuron(layer, index), chosen), output)
