"""What a mean must not keep to itself: warnings of rows, rows there twice, its metric."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Document
from interpboard.sweeps.aggregate import AggregateSettings, aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.said_of_rows import check_columns_of_filter
from interpboard.sweeps.sweep import sweep
from tests.classifiers import DECODERS, choosing, labelled
from tests.strips import strips_lm
from tests.sweeps.test_sweep import LM, put, results
from tests.tiny import tiny_tokenizer


def said(document: Document, words: str) -> list[str]:
    return [each for each in document.results[0].warnings if words in each]


def test_a_filter_by_a_column_that_no_row_has_is_refused_and_takes_not_all_rows(
    tmp_path: Path,
) -> None:
    data = put(tmp_path, [{"text": "Rome is", "label": "A"}, {"text": "Mary is", "label": "B"}])
    sweep(LM, data, ["head_ablation"], tmp_path / "out")
    folder = SweepFolder.open(tmp_path / "out")
    with pytest.raises(BadParameter, match="No row has a column 'lable'"):
        aggregate(folder, AggregateSettings(where="lable!=A"))
    some = aggregate(folder, AggregateSettings(where="label!=A and tokens>0 and metric<1e9"))
    assert some.results[0].params["rows"] == 1
    with pytest.raises(BadParameter, match="No row that fits label=C has a result"):
        aggregate(folder, AggregateSettings(where="label=C"))


def test_the_columns_of_a_filter_are_looked_for_no_further_than_they_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(LM, put(tmp_path, [{"text": "Rome is", "label": "A"}]), ["head_ablation"], tmp_path / "o")
    folder = SweepFolder.open(tmp_path / "o")
    endless = cycle(list(folder.heads()))
    monkeypatch.setattr(folder, "heads", lambda: endless)
    check_columns_of_filter(folder, "label=A and row<3")


@pytest.mark.parametrize("save", ["values", "mean"])
def test_a_mean_says_what_its_rows_warn_of(tmp_path: Path, save: str) -> None:
    rows = [{"text": "Rome is the", "foil": "b"}, {"text": "Mary is the"}, {"text": ""}]
    found = sweep(LM, put(tmp_path, rows), ["head_ablation"], tmp_path / save, save=save)
    (warned,) = said(found, "rows have warnings")
    assert warned.startswith(
        "1 of the sweep's 2 rows have warnings, most often: The foil b is not used"
    )


def test_a_subject_that_stands_twice_is_said_where_tokens_are_put_together_by_it(
    tmp_path: Path,
) -> None:
    data = put(tmp_path, [{"text": "Rome or Rome is the", "subject": "Rome"}, {"text": "Mary is"}])
    sweep(LM, data, ["occlusion", "head_ablation"], tmp_path / "out")
    first = {r.analysis: r.warnings for r in results(tmp_path / "out") if r.row == 0}
    assert any("Rome" in each for each in first["occlusion"])
    assert first["head_ablation"] == ()


@pytest.mark.parametrize("save", ["values", "mean"])
def test_rows_that_are_asked_the_same_are_counted(tmp_path: Path, save: str) -> None:
    rows = [
        {"text": "Rome is the", "label": "A"},
        {"text": "Rome is the", "label": "B"},  # computed as the first, whatever it is called
        {"text": "Rome is the", "target": "a"},
        {"text": "Rome is the", "position": -1},
        {"text": "Rome is the", "position": -2},
        {"text": "Rome is the", "subject": "Rome"},
        {"text": ""}, {"text": ""},
    ]  # fmt: skip
    found = sweep(LM, put(tmp_path, rows), ["head_ablation"], tmp_path / save, save=save)
    (twice,) = said(found, "repeat another")
    assert twice.startswith("1 of the dataset's 8 rows")
    once = sweep(LM, put(tmp_path, rows[1:]), ["head_ablation"], tmp_path / f"{save}-once")
    assert not said(once, "repeat another")


@pytest.mark.parametrize("save", ["values", "mean"])
def test_a_mean_has_the_name_that_its_rows_give_the_metric(tmp_path: Path, save: str) -> None:
    data = put(tmp_path, [{"text": "Rome is the"}, {"text": "Mary is"}])
    valued = LanguageModel.of(labelled(DECODERS["llama"], num_labels=1), tiny_tokenizer(), "valued")
    found = sweep(valued, data, ["saliency"], tmp_path / "value", save=save)
    assert found.results[0].metric.name == "value"
    choices = put(tmp_path, [{"text": "Rome is", "choices": ["the", "a b"]}] * 2, "c.jsonl")
    found = sweep(choosing(), choices, ["choices"], tmp_path / "choices", save=save)
    (own,) = {r.metric for r in results(tmp_path / "choices")}
    assert found.results[0].metric.name == own


@pytest.mark.parametrize("save", ["values", "mean"])
def test_the_lens_of_a_prefix_is_put_together_by_the_roles_of_the_prefix(
    tmp_path: Path, save: str
) -> None:
    lm = strips_lm("bart", torch.float64)
    texts = ["The Eiffel Tower is in ||| the city of", "Rome is ||| the city"]
    found = sweep(
        lm, put(tmp_path, [{"text": text} for text in texts]), ["logit_lens", "saliency"],
        tmp_path / "out", save=save,
    )  # fmt: skip
    lens, saliency = found.results
    assert lens.axes[1].labels == ("first", "between", "explained")
    alone = [analyze(lm, text, ["logit_lens"]).results[0].values for text in texts]
    expected = [
        [np.mean([own[:, at].mean(1) for own in alone], 0)]
        for at in (slice(0, 1), slice(1, -1), slice(-1, None))
    ]
    np.testing.assert_allclose(lens.values, np.concatenate(expected).T, atol=1e-9)
    assert saliency.axes[0].labels == ("source", "first", "between", "explained")
