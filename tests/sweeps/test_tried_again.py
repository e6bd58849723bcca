"""A reason that may pass, too little memory say, is kept until somebody goes on: its row is computed then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.cli.sweeping import ended_lines
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter, MissingPackage, OutOfMemory, Unaffordable
from interpboard.results import Document, MetricRequest
from interpboard.sweeps import in_process, row_work
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.pace import MAY_PASS, SweepPace
from interpboard.sweeps.remaining import is_whole
from interpboard.sweeps.standing import read_standing
from interpboard.sweeps.sweep import sweep
from tests.lm import tiny_lm

LM = tiny_lm("gpt2", torch.float64)
TEXTS = ("Rome is the", "Mary gave the book to", "The capital of France is the city of")
Swept = Callable[..., Document]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


def fail(monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], error: Exception) -> list[str]:
    """The rows of ``texts`` fail by ``error``; which rows were asked is in what is returned."""
    asked: list[str] = []
    real = row_work.metric_for

    def metric_for(lm: Any, prompt: Any, request: MetricRequest, ids: Any) -> Any:
        asked.append(prompt.text)
        if prompt.text in texts:
            raise error
        return real(lm, prompt, request, ids)

    monkeypatch.setattr(row_work, "metric_for", metric_for)
    return asked


@pytest.mark.parametrize("save", ["values", "mean"])
@pytest.mark.parametrize("failing", [TEXTS[:1], TEXTS], ids=["one", "all"])
def test_rows_that_had_no_memory_are_computed_by_the_next_run_and_no_others(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, save: str, failing: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        fail(patch, failing, OutOfMemory("It does not fit in memory.", "Less."))
        if failing == TEXTS:
            with pytest.raises(BadParameter, match="does not fit in memory"):
                sweep(LM, data, ["head_ablation"], out, save=save)
        else:
            sweep(LM, data, ["head_ablation"], out, save=save)
    counts = SweepFolder.open(out).finished().counts
    assert (counts.done, counts.failed) == (3, len(failing))
    assert not is_whole(out, open_dataset([data]))
    with monkeypatch.context() as patch:
        asked = fail(patch, (), OutOfMemory("never"))
        found = sweep(LM, data, ["head_ablation"], out, save=save)
    assert sorted(asked) == sorted(failing)
    assert is_whole(out, open_dataset([data]))
    folder = SweepFolder.open(out)
    assert sorted(r.row for r in folder.results()) == [0, 1, 2]
    assert folder.finished().counts.failed == 0
    whole = sweep(LM, data, ["head_ablation"], tmp_path / "whole", save=save)
    np.testing.assert_allclose(found.results[0].values, whole.results[0].values, atol=1e-12)
    assert found.results[0].params["rows"] == 3


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Unaffordable("It needs 9 GiB.", "Less."), True),
        (MissingPackage("It needs a package.", "pip install it"), True),
        (BadParameter("The row has no use."), False),
    ],
    ids=["unaffordable", "package", "row"],
)
def test_what_is_the_rows_own_fault_is_not_tried_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, again: bool
) -> None:
    fail(monkeypatch, TEXTS[:1], error)
    sweep(LM, data, ["head_ablation"], tmp_path / "out")
    asked = fail(monkeypatch, TEXTS[:1], error)
    sweep(LM, data, ["head_ablation"], tmp_path / "out")
    assert asked == ([TEXTS[0]] if again else [])
    found = [(r.row, r.error, r.again) for r in SweepFolder.open(tmp_path / "out").results()]
    assert [own for own in found if own[1]] == [(0, error.args[0], again)]
    assert len(found) == 3


def test_what_is_tried_again_is_said_when_a_sweep_ends_and_when_it_has_gone_on(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row fails by its own fault, one for want of memory: the second may be had by the same command."""
    out, paces = tmp_path / "out", list[SweepPace]()

    def ended() -> tuple[str, tuple[int, int]]:
        sweep(LM, data, ["head_ablation"], out, on_pace=paces.append)
        standing = read_standing(out)
        assert standing is not None
        return " / ".join(ended_lines(paces[-1], out)), (standing.passing, standing.again)

    with monkeypatch.context() as patch:
        fail(patch, TEXTS[:1], BadParameter("The row has no use."))
        fail(patch, TEXTS[1:2], OutOfMemory("It does not fit in memory.", "Less."))
        said, written = ended()
    assert f"1 of them failed {MAY_PASS}: the same command tries again" in said
    assert "tried again" not in said
    assert written == (1, 0)
    said, written = ended()
    assert f"1 had failed before {MAY_PASS}, and was tried again" in said
    assert "the same command" not in said
    assert written == (0, 1)
    said, _ = ended()
    assert MAY_PASS not in said


def test_rows_that_are_read_otherwise_than_before_are_refused_before_one_is_computed(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    sweep(LM, data, ["head_ablation"], out)
    sweep(LM, data, ["head_ablation", "logit_lens"], out)  # what is added is none of that
    parts = {part: part.read_bytes() for part in SweepFolder.open(out).parts()}
    real = in_process.row_id
    monkeypatch.setattr(
        in_process, "row_id", lambda row, own: real(replace(row, label=f"{row.number}"), own)
    )
    asked = fail(monkeypatch, (), OutOfMemory("never"))
    with pytest.raises(BadParameter, match="has 6 results of rows that were read otherwise before"):
        sweep(LM, data, ["head_ablation"], out)
    assert not asked
    assert {part: part.read_bytes() for part in SweepFolder.open(out).parts()} == parts
