"""Checkpoints of compressed-tensors, written here by their format: each map is its bytes times its scales."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from interpboard.analyze import analyze
from interpboard.errors import NotALanguageModel
from interpboard.models.language_model import open_model
from tests.lm import TEXT
from tests.models.folders import Weights, copied, edit_json, edit_weights
from tests.models.test_quantised import agrees_with_plain_hooks, needs

GROUP = 16
INT4: dict[str, Any] = {
    "num_bits": 4, "type": "int", "strategy": "group", "group_size": GROUP, "symmetric": True,
}  # fmt: skip
INT8: dict[str, Any] = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
FP8: dict[str, Any] = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}
TOKENS: dict[str, Any] = {
    "num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True,
}  # fmt: skip
FORMAT = {"int4": "pack-quantized", "int8": "int-quantized", "fp8": "float-quantized"}
ARGUMENTS = {"int4": INT4, "int8": INT8, "fp8": FP8}


def packed(weight: torch.Tensor, how: str) -> tuple[Weights, torch.Tensor]:
    """The tensors beside each other in a file, by their last name, and the weight that they say."""
    if how == "int4":
        scale = weight.unflatten(1, (-1, GROUP)).abs().amax(2) / 7
    else:
        scale = weight.abs().amax(1, keepdim=True) / (127 if how == "int8" else 448)
    scale = scale.bfloat16()  # as in the files that people share
    whole = scale.float().repeat_interleave(weight.shape[1] // scale.shape[1], 1)
    if how == "fp8":
        numbers = (weight / whole).clamp(-448, 448).to(torch.float8_e4m3fn)
        return {"weight": numbers, "weight_scale": scale}, numbers.float() * whole
    numbers = (weight / whole).round().clamp(-7 if how == "int4" else -127, 127)
    said = numbers * whole
    if how == "int8":
        return {"weight": numbers.to(torch.int8), "weight_scale": scale}, said
    nibbles = (numbers.long() + 8).unflatten(1, (-1, 8)) << (4 * torch.arange(8))
    words = nibbles.sum(2)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    shape = torch.tensor(weight.shape)
    return {"weight_packed": words, "weight_scale": scale, "weight_shape": shape}, said


def written(to: Path, groups: dict[str, str], inputs: dict[str, Any] | None = None) -> Weights:
    """Write a tiny Llama to the folder ``to``, maps whose name holds a key of ``groups`` packed so.

    Returns the weights that its bytes and scales say.
    """
    needs("compressed_tensors", "accelerate")
    folder = copied("llama", to.parent)
    folder.rename(to)
    said: Weights = {}
    out: Weights = {}
    for name, weight in load_file(to / "model.safetensors").items():
        how = next((how for part, how in groups.items() if part in name), None)
        if how is None or "proj" not in name:
            out[name] = said[name] = weight
            continue
        parts, said[name] = packed(weight, how)
        out |= {f"{name.removesuffix('weight')}{part}": t for part, t in parts.items()}
    save_file({n: t.contiguous() for n, t in out.items()}, to / "model.safetensors")
    about = {
        f"group_{i}": {
            "targets": [f"re:.*{part}.*"], "format": FORMAT[how], "weights": ARGUMENTS[how],
            "input_activations": inputs, "output_activations": None,
        }
        for i, (part, how) in enumerate(groups.items())
    }  # fmt: skip
    formats = {FORMAT[how] for how in groups.values()}
    edit_json(
        to / "config.json",
        quantization_config={
            "quant_method": "compressed-tensors", "config_groups": about, "ignore": ["lm_head"],
            "format": formats.pop() if len(formats) == 1 else "mixed-precision",
            "quantization_status": "compressed",
        },
    )  # fmt: skip
    return said


def group(folder: Path, **changes: Any) -> None:
    """Change the first group of the configuration in ``folder``."""
    about = json.loads((folder / "config.json").read_text())["quantization_config"]
    about["config_groups"]["group_0"] |= changes
    edit_json(folder / "config.json", quantization_config=about)


@pytest.mark.parametrize(
    "groups",
    [{"proj": "int4"}, {"proj": "int8"}, {"proj": "fp8"}, {"self_attn": "fp8", "mlp": "int4"}],
    ids=["int4", "int8", "fp8", "mixed"],
)
def test_every_map_is_its_bytes_times_its_scales(groups: dict[str, str], tmp_path: Path) -> None:
    said = written(tmp_path / "packed", groups)
    lm = open_model(tmp_path / "packed", "cpu", "float32")
    assert lm.info.quantization == "compressed-tensors, unpacked to float32"
    for name, parameter in lm.model.named_parameters():
        assert torch.equal(parameter, said[name].float()), name
    assert not any("could not be held" in note or "rounded" in note for note in lm.info.notes)
    if len(groups) > 1:
        agrees_with_plain_hooks(lm)


def test_inputs_that_a_server_would_round_are_left_and_it_says_so(tmp_path: Path) -> None:
    """The library rounds them where no gradient passes: saliency would be zero without a word."""
    written(tmp_path / "packed", {"proj": "int8"}, TOKENS)
    lm = open_model(tmp_path / "packed", "cpu")
    (note,) = [note for note in lm.info.notes if "rounded" in note]
    assert note.startswith("inputs are not rounded to fewer bits")
    agrees_with_plain_hooks(lm)
    (plain,) = analyze(lm, TEXT, ["grad_x_input"]).results
    assert abs(plain.values.astype(float)).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transform_config": {"config_groups": {"R1": {"type": "hadamard"}}}}, "are rotated"),
        ({"sparsity_config": {"format": "sparse-24-bitmask"}}, "are sparse"),
    ],
)
def test_what_would_be_left_out_without_a_word_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = tmp_path / "packed"
    written(folder, {"proj": "int8"})
    about = json.loads((folder / "config.json").read_text())["quantization_config"]
    edit_json(folder / "config.json", quantization_config=about | changes)
    with pytest.raises(NotALanguageModel, match=words):
        open_model(folder, "cpu")


def test_packed_zero_points_are_refused_by_name(tmp_path: Path) -> None:
    written(tmp_path / "packed", {"proj": "int4"})
    group(tmp_path / "packed", weights=INT4 | {"symmetric": False})
    with pytest.raises(NotALanguageModel, match="packed with zero points"):
        open_model(tmp_path / "packed", "cpu")


@pytest.mark.parametrize("missing", ["weight_scale", "weight_packed"])
def test_a_map_that_lacks_a_part_is_refused(missing: str, tmp_path: Path) -> None:
    written(tmp_path / "packed", {"proj": "int4"})

    def without(weights: Weights) -> Weights:
        return {n: t for n, t in weights.items() if n != f"model.layers.1.mlp.up_proj.{missing}"}

    edit_weights(tmp_path / "packed", without)
    with pytest.raises(NotALanguageModel):
        open_model(tmp_path / "packed", "cpu")


def test_an_order_of_columns_that_the_library_ignores_is_refused(tmp_path: Path) -> None:
    """Older files keep which group each column belongs to; without it the weights are others."""
    written(tmp_path / "packed", {"proj": "int4"})

    def ordered(weights: Weights) -> Weights:
        order = torch.arange(32, dtype=torch.int32).flip(0)
        return weights | {"model.layers.0.mlp.up_proj.weight_g_idx": order}

    edit_weights(tmp_path / "packed", ordered)
    with pytest.raises(NotALanguageModel, match="weight_g_idx"):
        open_model(tmp_path / "packed", "cpu")
