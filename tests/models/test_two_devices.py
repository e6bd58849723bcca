"""A model over two devices, counted on a CPU: it opens, and gives the whole one's numbers."""

from __future__ import annotations

import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.forks import program

pytest.importorskip("accelerate")
ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=1)
def said() -> dict[str, Any]:
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        program("tests.models.divided_in_two"),
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
        assert whole["moves"] == {}


@pytest.mark.parametrize("layers", ["divided", "deeper"])
def test_a_step_moves_its_rows_once_at_the_border_whatever_is_edited(layers: str) -> None:
    """Back goes one number a row, which stands for the tokens when the head runs; there, at the end, which
    rows were finite."""
    for name, case in said()[layers].items():
        moves = case["moves"]
        assert (name, moves["pretend:0 to pretend:1"]) == (name, 1 + 1)
        assert (name, moves["pretend:1 to pretend:0"]) == (name, 1)


@pytest.mark.parametrize("layers", ["divided", "deeper"])
def test_the_values_are_read_once_a_step_from_the_last_device_and_nothing_else(layers: str) -> None:
    for name, case in said()[layers].items():
        moves = case["moves"]
        assert "pretend:0 to cpu" not in moves, name
        assert (name, moves["pretend:1 to cpu"]) == (name, 1)


@pytest.mark.parametrize("layers", ["divided", "deeper"])
@pytest.mark.parametrize("name", ["every head", "every head at every position", "two edits a row"])
def test_each_device_is_sent_the_places_of_all_its_layers_at_once_and_three_things_more(
    layers: str, name: str
) -> None:
    """The three: which rows of the recording, to either device; and which tokens."""
    moves = said()[layers][name]["moves"]
    assert moves["cpu to pretend:0"] + moves["cpu to pretend:1"] == 2 + 3


def test_hidden_keys_are_sent_once_a_device_however_many_layers_and_rows_hide_them() -> None:
    sent = [
        sum(
            said()[layers]["keys that are hidden"]["moves"][f"cpu to pretend:{at}"] for at in (0, 1)
        )
        for layers in ("divided", "deeper")
    ]
    assert sent == [3 + 2, 3 + 2]


def test_how_often_something_moves_does_not_grow_with_the_heads_that_are_edited() -> None:
    divided = said()["divided"]
    assert divided["all heads of a layer"]["moves"] == divided["one head"]["moves"]
