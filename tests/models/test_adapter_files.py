"""What is wrong with an adapter's files, or missing for them, is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from interpboard.errors import InterpBoardError
from interpboard.models import libraries
from tests.models.folders import saved
from tests.models.test_adapters import WEIGHTS, changed, lora, refused
from tests.models.test_quantised import wide


def _without_one(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(sorted(weights.items())[1:])


def _with_more(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(iter(weights)).replace("layers.0", "layers.7")
    return weights | {name: torch.ones(2, 2)}


def _not_finite(weights: dict[str, torch.Tensor]) -> None:
    next(iter(weights.values()))[0, 0] = torch.nan


@pytest.mark.parametrize(
    ("edit", "config", "words"),
    [
        (_without_one, {}, "would stay as initialised"),
        (_with_more, {}, "for which this model has no place"),
        (_not_finite, {}, "holds NaN or infinity"),
        (None, {"target_modules": ["q_proj", "o_proj", "down_proj", "v_proj"]}, "would stay as"),
        (None, {"target_modules": ["q_proj"]}, "for which this model has no place"),
        (None, {"r": 5}, ""),
        (None, {"task_type": "SEQ_CLS"}, "is for SEQ_CLS"),
        (None, {"peft_type": None}, "does not say what kind"),
        (None, {"peft_type": "MADE_UP"}, ""),
    ],
)
def test_what_peft_would_leave_out_or_make_up_is_refused_by_name(
    edit: Any, config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = changed(tmp_path, edit, **config)
    said = refused(saved("llama"), InterpBoardError, adapters=folder)
    assert words in said
    assert str(folder) in said


def test_an_adapter_of_another_shape_is_refused(tmp_path: Path) -> None:
    assert str(lora()) in refused(wide(), InterpBoardError, adapters=lora())


def test_without_peft_its_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    place = lora()
    monkeypatch.setattr(libraries, "find_spec", lambda _name: None)
    said = refused(saved("llama"), InterpBoardError, adapters=place)
    assert "needs peft" in said
    assert "pip install 'interpboard[adapters]'" in said


def test_an_adapter_in_a_pickle_is_not_opened(tmp_path: Path) -> None:
    folder = changed(tmp_path)
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()
    assert "--allow-pickle" in refused(saved("llama"), InterpBoardError, adapters=folder)
