"""What is swept by several workers, and by one beside them to compare: a checkpoint, rows, the folder of one.

Fixtures, for tests that import them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.models.language_model import open_model
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.sweep import sweep
from tests.tiny import tiny_model, tiny_tokenizer

ROWS = 96


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that every worker can open."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model("gpt2", torch.float64).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    words = ("Paris", "Rome", "France", "Italy", "Mary", "John")
    rows = [{"text": f"{words[i % 6]} is the city of {words[i % 5]} and"} for i in range(ROWS)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def here(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    out = tmp_path_factory.mktemp("here") / "out"
    sweep(open_model(model, dtype="float64"), data, ["head_ablation"], out)
    return SweepFolder.open(out)


def same(one: SweepFolder, other: SweepFolder) -> None:
    left, right = (sorted(f.results(), key=lambda r: r.row) for f in (one, other))
    assert [r.id for r in left] == [r.id for r in right]
    assert len({r.id for r in left}) == ROWS
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-10, rtol=0)
