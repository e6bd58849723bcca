"""Choices that rows bring: each row's as the model itself compares them, and their means by what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import Table, parquet

from interpboard.errors import InterpBoardError
from interpboard.results import MetricRequest
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.row_results import RowResult
from interpboard.sweeps.sweep import sweep
from tests.models import test_choices as plain

TEXTS = list(plain.ENDS)
ROWS: list[dict[str, object]] = [
    {"text": plain.TEXT, "choices": TEXTS, "answer": 1},
    {"text": plain.TEXT, "choices": {"label": ["A", "B"], "text": TEXTS[:2]}, "answer": 0},
    {"text": plain.TEXT, "choices": json.dumps(TEXTS[::-1]), "answer": 0},
    {"text": plain.TEXT, "choices": "\n".join(TEXTS), "answer": 2},
]
RIGHT = (TEXTS[1], TEXTS[0], TEXTS[2], TEXTS[2])
COLUMNS = {"text": "text", "choices": "choices", "target": "#{answer}"}


def put(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def results(folder: Path, name: str) -> list[RowResult]:
    return sorted(SweepFolder.open(folder).results(name), key=lambda own: own.row)


def test_rows_bring_their_choices_and_each_has_the_models_own_probabilities(tmp_path: Path) -> None:
    lm = plain.opened("bert")
    data = put(tmp_path, ROWS)
    means = sweep(
        lm, data, ["choices", "choice_ablation"], tmp_path / "out",
        metric=MetricRequest("prob"), columns=COLUMNS,
    )  # fmt: skip
    scores = dict(zip(TEXTS, plain.scores(lm).tolist(), strict=True))
    explained, others = [], []
    for own, right in zip(results(tmp_path / "out", "choices"), RIGHT, strict=True):
        (axis,) = own.axes
        expected = torch.tensor([scores[text] for text in axis.labels]).softmax(0).numpy()
        np.testing.assert_allclose(own.values, expected, rtol=1e-5)
        likeliest = axis.labels[int(expected.argmax())]
        assert (own.target, own.answer, own.right) == (right, likeliest, likeliest == right)
        at = axis.labels.index(right)
        explained.append(expected[at])
        others.append(np.delete(expected, at).mean())
    mean = means.result("choices")
    assert mean.axes[0].labels == ("explained", "others")
    np.testing.assert_allclose(mean.values, [np.mean(explained), np.mean(others)], rtol=1e-5)
    first = results(tmp_path / "out", "choice_ablation")[0]
    off = plain.scores(lm, (0, 1)).softmax(0)[1] - plain.scores(lm).softmax(0)[1]
    head = first.values.reshape([len(axis.labels) for axis in first.axes])[0, 1]
    np.testing.assert_allclose(head, off, rtol=1e-4)
    assert first.target == TEXTS[1]


def test_a_list_of_choices_in_a_table_is_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = [{"text": plain.TEXT, "choices": TEXTS, "target": TEXTS[2]}]
    parquet.write_table(Table.from_pylist(rows), path)
    sweep(plain.opened("bert"), path, ["choices"], tmp_path / "out", metric=MetricRequest("prob"))
    (own,) = results(tmp_path / "out", "choices")
    assert (own.axes[0].labels, own.target_id) == (tuple(TEXTS), 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"choices": ["one"]}, "Choices are compared, and there is one."),
        ({"choices": [1, 2]}, "The row has choices that are no list of texts."),
        ({"choices": "[broken"}, "The row has choices that are no JSON."),
        ({"choices": ["a", "b\nc"]}, "The row has a choice that is not one line of text."),
        ({"choices": TEXTS, "target": "#7"}, "The target '#7' is none of the choices."),
        ({}, "choices needs choices: the second texts that are compared, one a line."),
    ],
)
def test_choices_that_are_none_are_the_rows_reason(
    tmp_path: Path, row: dict[str, object], reason: str
) -> None:
    data = put(tmp_path, [{"text": plain.TEXT, **row}])
    with pytest.raises(InterpBoardError, match="no row to take a mean of"):
        sweep(plain.opened("bert"), data, ["choices"], tmp_path / "o", metric=MetricRequest("prob"))
    assert [own.error for own in results(tmp_path / "o", "choices")] == [reason]


def test_choices_of_another_kind_are_kept_beside_what_takes_none(tmp_path: Path) -> None:
    from tests.sweeps.test_sweep import LM

    data = put(tmp_path, [{"text": "Rome is the", "choices": [1, 2]}])
    sweep(LM, data, ["logit_lens"], tmp_path / "out")
    (own,) = results(tmp_path / "out", "logit_lens")
    assert (own.error, own.columns) == ("", {"choices": "[1, 2]"})
