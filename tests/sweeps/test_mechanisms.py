"""What is known of a mechanism holds over a dataset: exactly in every row of a compiled model, by sign and
interval for the induction heads of the demo model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from interpboard.circuits.heads.types import head_scores
from interpboard.models.language_model import open_model
from interpboard.results import MetricRequest
from interpboard.runs.metrics import prompt_and_metric
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.sweep import sweep
from tests.compiled.cases import opened
from tests.compiled.programs import TRUTHS

LETTERS = "abcd"


def repeated() -> list[dict[str, str]]:
    """Letters of which the first comes again: what followed it follows it again."""
    turned = [LETTERS[i:] + LETTERS[:i] for i in range(4)]
    orders = [text[:length] for text in (*turned, *(t[::-1] for t in turned)) for length in (3, 4)]
    return [{"text": text + text[0], "target": text[1]} for text in orders]


def put(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_a_compiled_model_is_exact_in_every_row_and_in_the_mean(tmp_path: Path) -> None:
    rows = repeated()
    expected = np.zeros((2, 4))
    for name, effect in TRUTHS["induction"].ablated.items():
        layer, head = map(int, name.split("."))
        expected[layer, head] = effect
    mean = sweep(
        opened("induction"), put(tmp_path, rows), ["head_ablation"], tmp_path / "out",
        metric=MetricRequest("logit"),
    ).results[0]  # fmt: skip
    found = list(SweepFolder.open(tmp_path / "out").results())
    assert len(found) == len(rows) == 16
    for row in found:
        assert row.right
        np.testing.assert_allclose(row.values.reshape(2, 4), expected, atol=1e-12)
    np.testing.assert_allclose(mean.values, expected, atol=1e-12)
    for edge in ("low", "high"):
        np.testing.assert_allclose(mean.extra[edge].values, expected, atol=1e-12)
    signs = mean.extra["same_sign"].values[expected != 0]
    np.testing.assert_array_equal(signs, 1)


def test_the_induction_heads_of_the_demo_model_carry_induction_over_the_dataset(
    tmp_path: Path,
) -> None:
    """Which heads they are is measured on repeated random tokens, which the rows are not."""
    lm = open_model("demo")
    labels = head_scores(lm, *prompt_and_metric(lm, "The store")).extra["label"].values
    heads = np.argwhere(labels == "induction")
    assert len(heads)
    mean = sweep(
        lm, ["induction"], ["head_ablation"], tmp_path / "out", limit=16,
        metric=MetricRequest("logit_diff"),
    ).results[0]  # fmt: skip
    below = int(
        heads[:, 0].min()
    )  # what is in front of them brings them their keys, or is read by all
    cost = mean.values[below:]
    costliest = {divmod(int(i), cost.shape[1]) for i in np.argsort(cost, axis=None)[: len(heads)]}
    assert {(below + layer, head) for layer, head in costliest} == {
        tuple(h) for h in heads.tolist()
    }
    for layer, head in heads:
        assert mean.extra["high"].values[layer, head] < 0
        assert mean.extra["same_sign"].values[layer, head] > 0.9
