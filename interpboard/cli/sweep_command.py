"""``interpboard sweep``: analyses over every row of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli import flags
from interpboard.cli.opening import debug_wanted
from interpboard.cli.option_groups import (
    OpenedModelFlags,
    PageFlags,
    RowMetricFlags,
    option_groups,
    settings_with,
)
from interpboard.cli.options import choose_output, split_params
from interpboard.cli.output import deliver, document_as, tell_warnings
from interpboard.cli.plan_page import plans_as
from interpboard.cli.sweeping import planned_sweep, swept
from interpboard.datasets.columns import read_columns
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter
from interpboard.registry import find_analysis


@option_groups
def sweep_command(
    *,
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
            autocompletion=flags.complete_analysis,
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
        typer.Option(
            help="Tokens of different prompts together by role, word, sentence or index (auto)."
        ),
    ] = "auto",
    group: Annotated[
        str, typer.Option(help="A column whose values make groups, compared with each other.")
    ] = "",
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    metric: RowMetricFlags,
    param: flags.ParamFlags = None,
    workers: Annotated[
        int, typer.Option(help="Processes of this machine that share the rows.")
    ] = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(help="GPUs of each, a part of one too; by Ray.")
    ] = 0.0,
    ray: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs, in place of one's own.")
    ] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, and do no more.")
    ] = False,
    form: flags.OutputFormat = None,
    model: OpenedModelFlags,
    page: PageFlags,
    debug: flags.Debug = False,
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
    settings = settings_with(model, page)
    request = metric.request(settings)
    params = split_params(param or (), analyses)
    from interpboard.sweeps.request import sweep_request

    asked = sweep_request(analyses, params, request, save, align, group)
    dataset = open_dataset(data, read_columns(columns), limit, shuffle)
    dataset.require_columns()  # before a model is opened
    choice = model.choice(settings)
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
