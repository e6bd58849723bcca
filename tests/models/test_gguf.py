"""A GGUF file, written by the gguf package, is opened as the model that it is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interpboard.errors import InterpBoardError, MissingPackage
from interpboard.models import libraries
from interpboard.models.language_model import open_model
from tests.models.folders import logits, saved
from tests.models.test_quantised import agrees_with_plain_hooks, needs
from tests.tiny import tiny_model

FILE = "tiny.gguf"
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
INNER = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def written(
    folder: Path,
    packed: bool = False,
    architecture: str = "llama",
    edit: Callable[[dict[str, np.ndarray]], None] = lambda _tensors: None,
) -> Path:
    """A folder with the tiny Llama as a GGUF file, its maps in Q8_0 where ``packed``."""
    needs("gguf", "accelerate")
    import gguf

    writer = gguf.GGUFWriter(folder / FILE, architecture)
    for name, value in {
        "add_context_length": 64, "add_embedding_length": 32, "add_block_count": 3,
        "add_feed_forward_length": 48, "add_head_count": 4, "add_head_count_kv": 2,
        "add_layer_norm_rms_eps": 1e-6, "add_rope_freq_base": 10000.0, "add_vocab_size": 420,
    }.items():  # fmt: skip
        getattr(writer, name)(value)
    tokenizer = json.loads((saved("llama") / "tokenizer.json").read_text())["model"]
    tokens = sorted(tokenizer["vocab"], key=lambda token: tokenizer["vocab"][token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["merges"]])
    tensors = {_named(n): _rotated(n, t) for n, t in _weights().items()}
    edit(tensors)
    for name, tensor in tensors.items():
        if packed and tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


def _weights() -> dict[str, np.ndarray]:
    found = load_file(saved("llama") / "model.safetensors")
    return {name: tensor.numpy() for name, tensor in found.items()}


def _named(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in OUTER:
        return f"{OUTER[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{INNER[rest]}.weight"


def _rotated(name: str, tensor: np.ndarray) -> np.ndarray:
    """Queries and keys as llama.cpp keeps them: rotary pairs side by side."""
    heads = 4 if "q_proj" in name else 2 if "k_proj" in name else 0
    if not heads:
        return tensor
    halves = tensor.reshape(heads, 2, len(tensor) // heads // 2, *tensor.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


def refused(place: Path, **options: Any) -> str:
    with pytest.raises(InterpBoardError) as caught:
        open_model(place, "cpu", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_gguf_file_gives_the_logits_of_the_model_that_it_was_written_from(tmp_path: Path) -> None:
    lm = open_model(written(tmp_path), "cpu", gguf_file=FILE)
    assert torch.allclose(logits(lm.model), logits(tiny_model("llama")), atol=1e-4)
    assert lm.info.options.gguf_file == FILE
    assert lm.info.quantization == "GGUF, unpacked to float32"
    assert lm.tokenizer("The Eiffel")["input_ids"]
    agrees_with_plain_hooks(lm)
    by_path = open_model(tmp_path / FILE, "cpu")
    assert by_path.info == lm.info


def test_a_gguf_file_further_in_is_found_and_none_goes_to_disk(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    written(tmp_path / "inner")
    lm = open_model(tmp_path, "cpu", gguf_file=f"inner/{FILE}")
    assert lm.info.options.gguf_file == f"inner/{FILE}"
    assert torch.allclose(logits(lm.model), logits(tiny_model("llama")), atol=1e-4)
    said = refused(
        tmp_path, gguf_file=f"inner/{FILE}", device_map={"model": "disk", "lm_head": "cpu"}
    )
    assert "unpacked into memory, and cannot lie on disk" in said


def test_packed_blocks_are_unpacked_and_their_formats_said(tmp_path: Path) -> None:
    lm = open_model(written(tmp_path, packed=True), "cpu", gguf_file=FILE)
    (note,) = [note for note in lm.info.notes if "GGUF" in note]
    assert "Q8_0 ×20" in note
    assert "unpacked to float32" in note
    plain = tiny_model("llama").state_dict()
    for name, tensor in lm.model.state_dict().items():
        error = (tensor - plain[name]).abs().max() / plain[name].abs().max()
        assert error < 0.6 / 127
    agrees_with_plain_hooks(lm)


def test_a_tensor_that_transformers_would_skip_is_not_skipped(tmp_path: Path) -> None:
    def add(tensors: dict[str, np.ndarray]) -> None:
        tensors["blk.0.attn_q.bias"] = np.ones(32, dtype=np.float32)

    assert "numbers" in refused(written(tmp_path, edit=add), gguf_file=FILE)


def test_a_tensor_that_is_missing_is_named(tmp_path: Path) -> None:
    def drop(tensors: dict[str, np.ndarray]) -> None:
        del tensors["blk.1.ffn_up.weight"]

    assert "lacks 1 of the weights" in refused(written(tmp_path, edit=drop), gguf_file=FILE)


def test_what_is_no_gguf_file_of_a_known_family_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert "made-up" in refused(written(tmp_path / "a", architecture="made-up"), gguf_file=FILE)
    (tmp_path / "b.gguf").write_bytes(b"GGU")
    assert "is no GGUF file" in refused(tmp_path, gguf_file="b.gguf")
    (tmp_path / "b.gguf").write_bytes(b"GGUF" + b"\xff" * 64)
    assert str(tmp_path) in refused(tmp_path, gguf_file="b.gguf")
    assert "--gguf-file b.gguf" in refused(tmp_path)
    assert "holds no file c.gguf" in refused(tmp_path, gguf_file="c.gguf")


def test_without_the_library_its_line_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(libraries, "find_spec", lambda _name: None)
    with pytest.raises(MissingPackage) as caught:
        open_model(tmp_path / "b.gguf", "cpu")
    assert caught.value.remedy == "pip install 'interpboard[gguf]'"
