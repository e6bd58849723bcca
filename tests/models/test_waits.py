"""Where a step makes the host wait for its device, counted on a CPU: once, at its end, with its values."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from interpboard.runs.gradients.embeddings import (
    metric_and_gradient,
    metric_of_forward,
    prompt_embeddings,
)
from interpboard.runs.prompt import input_ids
from tests.forks import program
from tests.lm import case

ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=1)
def said() -> dict[str, Any]:
    pytest.importorskip("accelerate")
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        program("tests.models.on_one_device"),
        cwd=ROOT, env=own, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_step_of_a_grid_comes_back_once_and_waits_nowhere_else() -> None:
    assert said()["path"] == "replay"
    for name, grid in said()["grids"].items():
        assert grid["steps"] > 1, name
        assert (name, grid["back"], grid["waits"]) == (name, grid["steps"], {})


def test_what_a_step_sends_goes_through_the_one_place_for_it() -> None:
    """Where edits go, which rows of the recording, and of a logit which tokens."""
    for name, grid in said()["grids"].items():
        things = 3 if name.endswith("logit") else 2
        assert (name, grid["unannounced"]) == (name, 0)
        assert (name, grid["sent"]) == (name, things * grid["steps"])


def test_no_kind_of_edit_and_no_metric_makes_a_step_wait_before_its_end() -> None:
    grids = dict(said()["every edit"])
    tokens = grids.pop("tokens")  # transformers looks at the positions before the first layer
    assert tokens.pop("waits") == {"_local_scalar_dense": tokens["steps"]}
    for name, grid in grids.items():
        assert (name, grid.pop("waits")) == (name, {})
    for name, grid in {**grids, "tokens": tokens}.items():
        assert grid["steps"] > 1, name
        assert (name, grid["back"], grid["unannounced"]) == (name, grid["steps"], 0)


def test_a_lens_waits_as_often_at_many_steps_as_at_one() -> None:
    one, many = said()["lens"]["one step"], said()["lens"]["many steps"]
    assert many["steps"] > one["steps"]
    assert {**many, "steps": 1} == one
    assert one["waits"] == {}


def test_a_lens_that_looks_at_its_end_refuses_all_the_same() -> None:
    assert said()["refused"]


class Looks(TorchDispatchMode):
    """While open, counts what asks a tensor for a number, or for how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        if name in ("_local_scalar_dense", "nonzero", "masked_select"):
            self.counted[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_step_of_gradients_is_looked_at_once_behind_its_backward_pass(family: str) -> None:
    lm, prompt, metric = case(family)
    inputs = prompt_embeddings(lm, prompt)[None].expand(3, -1, -1).clone()
    ids = input_ids(lm, prompt).expand(3, -1)
    metric_and_gradient(lm, prompt, metric, inputs)
    with torch.no_grad(), Looks() as plain:
        metric_of_forward(lm, metric, ids)
    with Looks() as step:
        metric_and_gradient(lm, prompt, metric, inputs)
    assert step.counted - plain.counted == Counter({"_local_scalar_dense": 1})
