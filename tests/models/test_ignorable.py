"""Tensors that a model may do without: each by a row of one table, and only with the values of that row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as tf

from interpboard.models.checkpoint.headers import TensorHeader
from interpboard.models.checkpoint.ignorable import TABLE, Surroundings, ignorable
from interpboard.models.checkpoint.notes import loading_notes
from interpboard.models.language_model import open_model
from interpboard.models.load import load_model_and_tokenizer
from tests.models.folders import add, copied, edit_json, edit_weights, logits, refused
from tests.tiny import VOCAB, tiny_model, tiny_tokenizer


def test_the_vision_part_of_a_checkpoint_opened_for_its_text_is_a_note(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    add(folder, vision_tower__encoder__layers__0__fc1__weight=torch.zeros(8, 8))
    assert "has no place for" in refused(folder)  # nothing says that it is multimodal
    edit_json(folder / "config.json", architectures=["SomeForConditionalGeneration"])
    lm = open_model(folder, "cpu")
    assert "not used of the checkpoint: parts for images or sound (1 tensor)" in lm.info.notes


def test_a_multimodal_checkpoint_opens_as_the_text_model_that_it_holds(tmp_path: Path) -> None:
    text = {
        "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 48, "head_dim": 8, "eos_token_id": None,
        "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
        "linear_value_head_dim": 8, "max_position_embeddings": 64,
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 4,
        "out_hidden_size": 32, "num_position_embeddings": 16,
    }  # fmt: skip
    config = tf.Qwen3_5Config(text_config=text, vision_config=vision, image_token_id=5)
    whole = tf.Qwen3_5ForConditionalGeneration(config)
    whole.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model, _ = load_model_and_tokenizer(tmp_path, "cpu")
    own = model.model.state_dict()
    assert all(own[n].equal(t) for n, t in whole.model.language_model.state_dict().items())
    assert any("parts for images or sound" in note for note in loading_notes(model))
    assert any("opened as Qwen3_5ForCausalLM" in note for note in loading_notes(model))


def test_keys_of_layers_that_share_those_of_an_earlier_one_may_be_left_out() -> None:
    around = Surroundings({"num_kv_shared_layers": 1}, 3, {}, frozenset(), False)
    name = "model.layers.{}.self_attn.k_proj.weight"
    tensors = [TensorHeader(name.format(n), "F32", (4, 4), Path()) for n in range(4)]
    found = [ignorable(tensor, tensor.name, around) is not None for tensor in tensors]
    assert found == [False, False, True, False]


def test_a_multimodal_model_whose_class_uses_its_vision_part_is_not_refused(tmp_path: Path) -> None:
    text = tf.Gemma3TextConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    vision = tf.SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        image_size=28, patch_size=14,
    )  # fmt: skip
    config = tf.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=9,
        boi_token_index=7, eoi_token_index=8,
    )  # fmt: skip
    tf.Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    model, _ = load_model_and_tokenizer(tmp_path, "cpu")
    assert type(model).__name__ == "Gemma3ForConditionalGeneration"
    deeper = "vision_tower.vision_model.encoder.layers.2.mlp.fc1.weight"
    edit_weights(tmp_path, lambda w: w | {deeper: torch.zeros(16, 16)})
    assert deeper.rpartition("layers")[2] in refused(tmp_path)


def test_layers_for_further_tokens_are_a_note_and_only_as_many_as_the_config_has(
    tmp_path: Path,
) -> None:
    folder = copied("deepseek_v3", tmp_path)
    edit_json(folder / "config.json", num_nextn_predict_layers=1)
    add(folder, model__layers__3__eh_proj__weight=torch.zeros(32, 64))
    lm = open_model(folder, "cpu")
    assert any("predict further tokens (1 tensor)" in note for note in lm.info.notes)
    add(folder, model__layers__4__eh_proj__weight=torch.zeros(32, 64))
    assert "1 tensor of layer 4" in refused(folder)


MASK = torch.ones(64, 64).tril()[None, None]
FREQUENCIES = 1 / (10000 ** (torch.arange(0, 8, 2) / 8))


def old_gpt2(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the hub's gpt2 is: no prefix, and the causal mask of every layer."""
    plain = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    for layer in range(3):
        plain[f"h.{layer}.attn.bias"] = MASK.clone()
        plain[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return plain


def old_llama(weights: dict[str, torch.Tensor]) -> None:
    for layer in range(3):
        weights[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = FREQUENCIES.half()


def old_gpt_neox(weights: dict[str, torch.Tensor]) -> None:
    for layer in range(3):
        stem = f"gpt_neox.layers.{layer}.attention"
        weights[f"{stem}.bias"] = MASK.bool()
        weights[f"{stem}.masked_bias"] = torch.tensor(-1e9)


def old_gpt_neo(weights: dict[str, torch.Tensor]) -> None:
    for layer in range(3):
        banded = MASK.bool() & ~torch.ones(64, 64).tril(-4).bool() if layer == 1 else MASK.bool()
        weights[f"transformer.h.{layer}.attn.attention.bias"] = banded.clone()
        weights[f"transformer.h.{layer}.attn.attention.masked_bias"] = torch.tensor(-1e9)


@pytest.mark.parametrize(
    ("family", "edit"),
    [
        ("gpt2", old_gpt2),
        ("llama", old_llama),
        ("gpt_neox", old_gpt_neox),
        ("gpt_neo", old_gpt_neo),
    ],
)
def test_buffers_that_older_files_hold_are_ignored_without_a_word(
    family: str, edit: Callable[..., dict[str, torch.Tensor] | None], tmp_path: Path
) -> None:
    folder = copied(family, tmp_path)
    edit_weights(folder, edit)
    lm = open_model(folder, "cpu")
    assert lm.info.notes == ()
    assert torch.equal(logits(lm.model), logits(tiny_model(family)))


@pytest.mark.parametrize(
    ("family", "name", "tensor", "words"),
    [
        ("gpt2", "transformer.h.0.attn.bias", torch.ones(1, 1, 64, 64), "than the causal mask"),
        ("gpt2", "transformer.h.0.attn.bias", torch.ones(32), "no place for"),
        ("gpt2", "transformer.h.0.attn.masked_bias", torch.tensor(1.0), "masked score"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", FREQUENCIES**2, "frequencies"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", torch.ones(32), "no place for"),
        ("llama", "model.position_ids", torch.arange(64).flip(0), "positions"),
        ("llama", "model.position_ids", torch.zeros(64), "no place for"),
    ],
)
def test_what_only_has_the_name_of_a_buffer_is_refused(
    family: str, name: str, tensor: torch.Tensor, words: str, tmp_path: Path
) -> None:
    folder = copied(family, tmp_path)
    edit_weights(folder, lambda w: w | {name: tensor})
    said = refused(folder)
    assert name in said
    assert words in said


def test_the_patterns_that_transformers_drops_hide_no_weight_of_ours(tmp_path: Path) -> None:
    """GPT-2 drops what matches ``attn.bias``, ``c_attn.bias`` of a fourth layer among it."""
    folder = copied("gpt2", tmp_path)
    add(folder, transformer__h__3__attn__c_attn__bias=torch.ones(96))
    assert "1 tensor of layer 3" in refused(folder)


def test_the_docs_list_every_kind_of_tensor_that_may_be_left_out() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    for row in TABLE:
        assert f"| {row.what}" in docs
        assert row.why in docs
