"""A model over two devices, counted on a CPU: it opens, and gives the whole one's numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("accelerate")
ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=1)
def said() -> dict[str, Any]:
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.divided_in_two"],
        cwd=ROOT, env=own, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_proved_of_the_whole_model_is_proved_of_the_divided_one() -> None:
    assert said()["paths"] == ["replay", "replay"]
    assert said()["sites"]


def test_the_numbers_are_those_of_the_model_in_one_place() -> None:
    for name, whole in said()["whole"].items():
        np.testing.assert_allclose(said()["divided"][name]["values"], whole["values"], rtol=1e-5)
        assert whole["moves"] == 0


def test_how_often_something_moves_does_not_grow_with_the_heads_that_are_edited() -> None:
    moves = {name: case["moves"] for name, case in said()["divided"].items()}
    assert 0 < moves["all heads of a layer"] == moves["one head"]
