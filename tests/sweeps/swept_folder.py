"""A finished sweep without a model: rows of a dataset with values that are drawn, two of which failed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from interpboard.datasets.columns import Columns
from interpboard.datasets.dataset import open_dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.results import Axis, MadeBy, ModelInfo
from interpboard.sweeps.aggregate import AggregateSettings
from interpboard.sweeps.folder import Manifest, SweepFolder
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.row_results import RowResult, row_id
from interpboard.sweeps.sweep import written_aggregate

LAYERS, HEADS, NUMBER = 4, 8, 12
ROLES = ("first", "between", "explained")
_LAYER = Axis("layer", tuple(map(str, range(LAYERS))))
_TOKENS = Axis("token", ("The", " capital", " is"))
AXES = {
    "head_ablation": (_LAYER, Axis("head", tuple(map(str, range(HEADS))))),
    "logit_lens": (Axis("layer", ("embed", *map(str, range(LAYERS)))), _TOKENS),
    "direct_logit_attribution": (Axis("component", ("embed", "L0 H0", "L0 MLP")),),
    "activation_patching": (_LAYER, _TOKENS),
}


def row_records(number: int = NUMBER) -> list[dict[str, object]]:
    """Rows with a target, a foil, a partner prompt, a subject and a label; the last has no text."""
    rows: list[dict[str, object]] = [
        {
            "text": f"The capital of France {at} is", "target": " Paris", "foil": " Rome",
            "corrupted": f"The capital of Italy {at} is", "subject": "France",
            "label": "AB"[at % 2], "size": at,
        }
        for at in range(number - 1)
    ]  # fmt: skip
    return [*rows, {"text": "", "label": "A"}]


def values_of(row: int, analysis: str) -> np.ndarray:
    """The values of a row: head 3 of layer 1 helps, more where the label is A; the others are noise."""
    shape = [len(axis.labels) for axis in AXES[analysis]]
    values = np.random.default_rng([row, len(analysis)]).normal(size=shape) / 10
    if analysis == "head_ablation":
        values[1, 3] -= 4.0 if row % 2 else 6.0
    elif analysis == "logit_lens":
        values = np.abs(values) + np.linspace(0, 0.8, shape[0])[:, None]
    return values.reshape(-1)


def swept(
    folder: Path,
    model: ModelInfo,
    group: str = "label",
    number: int = NUMBER,
    params: dict[str, dict[str, object]] | None = None,
) -> Path:
    """The folder of a sweep over ``rows.jsonl``, which is beside it, with its means."""
    data, out = folder / "rows.jsonl", folder / "swept"
    data.write_text("\n".join(map(json.dumps, row_records(number))), encoding="utf-8")
    dataset = open_dataset([data])
    request = sweep_request(list(AXES), params, group=group)
    manifest = Manifest(
        made_by=MadeBy("0", "0", "0"),
        dataset=(str(data),),
        dataset_fingerprint=dataset.fingerprint(),
        model=model,
        request=request,
        rows=number,
        columns=Columns().taken,
    )
    kept = SweepFolder.begin(out, manifest)
    asked = {name: request.fingerprint(name, model.weights) for name in AXES}
    rows = list(dataset.rows())
    kept.write(
        [_result(row, name, row_id(row, own)) for row in rows for name, own in asked.items()]
    )
    written_aggregate(kept, AggregateSettings(group=group))
    return out


def _result(row: DatasetRow, name: str, id: str) -> RowResult:
    columns = {**row.other, "label": row.label}
    error = f"The row {row.problem}." if row.problem else ""
    if name == "activation_patching" and row.number == 3:
        error = "The prompts differ in length."
    if error:
        return RowResult(
            id, row.number, row.place, name, text=row.text, columns=columns, error=error
        )
    return RowResult(
        id, row.number, row.place, name, AXES[name], values_of(row.number, name),
        baseline=10.0 + row.number, metric="logit", target=" Paris", target_id=4, position=2,
        answer=" Rome" if row.number == 2 else " Paris", right=row.number != 2, text=row.text,
        roles=ROLES, columns=columns, seconds=0.5,
    )  # fmt: skip
