"""A model is its checkpoint: what its files hold beyond the model, or lack, is refused by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from interpboard.errors import NotALanguageModel, UnsafeWeights
from interpboard.models.checkpoint.notes import loading_notes
from interpboard.models.language_model import open_model
from interpboard.models.load import load_model_and_tokenizer
from interpboard.reproduce import command_line, python_lines
from interpboard.results import MetricRequest
from tests.models.folders import add, copied, edit_json, edit_weights, logits, refused, saved
from tests.tiny import FAMILIES, VOCAB, save_tiny, tiny_model, tiny_tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_that_is_saved_opens_again_with_the_same_logits(
    family: str, tmp_path: Path
) -> None:
    model, _ = load_model_and_tokenizer(save_tiny(tmp_path, family), "cpu")
    assert torch.equal(logits(model), logits(tiny_model(family)))


@pytest.mark.parametrize(
    ("config", "kind"), [("BertConfig", "BertForMaskedLM"), ("RobertaConfig", "RobertaForMaskedLM")]
)
def test_encoders_open_again_although_their_files_hold_a_pooler(
    config: str, kind: str, tmp_path: Path
) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = getattr(tf, kind)(
        getattr(tf, config)(vocab_size=VOCAB, intermediate_size=48, **shape)
    ).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    prefix = model.base_model_prefix
    edit_weights(tmp_path, lambda w: w | {f"{prefix}.pooler.dense.weight": torch.ones(32, 32)})
    opened = open_model(tmp_path, "cpu")
    assert torch.equal(logits(opened.model), logits(model))
    assert any("pooler" in note for note in opened.info.notes)


@pytest.mark.parametrize(
    ("family", "key", "depth", "count"), [("llama", "num_hidden_layers", 1, 18), ("gpt2", "n_layer", 2, 12)]
)  # fmt: skip
def test_layers_beyond_those_of_the_config_are_counted(
    family: str, key: str, depth: int, count: int, tmp_path: Path
) -> None:
    folder = copied(family, tmp_path)
    edit_json(folder / "config.json", **{key: depth})
    said = refused(folder)
    where = "layers 1 and 2" if depth == 1 else "layer 2"
    assert f"{count} tensors of {where}, where the config has {depth} layer" in said


def test_layers_that_the_files_lack_are_counted(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", num_hidden_layers=5)
    assert "lacks 18 of the weights a language model needs, in layers 3 and 4 of 5" in refused(
        folder
    )


def test_ten_million_layers_are_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", num_hidden_layers=10_000_000)
    monkeypatch.setattr("transformers.LlamaForCausalLM.__init__", None)
    assert "10000000 layers, the files hold tensors of 3" in refused(folder)


def lora(weights: dict[str, torch.Tensor]) -> None:
    stem = "model.layers.0.self_attn.q_proj"
    weights[f"{stem}.lora_A.default.weight"] = torch.zeros(2, 32)
    weights[f"{stem}.lora_B.default.weight"] = torch.zeros(32, 2)


def lora_around_its_base(weights: dict[str, torch.Tensor]) -> None:
    lora(weights)
    stem = "model.layers.0.self_attn.q_proj"
    weights[f"{stem}.base_layer.weight"] = weights.pop(f"{stem}.weight")


def quantised(weights: dict[str, torch.Tensor]) -> None:
    for name in [name for name in weights if "q_proj" in name]:
        del weights[name]
        weights[name.replace("weight", "qweight")] = torch.zeros(4, 32, dtype=torch.int32)
        weights[name.replace("weight", "scales")] = torch.ones(1, 32)


def in_int8(weights: dict[str, torch.Tensor]) -> None:
    for name in [name for name in weights if "q_proj" in name]:
        weights[name] = (weights[name] * 10).to(torch.int8)


def with_biases(weights: dict[str, torch.Tensor]) -> None:
    for layer in range(3):
        weights[f"model.layers.{layer}.self_attn.q_proj.bias"] = torch.ones(32)


def with_a_value_head(weights: dict[str, torch.Tensor]) -> None:
    weights["v_head.summary.weight"] = torch.zeros(1, 32)


def with_a_deeper_norm(weights: dict[str, torch.Tensor]) -> None:
    weights["model.layers.1.self_attn.q_norm.weight"] = torch.ones(8)


def transposed(weights: dict[str, torch.Tensor]) -> None:
    weights["model.layers.1.mlp.up_proj.weight"] = torch.zeros(32, 48)


def with_two_embeddings(weights: dict[str, torch.Tensor]) -> None:
    weights["embed_tokens.weight"] = torch.zeros(VOCAB, 32)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lora,
            "2 tensors of an adapter that is not merged (model.layers.0.self_attn.q_proj.lora_A",
        ),
        (lora_around_its_base, "lacks 1 of the weights a language model needs, in layer 0 of 3"),
        (lora_around_its_base, "3 tensors of an adapter that is not merged"),
        (quantised, "6 tensors of quantised weights, of which config.json says nothing"),
        (in_int8, "hold whole numbers where weights belong"),
        (with_biases, "3 biases that LlamaForCausalLM has no place for"),
        (with_a_value_head, "1 tensor of a head that predicts no tokens (v_head.summary.weight)"),
        (with_a_deeper_norm, "1 tensor that LlamaForCausalLM has no place for"),
        (transposed, "up_proj.weight is [32, 48] in the file and [48, 32] in the model"),
        (with_two_embeddings, "are for the same place in LlamaForCausalLM"),
    ],
)
def test_what_has_no_place_in_the_model_is_said_in_plain_words(
    edit: Callable[[dict[str, torch.Tensor]], None], words: str, tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    edit_weights(folder, edit)
    assert words in refused(folder)


def test_an_expert_too_few_is_a_mismatch_with_both_counts(tmp_path: Path) -> None:
    folder = copied("mixtral", tmp_path)
    lost = "model.layers.1.block_sparse_moe.experts.3.w1.weight"
    edit_weights(folder, lambda w: {n: t for n, t in w.items() if n != lost})
    assert "in the file and" in refused(folder)


def test_unused_weights_are_left_out_only_when_asked_and_every_result_says_so(
    tmp_path: Path,
) -> None:
    from interpboard.analyze import analyze

    folder = copied("llama", tmp_path)
    add(folder, v_head__summary__weight=torch.zeros(1, 32))
    lm = open_model(folder, "cpu", ignore_unused_weights=True)
    (note,) = lm.info.notes
    assert "v_head.summary.weight" in note
    assert "--ignore-unused-weights" in note
    document = analyze(lm, "The Eiffel Tower", analyses=("logit_lens",))
    assert document.model.notes == lm.info.notes
    assert "ignore_unused_weights=True" in python_lines(document, MetricRequest())
    assert "--ignore-unused-weights" in command_line(document, MetricRequest())
    assert note in repr(document)


@pytest.mark.parametrize("edit", [quantised, transposed, lora_around_its_base])
def test_what_the_model_lacks_is_refused_whatever_is_allowed(
    edit: Callable[[dict[str, torch.Tensor]], None], tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    edit_weights(folder, edit)
    refused(folder, ignore_unused_weights=True)


@pytest.mark.parametrize(
    "file",
    [
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapter_model-00001-of-00002.safetensors",
        "adapter_model.safetensors.index.json",
        "adapters.safetensors",
        "pytorch_adapter.bin",
        "pytorch_lora_weights.safetensors",
        "non_lora_trainables.bin",
    ],
)
def test_an_adapter_beside_the_weights_is_refused_with_a_remedy(file: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    (folder / file).write_text("{}")
    said = refused(folder)
    assert file in said
    assert "merge_and_unload" in said
    (folder / "config.json").unlink()  # an adapter alone; one of PEFT is opened with its base
    assert ("--adapter" if file == "adapter_config.json" else "merge_and_unload") in refused(folder)


@pytest.mark.parametrize("kind", ["GPT2ForQuestionAnswering", "GPT2Model"])
def test_an_architecture_without_a_language_model_head_is_not_opened_as_one(
    kind: str, tmp_path: Path
) -> None:
    config = tiny_model("gpt2").config
    getattr(tf, kind)(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert f"is a {kind}, which has no language-model head" in refused(tmp_path)


def test_the_same_folder_is_refused_by_its_head_where_the_config_names_no_architecture(
    tmp_path: Path,
) -> None:
    tf.GPT2ForSequenceClassification(tiny_model("gpt2").config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", architectures=None)
    assert "1 tensor of a head that predicts no tokens (score.weight)" in refused(tmp_path)


def test_another_class_than_the_config_names_is_a_note(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", architectures=["HomemadeLlamaForCausalLM"])
    lm = open_model(folder, "cpu")
    assert lm.info.notes == (
        "config.json says HomemadeLlamaForCausalLM; opened as LlamaForCausalLM",
    )


@pytest.mark.parametrize(
    "method", [{"quant_method": "homemade"}, {"quant_method": 5}, {"bits": 4}, "x"]
)
def test_quantisation_that_would_be_ignored_is_refused(method: object, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", quantization_config=method)
    assert "quanti" in refused(folder)


def test_a_pickled_checkpoint_is_accounted_for_from_what_was_loaded(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["v_head.summary.weight"] = torch.zeros(1, 32)
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "v_head.summary.weight" in refused(folder, allow_pickle=True)
    with pytest.raises(UnsafeWeights):
        load_model_and_tokenizer(folder)


def test_an_embedding_and_a_head_that_differ_are_both_used_though_the_config_ties_them(
    tmp_path: Path,
) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", tie_word_embeddings=True)
    model, _ = load_model_and_tokenizer(folder, "cpu")
    assert torch.equal(logits(model), logits(tiny_model("llama")))
    (note,) = loading_notes(model)
    assert (
        note == "config.json ties lm_head to the embedding; the files hold another, which is used"
    )


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for shard in "ab":
        save_file(weights, folder / f"model-{shard}.safetensors", {"format": "pt"})
    names = sorted(weights)
    half = {name: f"model-{'ab'[i % 2]}.safetensors" for i, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": half})
    )
    assert "is in model-a.safetensors and in model-b.safetensors" in refused(folder)


def test_safetensors_that_are_not_of_the_model_are_a_note(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    for name in ("value_head", "model.fp16", "consolidated"):
        (folder / f"{name}.safetensors").write_bytes(b"")
    model, _ = load_model_and_tokenizer(folder, "cpu")
    others = "consolidated.safetensors, model.fp16.safetensors, value_head.safetensors"
    assert loading_notes(model) == (f"also in the folder and not opened: {others}",)


def test_a_device_or_pipe_for_a_config_is_none_and_is_not_read(tmp_path: Path) -> None:
    config = copied("llama", tmp_path) / "config.json"
    config.unlink()
    config.symlink_to("/dev/zero")
    assert "holds no config.json" in refused(config.parent)
    config.unlink()
    os.mkfifo(config)
    assert "holds no config.json" in refused(config.parent)


def test_a_folder_that_is_sound_says_nothing() -> None:
    lm = open_model(saved("llama"), "cpu")
    assert lm.info.notes == ()
    with pytest.raises(NotALanguageModel):
        load_model_and_tokenizer(saved("llama").parent)
