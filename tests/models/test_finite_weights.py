"""Every weight is looked at once for NaN and infinity, wherever in it they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.finite_weights import check_finite
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.load import load_model_and_tokenizer
from tests.models.folders import copied, edit_json, edit_weights, saved
from tests.tiny import tiny_model, tiny_tokenizer

FORMATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.integers(1, 200),
    st.data(),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
)
def test_one_number_that_is_not_finite_is_found_wherever_it_is(
    dtype: torch.dtype, size: int, data: st.DataObject, bad: float
) -> None:
    module = nn.Module()
    values = torch.linspace(-400, 400, size).to(dtype)
    module.weight = nn.Parameter(values.clone(), requires_grad=False)
    assert check_finite(module, "m") == ()
    place = data.draw(st.integers(0, size - 1))
    wide = values.double()
    wide[place] = float("nan") if dtype is torch.float8_e4m3fn else bad  # it has no infinity
    module.weight = nn.Parameter(wide.to(dtype), requires_grad=False)
    with pytest.raises(NotALanguageModel, match=f"of the {size} numbers of weight, 1 is"):
        check_finite(module, "m")


def test_large_numbers_that_only_add_up_to_infinity_are_finite() -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.full((1000,), 60000.0).half())
    assert check_finite(module, "m") == ()


def test_a_mask_may_hold_minus_infinity_but_no_buffer_may_hold_nan() -> None:
    module = nn.Module()
    module.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))
    assert check_finite(module, "m") == ()
    module.mask[0, 0] = float("nan")
    with pytest.raises(NotALanguageModel, match="of the 16 numbers of mask, 1 is NaN"):
        check_finite(module, "m")


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_no_buffer_may_hold_plus_infinity(dtype: torch.dtype) -> None:
    module = nn.Module()
    module.register_buffer("angles", torch.tensor([1.0, float("inf")], dtype=dtype))
    with pytest.raises(NotALanguageModel, match="of angles, 1 is infinite"):
        check_finite(module, "m")


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 0.0},
        {"rope_type": "default", "rope_theta": 1e-300},
        {"rope_type": "linear", "rope_theta": 1e4, "factor": 0.0},
    ],
)
def test_a_config_whose_rotary_frequencies_are_infinite_is_refused(
    rope: dict[str, Any], tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", rope_parameters=rope)
    with pytest.raises(
        NotALanguageModel, match=r"inv_freq, \d (is|are) infinite\. Is config\.json"
    ):
        load_model_and_tokenizer(folder, "cpu")


def test_weights_that_are_not_in_memory_are_counted() -> None:
    module = nn.Linear(3, 4, device="meta")
    assert check_finite(module, "m") == ("2 weights could not be looked at for NaN",)


@pytest.mark.parametrize(
    ("family", "name", "words"),
    [
        ("llama", "model.layers.1.self_attn.q_proj.weight", "1 is NaN"),
        ("gpt2", "transformer.h.2.ln_1.bias", "1 is NaN"),
        ("mixtral", "model.embed_tokens.weight", "1 is NaN"),
    ],
)
def test_a_nan_in_a_checkpoint_is_refused_by_the_name_of_its_tensor(
    family: str, name: str, words: str, tmp_path: Path
) -> None:
    folder = copied(family, tmp_path)

    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights[name].view(-1)[5] = float("nan")

    edit_weights(folder, spoil)
    with pytest.raises(NotALanguageModel) as caught:
        open_model(folder, "cpu")
    assert f"numbers of {name}, {words}" in str(caught.value)
    assert "--no-check-weights" in caught.value.remedy


def test_infinity_is_refused_and_told_apart_from_what_a_number_format_makes_infinite(
    tmp_path: Path,
) -> None:
    folder = copied("llama", tmp_path)

    def enlarge(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.0.mlp.up_proj.weight"][0, :2] = 1e6

    edit_weights(folder, enlarge)
    with pytest.raises(NotALanguageModel, match=r"2 are infinite\. Try --dtype float32"):
        open_model(folder, "cpu", "float16")
    assert open_model(folder, "cpu", "float32").info.notes == ()


def test_whoever_must_can_open_it_all_the_same(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)

    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["model.embed_tokens.weight"][7, 0] = float("nan")

    edit_weights(folder, spoil)
    with pytest.raises(NotALanguageModel, match=r"numbers of model\.embed_tokens\.weight"):
        load_model_and_tokenizer(folder, "cpu")
    model, _ = load_model_and_tokenizer(folder, "cpu", check_weights=False)
    assert model.model.embed_tokens.weight[7, 0].isnan()


def test_weights_that_nobody_looked_at_are_a_note() -> None:
    (note,) = open_model(saved("llama"), "cpu", check_weights=False).info.notes
    assert "--no-check-weights" in note
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    assert LanguageModel.of(model, tokenizer, check_weights=False).info.notes == (note,)
    assert LanguageModel.of(model, tokenizer).info.notes == ()


def test_a_model_handed_over_is_looked_at_too() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight[0, 0] = float("nan")
    with pytest.raises(NotALanguageModel, match=r"numbers of model\.layers\.1\.self_attn\.q_proj"):
        LanguageModel.of(model, tiny_tokenizer(), "mine")
