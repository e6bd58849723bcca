"""What a sweep leaves as a result keeps to the schema of results, however its means are made."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.cli.output import read_saved
from interpboard.comparison import difference
from interpboard.errors import BadParameter
from interpboard.results import Axis, Document, MetricRequest
from interpboard.sweeps import row_values
from interpboard.sweeps.aggregate import AggregateSettings, aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.row_results import RowResult, results_of, table_of
from interpboard.sweeps.sweep import sweep
from tests.lm import tiny_lm
from tests.schema import validator

LM = tiny_lm("gpt2", torch.float64)
ROWS = [
    {"text": "Rome is the", "target": "a", "foil": "b", "label": "A"},
    {"text": "Paris is the", "target": "a", "foil": "b", "label": "A"},
    {"text": "Mary gave the book to", "target": "a", "foil": "b", "label": "B"},
    {"text": "John gave it to", "target": "a", "foil": "b", "label": "B"},
]


def swept(folder: Path, save: str = "values", metric: str = "logit_diff") -> Path:
    data = folder / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    out = folder / f"out-{save}-{metric}"
    asked = ("head_ablation", "logit_lens")
    sweep(LM, data, asked, out, metric=MetricRequest(metric), save=save, group="label")
    return out


def valid(document: Document) -> None:
    validator().validate(json.loads(document.to_json()))


@pytest.mark.parametrize("metric", ["logit", "logit_diff"])
@pytest.mark.parametrize("save", ["values", "mean", "top=2"])
def test_means_groups_and_their_difference_keep_to_the_schema(
    tmp_path: Path, save: str, metric: str
) -> None:
    out = swept(tmp_path, save, metric)
    saved = json.loads((out / "aggregate.json").read_text(encoding="utf-8"))
    assert {result["metric"]["position"] for result in saved["results"]} == {-1}
    assert len(saved["results"]) == (8 if save == "values" else 6)
    validator().validate(saved)


def test_a_mean_of_some_rows_and_the_difference_of_two_sweeps_do_too(tmp_path: Path) -> None:
    folder = SweepFolder.open(swept(tmp_path))
    some = [aggregate(folder, AggregateSettings(where=f"label={each}")) for each in "AB"]
    heads = [replace(document, results=document.results[:1]) for document in some]
    for document in (*some, replace(heads[0], results=(difference(*heads),))):
        valid(document)


def test_a_prompt_is_not_excused_by_what_means_may_leave_out() -> None:
    document = analyze(LM, "Rome is the", ("head_ablation",), MetricRequest("logit"))
    valid(document)
    nowhere = replace(document.results[0].metric, position=-1)
    damaged: list[Any] = [
        replace(document, results=(replace(document.results[0], metric=nowhere),)),
        replace(document, prompt=replace(document.prompt, tokens=(), token_ids=(), spans=())),
    ]
    for own in damaged:
        with pytest.raises(jsonschema.ValidationError):
            valid(own)


def test_the_position_of_a_mean_is_shown_as_that_of_each_row(tmp_path: Path) -> None:
    mean = Document.load(swept(tmp_path) / "aggregate.json")
    assert "at each row's position" in repr(mean.results[0])
    assert ",logit_diff,,,,0,0,0,0," in mean.to_csv()


def test_where_every_row_failed_the_reason_is_that_of_the_rows(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "Rome is", "target": "a b"}\n' * 3, encoding="utf-8")
    with pytest.raises(BadParameter, match="The target 'a b' is 3 tokens"):
        sweep(LM, data, ["head_ablation"], tmp_path / "out")


def test_rows_that_are_little_are_read_once_and_means_are_those_of_rows_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SweepFolder.open(swept(tmp_path))
    read: list[str | None] = []
    real = SweepFolder.results

    def counted(self: SweepFolder, analysis: str | None = None) -> Iterator[RowResult]:
        read.append(analysis)
        return real(self, analysis)

    monkeypatch.setattr(SweepFolder, "results", counted)
    settings = AggregateSettings(group="label")
    held = aggregate(folder, settings)
    assert read == [None]
    known = list(real(folder))
    sizes = dict.fromkeys(folder.manifest.request.analyses, 0)
    for result in known:
        sizes[result.analysis] += row_values._bytes_of(result)
    as_rows = len(known) * row_values._A_ROW
    # Too many rows to begin with; rows that turn out to be too large; those of one analysis alone.
    for most in (
        1,
        as_rows,
        max(sizes.values()) - 1,
        sum(sizes.values()) - 1,
    ):
        read.clear()
        monkeypatch.setattr(row_values, "HELD_MOST", most)
        assert aggregate(folder, settings).to_json() == held.to_json()
        assert len(read) > 1
    monkeypatch.setattr(row_values, "HELD_MOST", sum(sizes.values()))
    read.clear()
    aggregate(folder, settings)
    assert read == [None]


def test_of_rows_that_are_held_their_labels_roles_and_texts_are_counted() -> None:
    words = tuple(f"word {number}" for number in range(300))
    rows = [
        RowResult(
            f"{number:032x}", number, f"rows.jsonl:{number}", "saliency",
            (Axis("token", words),), np.zeros(len(words)),
            text="word " * 300, roles=words, columns={"story": "long " * 1000},
        )
        for number in range(64)
    ]  # fmt: skip
    (batch,) = table_of(rows).to_batches()
    tracemalloc.start()
    try:
        held = list(results_of(batch))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.7 * taken < sum(map(row_values._bytes_of, held)) < 1.3 * taken


def test_a_report_has_the_intervals_that_the_sweep_was_asked_for(tmp_path: Path) -> None:
    from tests.sweeps.test_sweep import LM, ROWS, put

    out = tmp_path / "out"
    sweep(LM, put(tmp_path, ROWS), ["head_ablation"], out, level=0.5)
    (again,) = read_saved([out])
    written = Document.load(out / "aggregate.json")
    for found in (again.results[0], written.results[0]):
        assert found.params["interval"] == "0.5, bootstrap"
    for name in ("low", "high"):
        np.testing.assert_array_equal(
            again.results[0].extra[name].values, written.results[0].extra[name].values
        )


def test_the_strongest_values_are_those_furthest_from_no_effect(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    row = {"text": "Rome is in the city of", "corrupted": "Rome is in the city in"}
    data.write_text(json.dumps(row), encoding="utf-8")
    params = {"activation_patching": {"direction": "noising"}}
    kept = {}
    for save in ("values", "top=3"):
        sweep(LM, data, ["activation_patching"], tmp_path / save, params=params, save=save)
        (kept[save],) = SweepFolder.open(tmp_path / save).results()
    whole, top = kept["values"].values, kept["top=3"]
    away = np.abs(whole - 1)  # noising: 1 is no effect
    assert away[top.at].min() > 0.5 > np.delete(away, top.at).max()
    assert set(top.at) != set(np.argsort(-np.abs(whole))[:3])
    np.testing.assert_array_equal(top.values, whole[top.at])
