"""Whatever a proof sees makes it another one."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from interpboard.models.anatomy import find_anatomy
from interpboard.models.proof.selfcheck import self_check
from tests.proved_once import (
    OF_OTHER_THINGS,
    folder_of_proofs,
    is_about_proofs,
    kept,
    seen_of,
)
from tests.tiny import tiny_model


def _nudged(model: Any) -> None:
    weight = model.model.layers[1].mlp.down_proj.weight
    with torch.no_grad():
        weight[0, 0] += 1e-6


def _rescaled(model: Any) -> None:
    model.model.layers[2].self_attn.scaling *= 1.5


def _another_class(model: Any) -> None:
    act = model.model.layers[0].mlp.act_fn

    class Other(type(act)):  # type: ignore[misc]
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return given.relu()

    act.__class__ = Other


CHANGES: dict[str, Callable[[Any], None]] = {
    "a weight in its last places": _nudged,
    "a scale": _rescaled,
    "a scale in a dictionary": lambda model: vars(model.model).update(scaling={"default": 2.0}),
    "a class": _another_class,
    "the configuration": lambda model: setattr(model.config, "rms_norm_eps", 0.5),
    "a number format": lambda model: model.to(torch.bfloat16),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_differs_in_one_thing_is_proved_anew(change: str, tmp_path: Path) -> None:
    asked: list[Any] = []

    def prove(anatomy: Any) -> str:
        asked.append(anatomy)
        return f"the {len(asked)}."

    proved = kept(prove, tmp_path)
    model = tiny_model("llama")
    assert proved(find_anatomy(model)) == proved(find_anatomy(tiny_model("llama"))) == "the 1."
    CHANGES[change](model)
    assert proved(find_anatomy(model)) == "the 2."


def test_another_part_is_another_proof() -> None:
    anatomy = find_anatomy(tiny_model())
    swapped = dataclasses.replace(anatomy, mlp_out=anatomy.mlp_out[::-1])
    assert seen_of(anatomy) != seen_of(swapped)
    assert seen_of(anatomy) != seen_of(dataclasses.replace(anatomy, n_kv_heads=2))


def test_where_something_is_hung_in_it_is_proved_each_time() -> None:
    anatomy = find_anatomy(tiny_model())
    assert seen_of(anatomy)
    handle = anatomy.layers[1].register_forward_hook(lambda *_: None)
    assert seen_of(anatomy) is None
    handle.remove()
    anatomy.layers[0].forward = anatomy.layers[0].forward  # type: ignore[method-assign]
    assert seen_of(anatomy) is None


def test_what_is_kept_is_what_was_proved(tmp_path: Path) -> None:
    proved = kept(self_check, tmp_path)
    anatomy = find_anatomy(tiny_model("gemma2"))
    first = proved(anatomy)
    assert proved(anatomy) == first == self_check(anatomy)


def test_files_that_are_about_proofs_are_not_among_those_that_are_not() -> None:
    here = Path(__file__).parent / "models"
    names = {path.stem for path in here.glob("test_*.py")}
    assert names >= OF_OTHER_THINGS
    assert is_about_proofs(here / "test_selfcheck.py")
    assert not is_about_proofs(here / "test_adapters.py")
    assert not is_about_proofs(Path(__file__))
    for name in OF_OTHER_THINGS:
        assert "interpboard.models.proof" not in (here / f"{name}.py").read_text(), name


def test_processes_that_are_started_meanwhile_share_what_was_proved() -> None:
    with folder_of_proofs() as own:
        program = "from tests.proved_once import folder_of_proofs\nwith folder_of_proofs() as at: print(at)"
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == str(own)
