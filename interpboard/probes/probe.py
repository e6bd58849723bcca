"""Probes of a dataset as a document: what the command line and scripts call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.datasets.columns import path_and_columns
from interpboard.datasets.dataset import opened_by_name
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.probes.activations import datasets_of
from interpboard.results import Chat, Document, MetricRequest, PromptInfo
from interpboard.runs.chat import prompt_of
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.row_work import text_of_row


def probe(
    lm: LanguageModel,
    data: str | Sequence[str],
    analysis: str = "linear_probe",
    *,
    watch: Watch = SILENT,
    **params: Any,
) -> Document:
    """``analysis`` (``linear_probe``, ``probe_transfer``, ``stream_pca``, ``stream_cosine``) over the rows of
    ``data``, a dataset or several; ``params`` as the registry has them. Raises as the analysis does.
    """
    names = datasets_of(data)
    given = {analysis: {**params, "data": list(names)}}
    document = analyze(lm, _first(lm, names[0]), (analysis,), params=given, watch=watch)
    shown = ", ".join(Path(path_and_columns(name)[0]).name for name in names)
    return replace(document, prompt=PromptInfo(f"rows of {shown}", (), ()))


def _first(lm: LanguageModel, data: str) -> str | Chat:
    """The first row that is a prompt of this model: an analysis is asked of one."""
    why = "It is empty."
    for row in opened_by_name(data).rows():
        try:
            given = text_of_row(row)
            resolve_metric(*prompt_of(lm, given), MetricRequest())
        except InterpBoardError as error:
            why = f"The row {row.problem}." if row.problem else error.message
        else:
            return given
    raise BadParameter(f"{data} has no row that can be used: {why}", "Check its columns.")
