"""A sweep as the words of a command line: to begin it, or go on with it, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interpboard.datasets.columns import Columns
from interpboard.datasets.dataset import Dataset
from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.reproduce import chosen_params, model_words, written_param
from interpboard.results import MetricRequest, ModelInfo
from interpboard.sweeps.request import SweepRequest
from interpboard.sweeps.standing import SweepWorkers


def sweep_words(
    dataset: Dataset,
    request: SweepRequest,
    model: ModelInfo,
    output: Path,
    level: float = 0.95,
    by: SweepWorkers = SweepWorkers(),  # noqa: B008 - frozen
) -> list[str]:
    """What follows ``interpboard``: the same rows, analyses, metric and model, into ``output``, with
    intervals of ``level``, computed ``by`` as many.

    Raises ``BadParameter`` for what no command line can say.
    """
    opening = model_words(model)
    if opening is None:
        raise BadParameter("No command line can say how this model is opened.", "Sweep in Python.")
    words = ["sweep", *opening]
    for name in request.analyses:
        words += ["--analysis", name]
    for name in request.analyses:
        for key, value in chosen_params(name, request.params.get(name, {})).items():
            words += ["--param", f"{name}.{key}={_param(name, key, value)}"]
    words += [*_metric(request.metric), *_columns(dataset.columns)]
    for flag, value in (("--limit", dataset.limit), ("--shuffle", dataset.shuffle)):
        words += [] if value is None else [flag, str(value)]
    words += ["--save", request.save, "--align", request.align, "--output", str(output)]
    words += [f"--group={request.group}"] if request.group else []
    words += [] if level == 0.95 else ["--level", repr(level)]
    words += [] if by.workers == 1 else ["--workers", str(by.workers)]
    words += [f"--gpus-per-worker={by.gpus_per_worker}"] if by.gpus_per_worker else []
    words += [f"--ray={by.ray}"] if by.ray else []
    return [*words, "--", *map(str, dataset.files)]


def _param(name: str, key: str, value: Any) -> str:
    written = written_param(name, key, value)
    if written is None:
        raise BadParameter(f"No command line can say {name}.{key} = {visible(str(value))[:80]}.")
    return written


def _metric(asked: MetricRequest) -> list[str]:
    words = ["--metric", asked.name]
    words += [f"--position={asked.position}"] if asked.position != -1 else []
    for flag, token in (("--target", asked.target), ("--foil", asked.foil)):
        words += [] if token is None else [f"{flag}={token}"]
    return words


def _columns(columns: Columns) -> list[str]:
    if not columns.taken:
        return []
    from interpboard.datasets.columns import read_columns

    written = ",".join(f"{ours}={source}" for ours, source in columns.taken)
    if read_columns(written) != columns:  # a template with an assignment in it
        raise BadParameter(
            "No command line can say which column is which here.", "Sweep in Python."
        )
    return [f"--columns={written}"]
