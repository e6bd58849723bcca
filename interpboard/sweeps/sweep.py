"""``sweep``: analyses over every row of a dataset, kept in a folder, gone on with where it stopped."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from interpboard.datasets.columns import columns_of
from interpboard.datasets.dataset import Dataset, open_dataset
from interpboard.errors import BadParameter
from interpboard.files.states import file_state
from interpboard.models.language_model import LanguageModel
from interpboard.registry.loading import given
from interpboard.results import Document, MetricRequest
from interpboard.runs.provenance import made_by
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.aggregate import AggregateSettings, aggregate, check_settings
from interpboard.sweeps.by_processes import (
    WorkerProcesses,
    needs_ray,
    sweep_by_processes,
    worker_processes,
)
from interpboard.sweeps.folder import Manifest, SweepFolder
from interpboard.sweeps.in_process import OnPace, sweep_in_process
from interpboard.sweeps.on_ray import check_cluster, sweep_on_ray
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.remaining import refuse_read_otherwise
from interpboard.sweeps.request import SweepRequest, sweep_request
from interpboard.sweeps.row_results import OF_GROUPS, what_is_asked
from interpboard.sweeps.row_work import rows_function
from interpboard.sweeps.standing import SweepWorkers, told_standing


def sweep(
    lm: LanguageModel,
    data: str | Path | Sequence[str | Path] | Dataset,
    analyses: Sequence[str],
    output: str | Path,
    *,
    metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
    params: Mapping[str, Mapping[str, Any]] | None = None,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    shuffle: int | None = None,
    save: str = "values",
    align: str = "auto",
    group: str = "",
    level: float = 0.95,
    workers: int = 1,
    gpus_per_worker: float = 0.0,
    ray: str = "",
    opening: Mapping[str, Any] | None = None,
    beside: WorkerProcesses | None = None,
    watch: Watch = SILENT,
    on_pace: OnPace = lambda _pace: None,
) -> Document:
    """Run ``analyses`` on every row of ``data`` into the folder ``output``; the means over the rows.

    ``data``: files, folders or patterns (``datasets.dataset.open_dataset``), their columns named by
    ``columns`` (ours: the file's); the first ``limit`` rows, in the random order of the seed ``shuffle``. A
    row's own target, foil, position, corrupted prompt and subject take the place of ``metric`` and
    ``params``. ``save``, ``align``, ``group``: see ``SweepRequest``; ``level``: of the intervals.

    ``workers``: this process and others of this machine that open the model with ``opening``, ``beside`` it
    if they are started already; with ``gpus_per_worker`` or the address ``ray`` of a cluster actors of Ray.

    What is in ``output`` already is not computed again. A row that cannot be used has its reason there.
    Raises ``BadParameter``, ``BadResultFile``, ``MissingPackage`` without pyarrow; ``Cancelled``, what was
    computed kept.
    """
    if workers < 1 or gpus_per_worker < 0:
        raise BadParameter("There is at least one worker, and no less than no GPU a worker.")
    check_cluster(workers, gpus_per_worker, ray)
    request = sweep_request(analyses, params, metric, save, align, group)
    settings = AggregateSettings(level=level, group=group)
    check_settings(settings, align)  # before rows are computed
    dataset = data if isinstance(data, Dataset) else _dataset(data, columns, limit, shuffle)
    by = SweepWorkers(workers, gpus_per_worker, ray)
    folder = begin_sweep(lm, dataset, request, Path(output), level)
    with folder.alone(), told_standing(folder, on_pace, by) as tell:
        refuse_read_otherwise(folder, dataset)
        again = folder.leave_passing()
        on_pace = partial(_told_again, tell, again)
        own = dict(opening or _opening_of(lm))
        work = rows_function(lm, folder.manifest.request, watch)
        if needs_ray(workers, gpus_per_worker, ray):
            sweep_on_ray(
                own, dataset, folder, workers=workers, gpus_per_worker=gpus_per_worker,
                address=ray, check=watch.check, on_pace=on_pace,
            )  # fmt: skip
        elif workers > 1:
            with worker_processes(workers - 1) if beside is None else nullcontext(beside) as those:
                sweep_by_processes(work, own, dataset, folder, those, watch.check, on_pace)
        else:
            sweep_in_process(work, dataset, folder, watch.check, on_pace)
        return written_aggregate(folder, settings)


def _told_again(tell: OnPace, again: int, pace: SweepPace) -> None:
    pace.again = again
    tell(pace)


def _opening_of(lm: LanguageModel) -> dict[str, Any]:
    """The words of ``open_model`` that give ``lm`` again, as far as its name does; workers compare."""
    info = lm.info
    again = {"dtype": info.dtype, "special_tokens": info.special_tokens}
    return {"name_or_path": info.name, **again, **given(info.options)}


def begin_sweep(
    lm: LanguageModel, dataset: Dataset, request: SweepRequest, output: Path, level: float = 0.95
) -> SweepFolder:
    """The folder of a sweep, begun or gone on with. Counts the rows of the dataset first."""
    rows, column, grouped = 0, request.group, not request.group or request.group in OF_GROUPS
    asked = array("q")  # 8 bytes a row
    for row in dataset.rows():
        rows += 1
        if not row.problem:
            asked.append(hash(repr(what_is_asked(row))))  # as numbers −1 and −2 have one hash
        grouped = grouped or column in row.kept
    if not rows:
        raise BadParameter(f"{', '.join(map(str, dataset.files))} has no rows.", "Check it.")
    if not grouped:
        raise BadParameter(
            f"No row has anything in a column {column[:40]!r} that makes groups.", "Check --group."
        )
    manifest = Manifest(
        made_by=made_by(lm.verified.path),
        dataset=tuple(str(file.absolute()) for file in dataset.files),
        dataset_fingerprint=dataset.fingerprint(),
        model=lm.info,
        request=request,
        rows=rows,
        parameter_files=_files_of(request),
        columns=dataset.columns.taken,
        limit=dataset.limit,
        shuffle=dataset.shuffle,
        level=level,
        repeated=len(asked) - len(np.unique(asked)),
    )
    return SweepFolder.begin(output, manifest)


def _files_of(request: SweepRequest) -> dict[str, tuple[int, int]]:
    named = [str(value) for own in request.params.values() for value in own.values()]
    states = {name: file_state(name) for name in named}
    return {name: state for name, state in states.items() if state is not None}


def written_aggregate(folder: SweepFolder, settings: AggregateSettings) -> Document:
    """The aggregate of ``folder``, and in it as ``aggregate.json``."""
    document = aggregate(folder, settings)
    document.save(folder.path / "aggregate.json")
    return document


def _dataset(
    data: str | Path | Sequence[str | Path],
    columns: Mapping[str, str] | None,
    limit: int | None,
    shuffle: int | None,
) -> Dataset:
    paths = [data] if isinstance(data, str | Path) else list(data)
    return open_dataset(paths, columns_of(list((columns or {}).items())), limit, shuffle)
