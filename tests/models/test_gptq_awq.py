"""Checkpoints in GPTQ and AWQ, written here by their formats, as gptqmodel computes with them on a CPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from interpboard.analyze import analyze
from interpboard.models.language_model import open_model
from interpboard.models.packed import is_packed
from interpboard.models.plain_linear import plain_linear
from tests.lm import TEXT
from tests.models.folders import Weights, edit_json
from tests.models.test_quantised import CORRUPTED, agrees_with_plain_hooks, needs, wide

GROUP = 32
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # in which eight numbers lie in a word
ABOUT: dict[str, dict[str, Any]] = {
    "gptq": {"desc_act": False, "sym": False, "checkpoint_format": "gptq"},
    "awq": {"zero_point": True, "version": "gemm"},
}


def words(numbers: torch.Tensor, dim: int, order: list[int] | None = None) -> torch.Tensor:
    """Numbers of four bits, eight to a word of 32 along ``dim``."""
    eights = numbers.long().movedim(dim, -1).unflatten(-1, (-1, 8))
    eights = eights if order is None else eights[..., order]
    found = (eights << (4 * torch.arange(8))).sum(-1)
    found = torch.where(found >= 2**31, found - 2**32, found).to(torch.int32)
    return found.movedim(-1, dim).contiguous()


def packed(weight: torch.Tensor, method: str) -> tuple[Weights, torch.Tensor]:
    """The tensors of a map in the file, by their last name, and the weight that they say."""
    groups = weight.unflatten(1, (-1, GROUP))
    high, low = groups.amax(2).clamp_min(0), groups.amin(2).clamp_max(0)
    scale = ((high - low) / 15).half()
    zero = (-low / scale.float()).round().clamp(1, 15)
    number = ((groups / scale.float()[..., None]).round() + zero[..., None]).clamp(0, 15)
    said = ((number - zero[..., None]) * scale.float()[..., None]).flatten(1)
    number = number.flatten(1).T
    scales = scale.T.contiguous()
    if method == "awq":
        return {
            "qweight": words(number, 1, AWQ_ORDER),
            "qzeros": words(zero.T, 1, AWQ_ORDER),
            "scales": scales,
        }, said
    return {
        "qweight": words(number, 0),
        "qzeros": words(zero.T - 1, 1),
        "scales": scales,
        "g_idx": (torch.arange(weight.shape[1]) // GROUP).int(),
    }, said


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_packed_checkpoint_is_its_numbers_times_its_scales_and_has_every_analysis(
    method: str, tmp_path: Path
) -> None:
    needs("gptqmodel", "optimum", "accelerate")
    folder = Path(shutil.copytree(wide(), tmp_path / method))
    out: Weights = {}
    said: Weights = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        if "proj" in name:
            parts, said[name] = packed(weight, method)
            out |= {f"{name.removesuffix('weight')}{part}": t for part, t in parts.items()}
        else:
            out[name] = weight
    save_file(out, folder / "model.safetensors", {"format": "pt"})
    about = {"quant_method": method, "bits": 4, "group_size": GROUP} | ABOUT[method]
    edit_json(folder / "config.json", quantization_config=about)
    lm = open_model(folder, "cpu")
    assert method in lm.info.quantization
    assert sum(map(is_packed, lm.model.modules())) == 21
    for layer, down in enumerate(lm.anatomy.down_proj):
        assert down is not None
        found = plain_linear(down)
        assert found is not None
        wanted = said[f"model.layers.{layer}.mlp.down_proj.weight"]
        assert torch.allclose(found[0].float(), wanted, atol=2e-3)  # it multiplies in float16
    agrees_with_plain_hooks(lm)
    names = ["circuit", "direct_logit_attribution", "lrp", "grad_x_input", "logit_lens"]
    for result in analyze(lm, TEXT, names, params={"circuit": {"corrupted": CORRUPTED}}).results:
        assert np.isfinite(result.values.astype(float)).all()
        assert result.values.astype(float).any()
