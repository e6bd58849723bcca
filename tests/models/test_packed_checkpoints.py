"""Checkpoints that are packed already, and maps in formats that keep no ``weight``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import GptOssConfig, GptOssForCausalLM

from interpboard.analyze import analyze
from interpboard.errors import BadParameter, InterpBoardError, NotALanguageModel
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.plain_linear import plain_linear
from tests.lm import TEXT
from tests.models.folders import Weights, copied, edit_json, edit_weights, logits, saved
from tests.models.test_quantised import CORRUPTED, MAP, agrees_with_plain_hooks, needs, opened
from tests.tiny import tiny_model, tiny_tokenizer


def quantised_fp8(folder: Path) -> Path:
    """Make the folder's maps fp8 in blocks of 16, as DeepSeek's checkpoints are, with scales beside them."""
    weights = load_file(folder / "model.safetensors")
    packed: Weights = {}
    for name, weight in weights.items():
        if "proj" not in name:
            packed[name] = weight
            continue
        blocks = weight.unflatten(1, (-1, 16)).unflatten(0, (-1, 16))
        scale = blocks.abs().amax((1, 3)) / 448
        numbers = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn)
        packed[name] = numbers.reshape(weight.shape).contiguous()
        packed[f"{name}_scale_inv"] = scale.contiguous()
    save_file(packed, folder / "model.safetensors", {"format": "pt"})
    about = {
        "quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3",
        "weight_block_size": [16, 16],
    }  # fmt: skip
    edit_json(folder / "config.json", quantization_config=about)
    return folder


def test_an_fp8_checkpoint_is_unpacked_where_it_cannot_run_and_says_so(tmp_path: Path) -> None:
    needs("accelerate")
    folder = quantised_fp8(copied("llama", tmp_path))
    lm = open_model(folder, "cpu")
    assert lm.info.quantization == "fp8, unpacked to float32"
    assert any("were unpacked to float32" in note for note in lm.info.notes)
    assert any("inputs are not rounded to fewer bits" in note for note in lm.info.notes)
    stored = load_file(folder / "model.safetensors")
    for name, parameter in lm.model.named_parameters():
        if "proj" in name:
            scale = stored[f"{name}_scale_inv"]
            whole = scale.repeat_interleave(16, 0).repeat_interleave(16, 1)
            wanted = stored[name].float() * whole
            assert torch.allclose(parameter, wanted, rtol=1e-6)
    agrees_with_plain_hooks(lm)


def test_an_fp8_checkpoint_without_its_scales_is_refused(tmp_path: Path) -> None:
    needs("accelerate")
    folder = quantised_fp8(copied("llama", tmp_path))
    edit_weights(
        folder,
        lambda weights: {n: t for n, t in weights.items() if "up_proj.weight_scale" not in n},
    )
    with pytest.raises(InterpBoardError):
        open_model(folder, "cpu")


def test_a_packed_checkpoint_is_not_packed_again(tmp_path: Path) -> None:
    needs("accelerate", "torchao")
    folder = quantised_fp8(copied("llama", tmp_path))
    with pytest.raises(BadParameter, match="are in fp8 already"):
        open_model(folder, "cpu", quantize="int8")


# What four bits stand for: a sign, two bits of exponent, one of mantissa.
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def packed_mxfp4(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Blocks [expert, out, group, 16], scales, and what they say [expert, in, out], as gpt-oss is shared."""
    groups = weight.transpose(1, 2).unflatten(-1, (-1, 32))
    powers = torch.ceil(torch.log2(groups.abs().amax(-1) / 6))
    codes = ((groups / 2 ** powers[..., None])[..., None] - FP4).abs().argmin(-1)
    blocks = (codes[..., 0::2] | (codes[..., 1::2] << 4)).to(torch.uint8)
    said = (FP4[codes] * 2 ** powers[..., None]).flatten(-2).transpose(1, 2)
    return blocks.contiguous(), (powers + 127).to(torch.uint8), said


def test_an_mxfp4_checkpoint_is_unpacked_to_its_codes_times_its_scales(tmp_path: Path) -> None:
    needs("accelerate")
    torch.manual_seed(0)
    config = GptOssConfig(
        vocab_size=420, hidden_size=64, intermediate_size=32, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=4,
        num_experts_per_tok=2, max_position_embeddings=64, sliding_window=8,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = GptOssForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    said: Weights = {}
    packed: Weights = {}
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            blocks, scales, said[name] = packed_mxfp4(weight)
            packed |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        else:
            packed[name] = said[name] = weight
    save_file(packed, tmp_path / "model.safetensors", {"format": "pt"})
    edit_json(tmp_path / "config.json", quantization_config={"quant_method": "mxfp4"})
    lm = open_model(tmp_path, "cpu")
    assert lm.info.quantization == "mxfp4, unpacked to float32"
    for name, parameter in lm.model.named_parameters():
        assert torch.equal(parameter, said[name]), name
    agrees_with_plain_hooks(lm)


class _Packed(nn.Module):
    """A linear map as GPTQ and AWQ have it: whole numbers and scales, and no ``weight``."""

    def __init__(self, of: nn.Linear, rounds: bool = False, half: bool = False) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rounds = of.in_features, of.out_features, rounds
        scale = of.weight.detach().abs().amax(1, keepdim=True) / 127
        scale = scale.half() if half else scale
        self.register_buffer("scales", scale)
        self.register_buffer("qweight", (of.weight.detach() / scale).round().to(torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.rounds:
            x = (x * 8).round() / 8
        weight: torch.Tensor = self.qweight * self.scales  # type: ignore[operator]
        return (x.to(weight) @ weight.T).to(x)


def packed_by_hand(rounds: bool = False, half: bool = False) -> LanguageModel:
    model = tiny_model("llama")
    for layer in model.model.layers:
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(layer.self_attn, part, _Packed(getattr(layer.self_attn, part), rounds, half))
        for part in ("gate_proj", "up_proj", "down_proj"):
            setattr(layer.mlp, part, _Packed(getattr(layer.mlp, part), rounds, half))
    return LanguageModel.of(model, tiny_tokenizer(), "packed")


def test_maps_without_a_weight_are_found_by_their_widths_and_read_by_calling_them() -> None:
    lm = packed_by_hand()
    assert {"z", "neuron", "attn_out", "mlp_out"} <= lm.verified.sites
    assert lm.info.weights
    agrees_with_plain_hooks(lm)
    for down in lm.anatomy.down_proj:
        assert isinstance(down, _Packed)
        found = plain_linear(down)
        assert found is not None
        assert torch.allclose(found[0], down.qweight * down.scales)  # type: ignore[operator]
    (result,) = analyze(lm, TEXT, ["circuit"], params={"circuit": {"corrupted": CORRUPTED}}).results
    assert np.isfinite(result.values.astype(float)).all()


def test_circuits_and_gradients_pass_maps_that_multiply_in_a_narrower_format_than_the_stream() -> (
    None
):
    """GPTQ and AWQ keep scales in float16 and multiply so, whatever the rest of the model is in."""
    lm = packed_by_hand(half=True)
    found = plain_linear(lm.anatomy.out_proj[0])
    assert found is not None
    assert found[0].dtype == torch.float16
    names = ["circuit", "lrp", "grad_x_input"]
    for result in analyze(lm, TEXT, names, params={"circuit": {"corrupted": CORRUPTED}}).results:
        assert np.isfinite(result.values.astype(float)).all()


def test_a_map_that_does_more_than_multiply_is_not_read_as_a_weight() -> None:
    module = packed_by_hand(rounds=True).anatomy.down_proj[0]
    assert isinstance(module, _Packed)
    assert plain_linear(module) is None


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_a_config_that_calls_whole_weights_packed_is_refused_or_said(
    bits: str, tmp_path: Path
) -> None:
    """bitsandbytes would fail in the middle of a run; others open the whole weights as they are."""
    needs("bitsandbytes", "accelerate")
    folder = copied("llama", tmp_path)
    edit_json(
        folder / "config.json", quantization_config={"quant_method": "bitsandbytes", bits: True}
    )
    with pytest.raises(
        NotALanguageModel, match="packed by bitsandbytes, and the files hold it whole"
    ):
        open_model(folder, "cpu")
    edit_json(folder / "config.json", quantization_config={"quant_method": "fp8"})
    lm = open_model(folder, "cpu")
    assert lm.info.quantization == ""
    assert (
        "config.json says that the weights are in fp8; the files hold them whole" in lm.info.notes
    )
    assert torch.equal(logits(lm.model), logits(tiny_model("llama")))


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
def test_a_checkpoint_that_was_saved_packed_opens_as_it_was(quantize: str, tmp_path: Path) -> None:
    lm = opened(quantize)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = open_model(tmp_path, "cpu")
    assert torch.equal(logits(again.model), logits(lm.model))
    words = {"4bit": "4-bit nf4 (bitsandbytes)", "8bit": "LLM.int8", "int8": "torchao"}[quantize]
    assert words in again.info.quantization
    assert "files:" in again.info.weights
    assert again.verified.alone is (quantize == "8bit")


def test_a_packed_checkpoint_that_a_kernel_unpacks_wrongly_is_refused(tmp_path: Path) -> None:
    """Nobody has its whole weights: its own bytes and scales say what it is."""
    needs("bitsandbytes", "accelerate")
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    model = AutoModelForCausalLM.from_pretrained(
        saved("llama"), quantization_config=how, device_map={"": "cpu"}
    )
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    weight = load_file(saved("llama") / "model.safetensors")[f"{MAP}.weight"]
    back = dequantize_4bit(*quantize_4bit(weight, blocksize=64, quant_type="nf4"))
    if float((back - weight).abs().max() / weight.abs().max()) < 0.16:
        assert open_model(tmp_path, "cpu").info.quantization == "4-bit nf4 (bitsandbytes)"
        return
    with pytest.raises(NotALanguageModel, match="other numbers than its bytes and scales say"):
        open_model(tmp_path, "cpu")
