"""Packed weights: what is computed with them is what plain hooked forwards of the same model give."""

from __future__ import annotations

import shutil
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from interpboard.analyze import analyze
from interpboard.errors import (
    BadParameter,
    MissingPackage,
    NotALanguageModel,
)
from interpboard.models import libraries
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.packed import in_width, is_packed, out_width
from interpboard.models.plain_linear import plain_linear
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TEXT
from tests.models.folders import Weights, copied, edit_json, edit_weights, saved
from tests.plain_hooks import plain_metric
from tests.tiny import tiny_tokenizer

LIBRARY = {"4bit": "bitsandbytes", "8bit": "bitsandbytes", "int8": "torchao"}
CORRUPTED = TEXT.replace("Eiffel", "located")
MAP = "model.layers.0.self_attn.q_proj"
EDITS = [
    ("z", 0, 1), ("z", 2, 3), ("mlp_out", 1, None), ("attn_out", 2, None), ("neuron", 0, None),
    ("resid_post", 0, None), ("resid_pre", 2, None), ("q", 1, 2), ("pattern", 0, 0),
]  # fmt: skip


def needs(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed")


@lru_cache(maxsize=1)
def wide() -> Path:
    """A folder with a tiny Llama whose widths are multiples of bitsandbytes' block."""
    config = LlamaConfig(
        vocab_size=420, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=128, max_position_embeddings=64,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    folder = Path(mkdtemp()) / "wide"
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@lru_cache(maxsize=4)
def opened(quantize: str) -> LanguageModel:
    """The model with its weights packed. Shared: tests must leave it as it was."""
    needs(LIBRARY[quantize], "accelerate")
    return open_model(wide(), "cpu", quantize=quantize)


def agrees_with_plain_hooks(lm: LanguageModel) -> None:
    """Zeroing parts one at a time gives what a forward with a plain hook gives, to 1e-4."""
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    run = record(lm, prompt)
    there = [edit for edit in EDITS if edit[0] in lm.verified.at(edit[1])]
    assert len(there) >= 6
    cells = [(Edit(site, layer, "zero", head),) for site, layer, head in there]
    values = evaluate(run, cells, metric)
    for (site, layer, head), value in zip(there, values, strict=True):

        def act(x: torch.Tensor, head: int | None = head) -> torch.Tensor:
            x = x.clone()
            if head is None:
                return torch.zeros_like(x)
            x[:, :, head] = 0
            return x

        plain = plain_metric(lm, prompt, metric, [(site, layer, act)])
        assert value == pytest.approx(plain, rel=1e-4, abs=1e-4), (site, layer, head)
    assert len({round(float(v), 3) for v in values}) > 4


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
def test_edits_of_a_packed_model_are_what_plain_hooked_forwards_give(quantize: str) -> None:
    lm = opened(quantize)
    assert sum(map(is_packed, lm.model.modules())) == 21
    agrees_with_plain_hooks(lm)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
def test_a_packed_model_says_in_what_and_what_was_not_packed(quantize: str) -> None:
    lm = opened(quantize)
    assert lm.info.options.quantize == quantize
    assert {"4bit": "nf4", "8bit": "LLM.int8", "int8": "torchao"}[quantize] in lm.info.quantization
    (note,) = [note for note in lm.info.notes if "matrices are packed" in note]
    assert note.startswith("21 of 22 matrices are packed")
    assert note.endswith("not packed: lm_head")
    assert not any("looked at for NaN" in note for note in lm.info.notes)
    plain = open_model(wide(), "cpu")
    assert lm.parameters == plain.parameters
    assert lm.memory_bytes < plain.memory_bytes
    assert lm.info.weights  # of what is packed
    assert lm.info.weights != plain.info.weights
    assert "files:" not in lm.info.weights  # the files hold other numbers


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
def test_widths_and_weights_are_those_of_the_map_and_not_of_its_bytes(quantize: str) -> None:
    lm, plain = opened(quantize), open_model(wide(), "cpu")
    for module, own in zip(lm.anatomy.down_proj, plain.anatomy.down_proj, strict=True):
        assert module is not None
        assert own is not None
        assert (in_width(module), out_width(module)) == (128, 64)
        found = plain_linear(module)
        assert found is not None
        assert found[0].shape == (64, 128)
        weight: torch.Tensor = own.weight.detach()  # type: ignore[operator]
        error = float((found[0] - weight).abs().max() / weight.abs().max())
        assert 1e-5 < error < (0.16 if quantize == "4bit" else 0.005)
        x = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(module(x), x @ found[0].T, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("quantize", ["4bit", "int8"])
def test_direct_contributions_of_packed_maps_sum_to_the_logit(quantize: str) -> None:
    lm = opened(quantize)
    (result,) = analyze(lm, TEXT, ["direct_logit_attribution"]).results
    baseline = resolve_metric(lm, make_prompt(lm, TEXT), MetricRequest()).baseline
    assert result.values.sum() == pytest.approx(baseline, rel=1e-4)
    assert abs(float(result.extra["unexplained"].values)) < 1e-3


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
@pytest.mark.parametrize("analysis", ["logit_lens", "lrp", "grad_x_input", "attention"])
def test_analyses_that_pass_through_packed_maps_give_numbers(analysis: str, quantize: str) -> None:
    (result,) = analyze(opened(quantize), TEXT, [analysis]).results
    assert np.isfinite(result.values.astype(float)).all()
    assert result.values.astype(float).any()


@pytest.mark.parametrize("quantize", ["4bit", "int8"])
def test_a_circuit_of_packed_maps_is_found_and_as_faithful_as_it_says(quantize: str) -> None:
    lm = opened(quantize)
    params = {"circuit": {"corrupted": CORRUPTED}}
    (result,) = analyze(lm, TEXT, ["circuit"], params=params).results
    assert np.isfinite(result.values.astype(float)).all()


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrower_number_format_is_no_other_weight(dtype: str, quantize: str) -> None:
    needs(LIBRARY[quantize], "accelerate")
    lm = open_model(wide(), "cpu", dtype, quantize=quantize)
    assert lm.info.dtype == dtype
    assert lm.verified.sites >= {"z", "mlp_out", "resid_post"}


def test_experts_that_stay_as_they_are_are_named() -> None:
    """They lie in one tensor a layer, which the library does not pack: most of the model."""
    needs("torchao", "accelerate")
    lm = open_model(saved("mixtral"), "cpu", quantize="int8")
    (note,) = [note for note in lm.info.notes if "matrices are packed" in note]
    assert note.startswith("12 of 22 matrices are packed")
    assert "layers.0.mlp.experts.gate_up_proj" in note
    agrees_with_plain_hooks(lm)


def test_rows_of_llm_int8_run_alone_and_it_says_so() -> None:
    lm = opened("8bit")
    assert lm.verified.alone
    assert lm.anatomy.alone
    assert any("every run is made alone" in note for note in lm.info.notes)


def test_a_what_if_of_llm_int8_makes_each_of_its_runs_alone() -> None:
    lm = opened("8bit")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    expected = plain_metric(lm, prompt, metric, [("mlp_out", 1, torch.zeros_like)])
    given = {"interventions": "1.mlp=zero"}
    names = ["what_if", "edited_direct_attribution"]
    what_if, direct = analyze(lm, TEXT, names, params=dict.fromkeys(names, given)).results
    np.testing.assert_allclose(what_if.values, [metric.baseline, expected], rtol=1e-5)
    np.testing.assert_allclose(direct.values.sum(0), [metric.baseline, expected], rtol=1e-4)
    lens = what_if.extra["lens"].values
    assert (lens[0] != lens[1]).any()
    np.testing.assert_allclose(
        lens[0], analyze(lm, TEXT, ["logit_lens"]).results[0].values, rtol=1e-5
    )


def test_four_bits_are_right_to_their_rounding_or_refused_by_name() -> None:
    """A width of 32 is no multiple of the block of 64, which some kernels unpack wrongly."""
    needs("bitsandbytes", "accelerate")
    weight = load_file(saved("llama") / "model.safetensors")[f"{MAP}.weight"]
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    back = dequantize_4bit(*quantize_4bit(weight, blocksize=64, quant_type="nf4"))
    kernel_is_right = float((back - weight).abs().max() / weight.abs().max()) < 0.16
    if kernel_is_right:
        assert open_model(saved("llama"), "cpu", quantize="4bit").info.quantization
        return
    with pytest.raises(
        NotALanguageModel, match="of width 32, is unpacked to other numbers"
    ) as caught:
        open_model(saved("llama"), "cpu", quantize="4bit")
    assert "use int8" in caught.value.remedy


@pytest.mark.parametrize("quantize", ["4bit", "8bit", "int8"])
def test_a_nan_in_the_files_is_found_though_its_weight_is_packed(
    quantize: str, tmp_path: Path
) -> None:
    needs(LIBRARY[quantize], "accelerate")
    folder = Path(shutil.copytree(wide(), tmp_path / "nan"))

    def damage(weights: Weights) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = torch.nan

    edit_weights(folder, damage)
    with pytest.raises(NotALanguageModel):
        open_model(folder, "cpu", quantize=quantize)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantize": "3bit"}, "There is no format '3bit'"),
        ({"quantize": "int8", "dtype": "float64"}, "not unpacked to float64"),
        ({"quantize": "4bit", "gguf_file": "a.gguf"}, "packed already"),
        ({"adapter_state": "off"}, "There is no adapter to be off"),
        ({"adapter_state": "half"}, "An adapter cannot be 'half'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(
    options: dict[str, str], words: str
) -> None:
    with pytest.raises(BadParameter) as caught:
        open_model(wide(), "cpu", **options)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("quantize", "package"),
    [
        ("4bit", "bitsandbytes"),
        ("8bit", "bitsandbytes"),
        ("int8", "torchao"),
        ("int8", "accelerate"),
    ],
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(
    quantize: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        libraries, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    with pytest.raises(MissingPackage) as caught:
        open_model(wide(), "cpu", quantize=quantize)
    assert package in caught.value.message
    extra = "torchao" if quantize == "int8" else "bitsandbytes"
    assert caught.value.remedy == f"pip install 'interpboard[{extra}]'"


@pytest.mark.parametrize("method", ["gptq", "awq", "mxfp4", "compressed-tensors"])
def test_a_checkpoint_whose_library_is_missing_names_it(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda _name: None)
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(MissingPackage) as caught:
        open_model(folder, "cpu")
    assert method in caught.value.message
    assert caught.value.remedy == f"pip install 'interpboard[{method}]'"


@pytest.mark.parametrize("quantize", ["4bit", "int8"])
def test_a_model_without_maps_that_can_be_packed_is_refused(quantize: str) -> None:
    """GPT-2's maps are no linear modules: they would stay as they are without a word."""
    needs(LIBRARY[quantize], "accelerate")
    with pytest.raises(NotALanguageModel, match=r"packs none of the linear maps|other numbers"):
        open_model("demo", "cpu", quantize=quantize)
