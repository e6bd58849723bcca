"""``interpboard probe``: what a linear map reads from activations over the rows of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.compute import ModelChoice, opened
from interpboard.cli.narration import progress, quiet_libraries, stdout_aside
from interpboard.cli.opening import debug_wanted
from interpboard.cli.option_groups import (
    OpenedModelFlags,
    PageFlags,
    option_groups,
    settings_with,
)
from interpboard.cli.options import choose_output
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.datasets.columns import read_columns
from interpboard.datasets.dataset import opened_by_name
from interpboard.engine.threads import let_threads_sleep
from interpboard.errors import BadParameter
from interpboard.registry import find_analysis
from interpboard.registry.probes import TABLE

if TYPE_CHECKING:
    from interpboard.results import Document

_NAMES = tuple(row.name for row in TABLE)


@option_groups
def probe_command(
    *,
    data: Annotated[
        list[str],
        typer.Argument(
            help="Rows with a column label: files, folders, patterns. Of several, from each to each.",
            show_default=False,
        ),
    ],
    analysis: Annotated[
        str | None,
        typer.Option("--analysis", "-a", help=f"{', '.join(_NAMES)} (by how many datasets)."),
    ] = None,
    probe: Annotated[
        str | None, typer.Option(help="mass_mean, logistic or ridge (mass_mean).")
    ] = None,
    site: Annotated[str | None, typer.Option(help="What is read (resid_post).")] = None,
    layers: Annotated[str | None, typer.Option(help="E.g. 0,5 (all).")] = None,
    layer: Annotated[
        str | None, typer.Option(help="The one layer of a transfer; -1: the middle.")
    ] = None,
    positions: Annotated[str | None, typer.Option(help="last, mean or roles (last).")] = None,
    label: Annotated[str | None, typer.Option(help="The column that is read (label).")] = None,
    group: Annotated[
        str | None, typer.Option(help="A column: rows with one value are held out together.")
    ] = None,
    folds: Annotated[str | None, typer.Option(help="Parts, each held out once (5).")] = None,
    shuffles: Annotated[str | None, typer.Option(help="With shuffled labels, times (20).")] = None,
    strength: Annotated[str | None, typer.Option(help="Of the penalty on weights (1).")] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="OURS=THEIRS,...",
            help='Which column is which, or a template of them: text=prompt,label="{kind}".',
        ),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="The first so many rows (all).")] = None,
    save: Annotated[
        str | None, typer.Option(help="Write the direction to this safetensors file.")
    ] = None,
    save_layer: Annotated[
        str | None, typer.Option(help="Of which layer; -1: where it scores best.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Of folds, shuffles and intervals (0).")] = None,
    form: flags.OutputFormat = None,
    output: flags.OutputFile = None,
    model: OpenedModelFlags,
    page: PageFlags,
    debug: flags.Debug = False,
) -> None:
    """Read labels from activations with linear probes, on rows held out, beside shuffled labels."""
    chosen_form = choose_output(output, form)
    name = analysis or ("probe_transfer" if len(data) > 1 else "linear_probe")
    if name not in _NAMES:
        raise BadParameter(f"{name} is no probe.", f"There are: {', '.join(_NAMES)}.")
    said = {
        "probe": probe, "site": site, "layers": layers, "layer": layer, "positions": positions,
        "label": label, "group": group, "folds": folds, "shuffles": shuffles, "strength": strength,
        "limit": limit, "save": save, "save_layer": save_layer, "seed": seed,
    }  # fmt: skip
    params = {key: value for key, value in said.items() if value is not None}
    find_analysis(name).parse(params)
    if columns:
        read_columns(columns)
        data = [f"{each} {columns}" for each in data]
    for each in data:
        opened_by_name(each).require_columns()  # what is not there is said before a model is opened
    settings = settings_with(model, page)
    document = _probed(model.choice(settings), data, name, params, debug_wanted(debug))
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=output is not None), output)


def _probed(
    choice: ModelChoice, data: list[str], name: str, params: dict[str, str], debug: bool
) -> Document:
    title = find_analysis(name).title
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.probes.probe import probe
        from interpboard.runs.watch import Watch

        watch = Watch(on_progress=lambda done, total, _partial: show(title, done, total))
        return probe(opened(choice, show), data, name, watch=watch, **params)
