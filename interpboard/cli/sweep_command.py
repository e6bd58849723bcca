"""``interpboard sweep``: analyses over every row of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard import config
from interpboard.cli.flags import (
    AsciiOnly,
    Background,
    Debug,
    Device,
    Dtype,
    MetricName,
    ModelName,
    OutputFormat,
    Paint,
    ParamFlags,
    Pickle,
    Special,
    Trust,
    Unchecked,
    Unused,
    complete_analysis,
    model_choice,
    off,
    page_flags,
)
from interpboard.cli.opening import debug_wanted
from interpboard.cli.options import choose_metric, choose_output, split_params
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.plan_page import plans_as
from interpboard.cli.sweeping import planned_sweep, swept
from interpboard.datasets.columns import read_columns
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter
from interpboard.registry import find_analysis
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions


def sweep_command(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Rows: files (lines, .jsonl, .csv, .parquet, templates as .toml), folders, patterns.",
            show_default=False,
        ),
    ],
    analysis: Annotated[
        list[str] | None,
        typer.Option(
            "--analysis",
            "-a",
            help="One analysis; may be repeated.",
            autocompletion=complete_analysis,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The folder it is kept in; where it holds this sweep already, it goes on.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="OURS=THEIRS,...",
            help='Which column is which, or a template of them: text=prompt,target=" {answer}".',
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The first so many rows (all).")] = None,
    shuffle: Annotated[
        int | None, typer.Option(metavar="SEED", help="Rows in random order, before the limit.")
    ] = None,
    save: Annotated[
        str,
        typer.Option(help="values: all of every row; mean: what means are made of; top=K as well."),
    ] = "values",
    align: Annotated[
        str,
        typer.Option(help="Tokens of different prompts together by role or by index (auto)."),
    ] = "auto",
    group: Annotated[
        str, typer.Option(help="A column whose values make groups, compared with each other.")
    ] = "",
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    target: Annotated[
        str | None, typer.Option(help="The token explained, where a row names none of its own.")
    ] = None,
    foil: Annotated[
        str | None, typer.Option(help="The token it is contrasted with, where a row names none.")
    ] = None,
    position: Annotated[
        int, typer.Option(help="Where the next token is predicted; -1: the end of the text.")
    ] = -1,
    metric: MetricName = None,
    param: ParamFlags = None,
    workers: Annotated[
        int, typer.Option(help="Processes that share the rows; more than one by Ray.")
    ] = 1,
    gpus_per_worker: Annotated[float, typer.Option(help="GPUs of each, a part of one too.")] = 0.0,
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs, in place of one's own.")
    ] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, and do no more.")
    ] = False,
    form: OutputFormat = None,
    color: Paint = None,
    theme: Background = None,
    ascii: AsciiOnly = None,
    model: ModelName = None,
    dtype: Dtype = None,
    device: Device = None,
    no_special_tokens: Special = None,
    no_check_weights: Unchecked = False,
    ignore_unused_weights: Unused = False,
    allow_pickle: Pickle = False,
    trust_remote_code: Trust = False,
    debug: Debug = False,
    *,
    load: LoadOptions = NOTHING_ASKED,
) -> None:
    """Run analyses on every row of a dataset, and show their means with intervals."""
    chosen_form = choose_output(None, form)
    analyses = tuple(dict.fromkeys(find_analysis(name).name for name in analysis or ()))
    if not analyses:
        raise BadParameter("A sweep needs an analysis.", "Name one, e.g. -a head_ablation.")
    if output is None and not plan:
        raise BadParameter("A sweep needs a folder.", "Give one, e.g. --output runs/first.")
    if workers < 1:
        raise BadParameter(f"There is at least one worker, not {workers}.")
    opened = {"model": model, "device": device, "dtype": dtype}
    special = {"special_tokens": off(no_special_tokens)}
    flags = {**page_flags(color, theme, ascii), **opened, **special}
    settings = config.read_settings(flags).settings
    request = choose_metric(metric, target, foil, position, settings.metric)
    params = split_params(param or (), analyses)
    from interpboard.sweeps.request import sweep_request

    asked = sweep_request(analyses, params, request, save, align, group)
    dataset = open_dataset(data, read_columns(columns), limit, shuffle)
    allowed = (trust_remote_code, allow_pickle, ignore_unused_weights, no_check_weights)
    choice = model_choice(settings, *allowed, load=load)
    debug = debug_wanted(debug)
    if plan:
        deliver(
            plans_as(planned_sweep(choice, dataset, asked, workers, debug=debug), chosen_form), None
        )
        return
    assert output is not None
    document = swept(
        choice, dataset, asked, output, level=level, workers=workers,
        gpus_per_worker=gpus_per_worker, ray=ray, debug=debug,
    )  # fmt: skip
    tell_warnings(document)
    deliver(document_as(document, chosen_form, settings, to_file=False), None)
