"""What a folder has is not computed again, and only the same sweep goes on in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter
from interpboard.registry.loading import LoadOptions
from interpboard.results import MetricRequest
from interpboard.sweeps.aggregate import aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.remaining import is_whole
from interpboard.sweeps.sweep import sweep
from tests.lm import tiny_lm
from tests.sweeps.test_sweep import LM, ROWS, put, results


def test_going_on_computes_nothing_twice(tmp_path: Path) -> None:
    data = put(tmp_path, ROWS)
    out = tmp_path / "out"

    def interrupt(pace: SweepPace) -> None:
        if pace.rows == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(LM, data, ["head_ablation"], out, on_pace=interrupt)
    before = results(out)
    so_far = aggregate(SweepFolder.open(out))
    assert "not finished: 2 of 4 results are computed" in so_far.results[0].warnings
    assert len({r.row for r in before}) == 2  # what was computed is written first
    paces: list[SweepPace] = []
    sweep(LM, data, ["head_ablation"], out, on_pace=paces.append)
    assert paces[-1].known == len(before)
    assert paces[-1].computed == len(ROWS) - len(before)
    assert len({r.id for r in results(out)}) == len(results(out)) == len(ROWS)
    sweep(LM, data, ["head_ablation", "logit_lens"], out, on_pace=paces.append)
    assert paces[-1].computed == len(ROWS)  # the new analysis alone


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("head_ablation", {"layers": "0,1", "heads": (0, 2)}),
        ("steering", {"positive": "Rome", "negative": "Mary", "scales": "0,1.5"}),
        ("occlusion", {"window": 2}),
    ],
)
def test_a_sweep_is_gone_on_with_whatever_its_parameters_are(
    tmp_path: Path, name: str, params: dict[str, object]
) -> None:
    data, out = put(tmp_path, ROWS[:2]), tmp_path / "out"
    paces: list[SweepPace] = []
    for _ in range(2):
        sweep(LM, data, [name], out, params={name: params}, on_pace=paces.append)
    assert (paces[-1].known, paces[-1].computed) == (2, 0)
    assert is_whole(out, open_dataset([data]))


def test_another_sweep_does_not_go_into_the_folder(tmp_path: Path) -> None:
    data = put(tmp_path, ROWS[:2])
    out = tmp_path / "out"
    sweep(LM, data, ["head_ablation"], out)
    for what, other in (
        ("other parameters of head_ablation", {"params": {"head_ablation": {"ablation": "mean"}}}),
        ("another metric", {"metric": MetricRequest("prob")}),
        ("another save", {"save": "mean"}),
        ("another --shuffle", {"shuffle": 1}),
        ("other --columns", {"columns": {"text": "text", "label": "label"}}),
    ):
        with pytest.raises(BadParameter, match=f"is a sweep with {what}"):
            sweep(LM, data, ["head_ablation"], out, **other)
    info = replace(LM.info, options=LoadOptions(adapter_state="off"))
    for other_model in (
        tiny_lm("llama", torch.float64),
        tiny_lm("gpt2", torch.float32),
        dataclasses.replace(LM, info=info),
    ):
        with pytest.raises(BadParameter, match="another model"):
            sweep(other_model, data, ["head_ablation"], out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(BadParameter, match="holds no sweep"):
        sweep(LM, data, ["head_ablation"], tmp_path / "full")


def test_a_file_that_a_parameter_names_is_the_same_one(tmp_path: Path) -> None:
    data, out, named = put(tmp_path, ROWS[:2]), tmp_path / "out", tmp_path / "references.txt"
    named.write_text("Rome is the city of", encoding="utf-8")
    given = {"head_ablation": {"ablation": "mean", "references": str(named)}}
    sweep(LM, data, ["head_ablation"], out, params=given)
    sweep(LM, data, ["head_ablation"], out, params=given)
    named.write_text("Paris is the city of France", encoding="utf-8")
    with pytest.raises(BadParameter, match=r"another content of the file .*references\.txt"):
        sweep(LM, data, ["head_ablation"], out, params=given)


@pytest.mark.parametrize("shuffle", [None, 3])
def test_more_rows_go_on_with_a_sweep_of_fewer(tmp_path: Path, shuffle: int | None) -> None:
    data, out = put(tmp_path, ROWS), tmp_path / "out"
    paces: list[SweepPace] = []
    sweep(LM, data, ["logit_lens"], out, limit=2, shuffle=shuffle)
    means = sweep(LM, data, ["logit_lens"], out, shuffle=shuffle, on_pace=paces.append)
    assert (paces[-1].known, paces[-1].computed) == (2, 2)
    assert means.results[0].params["rows"] == len(ROWS)
    assert [r.row for r in results(out)] == [0, 1, 2, 3]
    with pytest.raises(BadParameter, match="a sweep of 4 rows; 3 are fewer"):
        sweep(LM, data, ["logit_lens"], out, limit=3, shuffle=shuffle)
