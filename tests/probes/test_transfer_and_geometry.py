"""Probes between datasets, principal components and cosines, against numpy by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter
from interpboard.probes.activations import read_rows_at, site_of
from interpboard.probes.probe import probe
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import SILENT
from tests.lm import tiny_lm
from tests.probes.test_linear import NEGATIVE, POSITIVE, write


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    rows = [
        {"text": text, "label": label}
        for label, texts in (("b", POSITIVE), ("a", NEGATIVE))
        for text in texts
    ]
    longer = [{**row, "text": f"{row['text']} of"} for row in rows]
    return [write(tmp_path / "one.csv", rows), write(tmp_path / "other.csv", longer)]


def test_a_probe_is_fitted_on_all_of_one_dataset_and_read_on_another(two: list[str]) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    (result,) = probe(lm, two, "probe_transfer", layer=1, folds=2).results
    where = site_of(lm, "resid_post", (1,), "last")
    one, other = (read_rows_at(lm, name, where, watch=SILENT) for name in two)
    fitted, read = one.values[:, 0, 0], other.values[:, 0, 0]
    positive = np.array([label == "b" for label in one.labels])
    up, down = fitted[positive].mean(0), fitted[~positive].mean(0)
    right = ((read - (up + down) / 2) @ (up - down) > 0) == positive
    expected = (right[positive].mean() + right[~positive].mean()) / 2
    assert result.values[0, 1] == pytest.approx(expected)
    assert result.axes[0].labels == ("one.csv", "other.csv")
    (own,) = probe(lm, two[0], layers="1", folds=2, shuffles=0).results
    assert result.values[0, 0] == own.values[0, 0]


def test_texts_that_a_probe_has_seen_are_not_read(two: list[str], tmp_path: Path) -> None:
    rows = [{"text": text, "label": "a"} for text in (*NEGATIVE[:2], "He went", "They met")]
    rows += [{"text": text, "label": "b"} for text in ("The man", "A tower", *POSITIVE[:1])]
    mixed = write(tmp_path / "mixed.csv", rows)
    (result,) = probe(tiny_lm(), [two[0], mixed], "probe_transfer", folds=2).results
    assert result.extra["n"].values.tolist() == [[8, 4], [5, 7]]
    assert "3 rows of mixed.csv have a text of one.csv" in " ".join(result.warnings)


def test_what_two_datasets_have_in_common_is_not_read_or_is_said(
    two: list[str], tmp_path: Path
) -> None:
    lm = tiny_lm()
    last = {text: len(make_prompt(lm, text).tokens) - 1 for text in (*POSITIVE, *NEGATIVE)}
    rows = [
        {"text": f"{text} but", "label": label, "position": last[text], "who": "p"}
        for label, texts in (("b", POSITIVE[:2]), ("a", NEGATIVE[:2]))
        for text in texts
    ]
    rows += [
        {"text": text, "label": label, "who": f"p{text}"}
        for text, label in (("The man", "b"), ("A tower", "b"), ("He went", "a"), ("They met", "a"))
    ]
    begun = write(tmp_path / "begun.csv", rows)
    (result,) = probe(lm, [two[0], begun], "probe_transfer", folds=2).results
    assert result.extra["n"].values[0, 1] == 4  # the others read tokens that were fitted on
    grouped = [write(tmp_path / name, rows) for name in ("a.csv", "b.csv")]
    (result,) = probe(lm, grouped, "probe_transfer", folds=2, group="who").results
    assert "5 groups are in more than one dataset" in " ".join(result.warnings)


def test_labels_that_differ_and_one_dataset_are_refused(two: list[str], tmp_path: Path) -> None:
    texts = zip([*POSITIVE, *NEGATIVE], "xyxyxyxy", strict=True)
    odd = write(tmp_path / "odd.csv", [{"text": text, "label": label} for text, label in texts])
    for names, said in ((two[:1], "between datasets"), ([two[0], odd], "labels are not the same")):
        with pytest.raises(BadParameter, match=said):
            probe(tiny_lm(), names, "probe_transfer", folds=2)


def test_principal_components_are_those_of_the_covariance(two: list[str]) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    (result,) = probe(lm, two[0], "stream_pca", layers="1", components=3).results
    read = read_rows_at(lm, two[0], site_of(lm, "resid_post", (1,), "last"), watch=SILENT)
    centred = read.values[:, 0, 0] - read.values[:, 0, 0].mean(0)
    sizes, ways = np.linalg.eigh(centred.T @ centred)
    np.testing.assert_allclose(result.values[0], sizes[::-1][:3] / sizes.sum(), rtol=1e-9)
    scores = result.extra["scores"].values[0]
    np.testing.assert_allclose(np.abs(scores), np.abs(centred @ ways[:, ::-1][:, :3]), atol=1e-9)
    positive = np.array([label == "b" for label in read.labels])
    within = sum(((own - own.mean(0)) ** 2).sum(0) for own in (scores[positive], scores[~positive]))
    between = result.extra["between_labels"].values[0]
    np.testing.assert_allclose(between, 1 - within / (scores**2).sum(0), rtol=1e-9)
    assert result.extra["label"].values.tolist() == list(read.labels)


@pytest.mark.parametrize("centred", [True, False])
def test_cosines_are_means_over_pairs_of_different_rows(two: list[str], centred: bool) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    (result,) = probe(lm, two[0], "stream_cosine", layers="0", centred=centred).results
    read = read_rows_at(lm, two[0], site_of(lm, "resid_post", (0,), "last"), watch=SILENT)
    own = read.values[:, 0, 0] - (read.values[:, 0, 0].mean(0) if centred else 0)
    unit = own / np.linalg.norm(own, axis=1, keepdims=True)
    cosines = unit @ unit.T
    b, a = slice(0, 4), slice(4, 8)
    upper = np.triu_indices(4, 1)
    expected = [cosines[a, a][upper].mean(), cosines[a, b].mean(), cosines[b, b][upper].mean()]
    assert result.axes[1].labels == ("a · a", "a · b", "b · b")
    np.testing.assert_allclose(result.values[0], expected, rtol=1e-9)
    assert result.extra["pairs"].values.tolist() == [6, 16, 6]
