"""A damaged folder is the user's to mend: one line of ours that says what is wrong, whatever it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from interpboard.errors import InterpBoardError, NotALanguageModel, UnknownModel, UnsafeWeights
from interpboard.models.checkpoint.notes import loading_notes
from interpboard.models.load import load_model_and_tokenizer
from tests.models.folders import LFS_POINTER, SHARD, copied, edit_json, saved, with_index
from tests.tiny import save_tiny


def refused(folder: Path | str, kind: type[InterpBoardError] = NotALanguageModel) -> str:
    with pytest.raises(kind) as caught:
        load_model_and_tokenizer(folder, "cpu")
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("null", "holds null where a JSON object belongs"),
        ("5", "holds a number where a JSON object belongs"),
        ("[]", "holds a list where a JSON object belongs"),
        ("{", "is not JSON"),
        ("[" * 200_000, "nests too deeply"),
        ('{"a":' * 300 + "1" + "}" * 300, "nests deeper than a configuration does"),
        ("\udcff", "is not JSON"),
    ],
)
def test_a_config_that_is_no_object_is_refused(content: str, words: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    (folder / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    assert words in refused(folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hidden_size", None, "hidden_size is None, not a number of dimensions"),
        ("hidden_size", "x", "hidden_size is 'x', not a number of dimensions"),
        ("hidden_size", 10**9, "[420, 32] in the file and [420, 1000000000] in the model"),
        ("num_hidden_layers", 2.5, "num_hidden_layers is 2.5, not a number of layers"),
        ("num_hidden_layers", 0, "num_hidden_layers is 0, not a number of layers"),
        ("num_hidden_layers", True, "num_hidden_layers is True, not a number of layers"),
        ("num_attention_heads", 0, "num_attention_heads is 0, not a number of attention heads"),
        ("num_attention_heads", 7, "attention heads (7)"),
        ("num_key_value_heads", 0, "config.json"),
        ("num_key_value_heads", 3, "in the file and"),
        ("vocab_size", 10**12, "[420, 32] in the file and [1000000000000, 32] in the model"),
        ("architectures", 5, "architectures is 5, not a list of class names"),
        ("architectures", [None], "architectures is [None], not a list of class names"),
        ("hidden_act", "zzz", "it names 'zzz', which transformers does not know"),
        ("dtype", "float12", "float12"),
        ("rope_parameters", {"rope_type": "zzz", "rope_theta": 1e4}, "it names 'zzz'"),
        ("rope_parameters", 5, "rope_parameters"),
        ("quantization_config", "x", "quantization_config is 'x', not an object"),
        ("rms_norm_eps", float("nan"), "rms_norm_eps is no number (NaN)"),
        ("model_type", 5, "model type `5`"),
        ("head_dim", 0, "config.json"),
        ("id2label", 5, "config.json"),
        ("text_config", {}, "config.json"),
        ("auto_map", "x", "auto_map is 'x', not an object"),
        ("attn_implementation", "zzz", "zzz"),
    ],
)
def test_a_config_that_describes_no_model_names_what_is_wrong(
    key: str, value: Any, words: str, tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", **{key: value})
    assert words in refused(folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("n_embd", None, "n_embd is None"),
        ("n_layer", 2.5, "n_layer is 2.5"),
        ("n_head", 7, "must be divisible by num_heads"),
        ("activation_function", "zzz", "it names 'zzz'"),
        ("n_positions", 10**12, "[64, 32] in the file and [1000000000000, 32] in the model"),
        ("layer_norm_epsilon", "x", "layer_norm_epsilon"),
    ],
)
def test_the_same_sizes_by_another_family_s_names(
    key: str, value: Any, words: str, tmp_path: Path
) -> None:
    folder = copied("gpt2", tmp_path)
    edit_json(folder / "config.json", **{key: value})
    assert words in refused(folder)


def test_a_config_that_asks_for_tuples_opens_the_same_model(tmp_path: Path) -> None:
    folder = copied("gpt2", tmp_path)
    edit_json(folder / "config.json", return_dict=False)
    model, tokenizer = load_model_and_tokenizer(folder, "cpu")
    assert model(**tokenizer("The", return_tensors="pt")).logits.shape[-1] == 420


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tokenizer.json", "null", "tokenizer.json holds null where a JSON object belongs"),
        ("tokenizer.json", "{}", "holds no tokenizer that loads"),
        ("tokenizer.json", '{"added_tokens": [], "model": null}', "holds no tokenizer that loads"),
        ("tokenizer.json", "[" * 200_000, "tokenizer.json nests too deeply"),
        ("tokenizer_config.json", "[]", "tokenizer_config.json holds a list"),
        ("tokenizer_config.json", "5", "tokenizer_config.json holds a number"),
        ("special_tokens_map.json", "[1]", "special_tokens_map.json holds a list"),
        ("added_tokens.json", "[1]", "added_tokens.json holds a list"),
        ("generation_config.json", "null", "generation_config.json holds null"),
    ],
)
def test_small_files_that_are_not_what_they_should_be_are_named(
    file: str, content: str, words: str, tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    (folder / file).write_text(content)
    assert words in refused(folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tokenizer_class", 5, "tokenizer_class is 5, not the name of a class"),
        ("model_max_length", "x", "model_max_length is 'x', not a number"),
        ("bos_token", 5, "bos_token is 5, not a text"),
        ("added_tokens_decoder", 5, "added_tokens_decoder is 5, not an object"),
        ("padding_side", "x", "Padding side"),
        ("model_input_names", 5, "holds no tokenizer that loads"),
    ],
)
def test_tokenizer_settings_of_the_wrong_kind_are_named(
    key: str, value: Any, words: str, tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "tokenizer_config.json", **{key: value})
    assert words in refused(folder)


def test_a_tokenizer_that_wants_its_own_code_is_said_to_want_it(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    (folder / "tokenizer.json").unlink()
    own = {"AutoTokenizer": ["homemade.HomeTokenizer", None]}
    edit_json(folder / "tokenizer_config.json", tokenizer_class="HomeTokenizer", auto_map=own)
    (folder / "homemade.py").write_text("raise SystemExit('this must not run')\n")
    said = refused(folder, UnsafeWeights)
    assert "The tokenizer of" in said
    assert "wants to run code of its own" in said


@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
def test_a_git_lfs_pointer_is_said_to_be_one(file: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    (folder / file).write_text(LFS_POINTER)
    said = refused(folder, UnknownModel)
    assert f"{file} is a Git LFS pointer of {len(LFS_POINTER)} bytes" in said
    assert "git lfs pull" in said


def test_a_git_lfs_pointer_among_the_shards_and_for_the_index_is_said_to_be_one(
    tmp_path: Path,
) -> None:
    folder = copied("llama", tmp_path)
    with_index(folder, {"a": SHARD})
    (folder / SHARD).write_text(LFS_POINTER)
    assert SHARD in refused(folder, UnknownModel)
    (folder / "model.safetensors.index.json").write_text(LFS_POINTER)
    assert "index.json is a Git LFS pointer" in refused(folder, UnknownModel)


@pytest.mark.parametrize(
    ("named", "kind", "words"),
    [
        ("x.bin", UnsafeWeights, "names 'x.bin', which is not safetensors"),
        ("x.safetensors.pkl", UnsafeWeights, "is not safetensors"),
        (
            "../x.safetensors",
            UnsafeWeights,
            "names '../x.safetensors', which is outside the folder",
        ),
        ("/etc/x.safetensors", UnsafeWeights, "is outside the folder"),
        ("sub/x.safetensors", UnsafeWeights, "is outside the folder"),
        ("x.safetensors", UnknownModel, "x.safetensors is missing"),
        (5, NotALanguageModel, "a weight_map names one file a tensor"),
        ("", UnsafeWeights, "is outside the folder"),
    ],
)
def test_an_index_leads_nowhere_but_to_safetensors_in_the_folder(
    named: Any, kind: type[InterpBoardError], words: str, tmp_path: Path
) -> None:
    folder = copied("llama", tmp_path)
    (folder / "x.bin").write_bytes(b"\x80\x04.")
    with_index(folder, {"lm_head.weight": SHARD, "model.norm.weight": named})
    assert words in refused(folder, kind)


@pytest.mark.parametrize(
    "content", ["null", "{}", '{"weight_map": []}', "{", '{"weight_map": {"a": "b"}}']
)
def test_an_index_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    with_index(folder, {})
    (folder / "model.safetensors.index.json").write_text(content)
    assert "index.json" in refused(folder)


def test_an_index_that_promises_more_than_its_files_hold_is_refused(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    with_index(folder, {"lm_head.weight": SHARD, "model.layers.9.weight": SHARD})
    assert "lack 1 of the tensors that the index names (model.layers.9.weight)" in refused(folder)


def test_shards_open_as_the_single_file_does(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    with_index(folder, {"lm_head.weight": SHARD})
    model, _ = load_model_and_tokenizer(folder, "cpu")
    same, _ = load_model_and_tokenizer(saved("llama"), "cpu")
    assert all(a.equal(b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_a_single_file_beside_an_index_is_the_model_and_a_note_says_so(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    index = {"metadata": {}, "weight_map": {"lm_head.weight": SHARD}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    model, _ = load_model_and_tokenizer(folder, "cpu")
    (note,) = loading_notes(model)
    assert note.startswith("model.safetensors was opened")


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_not(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    weights = folder / "model.safetensors"
    weights.rename(folder / "other.safetensors")
    weights.symlink_to("other.safetensors")
    load_model_and_tokenizer(folder, "cpu")
    (folder / "other.safetensors").rename(tmp_path / "other.safetensors")
    weights.unlink()
    weights.symlink_to(tmp_path / "other.safetensors")
    assert "is a link to" in refused(folder, UnsafeWeights)


@pytest.mark.parametrize("name", ["x.bin", "../other/model.safetensors", 5])
def test_a_config_cannot_lead_to_weights_elsewhere(name: Any, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    edit_json(folder / "config.json", transformers_weights=name)
    assert "wants its weights from" in refused(folder, UnsafeWeights)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "no header"),
        (b"\xff" * 40, "no header"),
        (b"\x02\0\0\0\0\0\0\0[]", "no table of tensors"),
        (b"\x02\0\0\0\0\0\0\0{}", "holds no tensor"),
        (b"\x02\0\0\0\0\0\0\0{]", "header is not JSON"),
    ],
)
def test_weights_with_a_damaged_header_are_named(header: bytes, words: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    (folder / "model.safetensors").write_bytes(header)
    assert words in refused(folder)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8000]}, "the file is cut short"),
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, "which is not its shape"),
        ({"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}, "cannot be read"),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, "cannot be read"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [None, 8]}, "cannot be read"),
        ({"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}, "cannot be read"),
        (5, "cannot be read"),
    ],
)
def test_a_damaged_entry_of_a_header_is_named(entry: Any, words: str, tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    table = json.dumps({"lm_head.weight": entry}).encode()
    raw = len(table).to_bytes(8, "little") + table + bytes(8)
    (folder / "model.safetensors").write_bytes(raw)
    said = refused(folder)
    assert "'lm_head.weight'" in said
    assert words in said


@pytest.mark.parametrize("name", ["x" * 256, "a/" + "x" * 300, "nul\0byte", "owner/" + "é" * 200])
def test_a_name_that_no_file_can_have_is_no_model_name(name: str) -> None:
    assert "is no model name" in refused(name, UnknownModel) or "Cannot look" in refused(
        name, UnknownModel
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m")
    (folder / "config.json").chmod(0)
    assert "Cannot read" in refused(folder, UnknownModel)


def test_other_formats_of_weights_are_said_to_be_others(tmp_path: Path) -> None:
    folder = copied("llama", tmp_path)
    weights = folder / "model.safetensors"
    weights.rename(folder / "consolidated.safetensors")
    assert "there is consolidated.safetensors" in refused(folder, UnknownModel)
    (folder / "shard-00000-model-00001-of-00001.safetensors").write_bytes(b"")
    assert "distributed training checkpoint" in refused(folder)
