"""Fingerprints: the same for the same weights in any form, another as soon as something material changes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from interpboard.errors import BadParameter
from interpboard.files import fingerprint
from interpboard.files.fingerprint import BLOCK, FingerprintMatch, compare
from interpboard.models.fingerprints import (
    Origin,
    check_origin,
    check_resumed,
    files_of,
    tokenizer_of,
    weights_of,
)
from interpboard.models.language_model import LanguageModel, open_model
from tests.lm import tiny_lm
from tests.tiny import save_tiny, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as ``save_pretrained`` leaves it."""
    return save_tiny(tmp_path_factory.mktemp("tiny"), "llama")


@lru_cache
def opened(folder: Path, dtype: str) -> str:
    return open_model(folder, dtype=dtype).info.weights


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_a_checkpoint_is_the_same_in_every_number_format_and_handed_over(
    dtype: str, folder: Path
) -> None:
    model = tiny_model("llama")
    handed = LanguageModel.of(model, tiny_tokenizer()).info
    assert compare(opened(folder, dtype), opened(folder, "float32")) is FingerprintMatch.same
    if dtype == "float16":  # rounded to it first, bfloat16 may hold another number: not known
        assert compare(opened(folder, dtype), handed.weights) is not FingerprintMatch.other
        half = LanguageModel.of(model.half(), tiny_tokenizer()).info.weights
        assert compare(half, handed.weights) is FingerprintMatch.unknown
    else:
        assert compare(opened(folder, dtype), handed.weights) is FingerprintMatch.same
    assert handed.tokenizer == open_model(folder).info.tokenizer != ""


def test_the_same_checkpoint_saved_again_in_shards_or_in_another_format_is_the_same(
    folder: Path, tmp_path: Path
) -> None:
    model = open_model(folder).model
    before = opened(folder, "float32")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    shards = fingerprint.joined(files_of(model, tmp_path / "shards"), weights_of(model))
    assert shards == before
    model.to(torch.float64).save_pretrained(tmp_path / "wide")
    wide = fingerprint.joined(files_of(model, tmp_path / "wide"), weights_of(model))
    assert wide.split()[0] != before.split()[0]
    assert compare(wide, before) is FingerprintMatch.same


def zero_a_neuron(model: Any) -> None:
    model.model.layers[1].mlp.up_proj.weight.data[5] = 0


def zero_a_column(model: Any) -> None:
    model.model.layers[2].mlp.down_proj.weight.data[:, 7] = 0


def swap_layers(model: Any) -> None:
    layers = model.model.layers
    first = {name: value.clone() for name, value in layers[0].state_dict().items()}
    layers[0].load_state_dict(layers[1].state_dict())
    layers[1].load_state_dict(first)


def step_of_training(model: Any) -> None:
    for parameter in model.parameters():
        parameter.data.add_(1e-4 * torch.randn_like(parameter))


def forget_a_token(model: Any) -> None:
    model.model.embed_tokens.weight.data[300] = 0


def rank_one(model: Any) -> None:
    weight = model.model.layers[0].mlp.down_proj.weight
    weight.data.add_(0.01 * torch.outer(torch.ones(weight.shape[0]), torch.ones(weight.shape[1])))


def a_norm(model: Any) -> None:
    model.model.norm.weight.data[31] += 0.1


CHANGES = (
    zero_a_neuron, zero_a_column, swap_layers, step_of_training, forget_a_token, rank_one, a_norm,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_material_change_is_another_model_in_memory_and_in_its_files(
    change: Callable[[Any], None], folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    model = open_model(folder).model
    change(model)
    assert compare(weights_of(model), opened(folder, "float32")) is FingerprintMatch.other
    model.save_pretrained(tmp_path)
    files = files_of(model, tmp_path)
    assert compare(files, opened(folder, "float32")) is FingerprintMatch.other
    assert compare(files, opened(folder, "bfloat16")) is FingerprintMatch.other


def test_every_row_and_every_column_of_a_tensor_is_looked_at() -> None:
    torch.manual_seed(0)
    for rows, columns in ((300, 200), (200, 300), (70, 4100)):
        model = torch.nn.Linear(columns, rows, bias=False)
        before = weights_of(model)
        for at in (*range(0, rows, 17), rows - 1):
            kept = model.weight.data[at].clone()
            model.weight.data[at] = 0
            assert compare(weights_of(model), before) is FingerprintMatch.other
            model.weight.data[at] = kept
        for at in (*range(0, columns, 173), columns - 1):
            kept = model.weight.data[:, at].clone()
            model.weight.data[:, at] = 0
            assert compare(weights_of(model), before) is FingerprintMatch.other
            model.weight.data[:, at] = kept
        assert weights_of(model) == before


def test_another_architecture_is_another_model_whatever_its_numbers() -> None:
    assert (
        compare(tiny_lm("gpt2").info.weights, tiny_lm("llama").info.weights)
        is FingerprintMatch.other
    )
    one, other = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
    other.weight = one.weight
    named = torch.nn.ModuleDict({"renamed": other})
    assert compare(weights_of(one), weights_of(named)) is FingerprintMatch.other


def test_weights_that_are_not_in_memory_are_not_known_and_not_the_same() -> None:
    with torch.device("meta"):
        elsewhere = torch.nn.Linear(3, 3)
    assert weights_of(elsewhere) == ""
    assert compare("", weights_of(torch.nn.Linear(3, 3))) is FingerprintMatch.unknown


def test_integers_of_quantised_weights_are_sampled_as_they_are() -> None:
    model = torch.nn.Module()
    model.packed = torch.nn.Parameter(torch.arange(9000, dtype=torch.uint8).reshape(-1, 1), False)
    before = weights_of(model)
    model.packed.data[8999] += 1
    assert compare(weights_of(model), before) is FingerprintMatch.other


def test_a_tokenizer_is_the_same_padded_or_cut_and_another_with_another_rule() -> None:
    tokenizer = tiny_tokenizer()
    before = tokenizer_of(tokenizer)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    assert tokenizer_of(tokenizer) == before
    for change in ("vocabulary", "special", "normalizer"):
        other = tiny_tokenizer()
        if change == "vocabulary":
            other.add_tokens(["Eiffel Tower"])
        elif change == "special":
            other.add_special_tokens({"bos_token": "<begin>"})
        else:
            from tokenizers import normalizers

            other.backend_tokenizer.normalizer = normalizers.Lowercase()
        assert compare(tokenizer_of(other), before) is FingerprintMatch.other
    assert tokenizer_of(object()) == ""


def test_a_text_is_known_by_every_byte_of_every_file_in_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a" * 100_000)
    other.write_bytes(b"b")
    both = fingerprint.of_text([one, other])
    assert fingerprint.of_text([one, other]) == both
    assert fingerprint.of_text([other, one]) != both
    one.write_bytes(b"a" * 50_000 + b"c" + b"a" * 49_999)
    assert fingerprint.of_text([one, other]) != both
    one.write_bytes(b"a" * 100_000 + b"b")
    other.write_bytes(b"")
    assert fingerprint.of_text([one, other]) != both


def test_each_of_many_tensors_of_a_checkpoint_is_looked_at_also_the_last_bytes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {str(i): torch.zeros(70_000) for i in range(4)}
    save_file(tensors, path)
    before = fingerprint.of_files([path])
    for name in tensors:
        for place in (0, 69_999):
            changed = {**tensors, name: tensors[name].clone()}
            changed[name][place] = 1
            save_file(changed, path)
            assert compare(fingerprint.of_files([path]), before) is FingerprintMatch.other
    save_file(tensors, path, metadata={"format": "pt"})
    assert fingerprint.of_files([path]) == before


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["", "[]", "{", '{"a": 1}', '{"a": {"dtype": "F32"}}',
       '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}']))  # fmt: skip
def test_a_damaged_checkpoint_is_an_error_in_words(tail: bytes, header: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + tail)
        with pytest.raises(ValueError, match=r"no safetensors file|Expecting|delimiter|Extra"):
            fingerprint.of_files([path])


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    assert compare(one, other) is compare(other, one)
    if one == other and one:
        assert compare(one, other) is FingerprintMatch.same


def test_what_is_of_other_weights_is_refused_and_what_does_not_say_it_is_used_with_a_warning() -> (
    None
):
    info = tiny_lm("gpt2").info
    assert check_origin(info, Origin.of(info), "The lens", "Train it.") == ()
    other = Origin("tiny gpt2", tiny_lm("llama").info.weights)
    with pytest.raises(BadParameter, match="The lens is of other weights than tiny gpt2 has now"):
        check_origin(info, other, "The lens", "Train it.")
    with pytest.raises(BadParameter, match="of x, and tiny gpt2 has other weights"):
        check_origin(info, Origin("x", other.weights), "The lens", "Train it.")
    (warning,) = check_origin(info, Origin("x"), "The lens", "")
    assert "only that it is of x" in warning
    (warning,) = check_origin(info, Origin("", info.weights, "another"), "The lens", "")
    assert "another tokenizer" in warning


@pytest.mark.parametrize("name", ["weights", "tokenizer", "text"])
def test_what_was_begun_goes_on_with_the_same_three_only(name: str) -> None:
    now = Origin("m", "numbers:a.b", "t", "x")
    assert check_resumed(now, now, "F holds examples", "") == ()
    changed = {**now.metadata(), name: "numbers:a.c" if name == "weights" else "other"}
    with pytest.raises(BadParameter, match=r"F holds examples (of other|made with|of another)"):
        check_resumed(now, Origin.read(changed), "F holds examples", "")
    (warning,) = check_resumed(
        now, Origin.read({**now.metadata(), name: ""}), "F holds examples", ""
    )
    assert f"do not say of which {name}" in warning


def test_reading_a_large_checkpoint_touches_a_few_blocks_of_each_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 200 GB that takes no disk: reading all of it would not end."""
    import os

    each, count = 2 << 30, 100
    header = {
        f"layer.{i}": {"dtype": "F16", "shape": [each // 2], "data_offsets": [i * each, (i + 1) * each]}
        for i in range(count)
    }  # fmt: skip
    raw = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + each * count)
    read = [0]
    pread = os.pread

    def counted(handle: int, size: int, offset: int) -> bytes:
        read[0] += size
        return pread(handle, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert fingerprint.of_files([path]).startswith("files:")
    assert read[0] == count * fingerprint.BLOCKS * BLOCK


def test_what_is_computed_says_of_which_weights_and_tokenizer_it_is(folder: Path) -> None:
    from interpboard.analyze import analyze

    lm = open_model(folder)
    document = analyze(lm, "The Eiffel Tower", ["predictions"])
    assert document.model.weights == opened(folder, "float32")
    assert document.model.tokenizer == tokenizer_of(lm.tokenizer)
    assert np.isfinite(document.results[0].values).all()
    assert load_file(folder / "model.safetensors")
