"""The lens is the model cut short, and its last row is the model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from interpboard.circuits import logit_lens as lens_module
from interpboard.circuits.logit_lens import logit_lens
from interpboard.runs.prompt import input_ids
from tests.lm import TOLERANCE, case, fingerprint

FAMILIES = ["gpt2", "llama", "gemma2", "opt", "cohere", "gpt_neox", "gpt_oss"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_row_is_the_models_output(family: str, dtype: torch.dtype) -> None:
    if (family, dtype) == ("gpt_oss", torch.float64):
        return  # its experts exist in float32 only: refused at load
    lm, prompt, metric = case(family, dtype)
    before = fingerprint(lm)
    result = logit_lens(lm, prompt, metric, top_k=5)
    assert fingerprint(lm) == before
    with torch.no_grad():
        probs = lm.model(input_ids=input_ids(lm, prompt)).logits[0].softmax(-1)
    np.testing.assert_allclose(
        result.values[-1], probs[:, metric.target_id].numpy(), **TOLERANCE[dtype]
    )
    top = probs.topk(5)
    np.testing.assert_allclose(
        result.extra["top_probs"].values[-1], top.values.numpy(), **TOLERANCE[dtype]
    )
    assert (result.extra["top_ids"].values[-1] == top.indices.numpy()).mean() > 0.99  # ties aside
    np.testing.assert_allclose(result.extra["kl"].values[-1], 0, atol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_row_k_is_the_model_cut_after_k_layers(family: str, kept: int) -> None:
    lm, prompt, metric = case(family, torch.float64)
    result = logit_lens(lm, prompt, metric)
    cut = copy.deepcopy(lm.anatomy)
    owner = next(
        module
        for module in cut.base.modules()
        if any(isinstance(child, nn.ModuleList) and len(child) == 3 for child in module.children())
    )
    name = "h" if hasattr(owner, "h") else "layers"
    setattr(owner, name, nn.ModuleList(list(getattr(owner, name))[:kept]))
    cut.model.config.num_hidden_layers = kept
    with torch.no_grad():
        probs = cut.model(input_ids=input_ids(lm, prompt), use_cache=False).logits[0].softmax(-1)
    np.testing.assert_allclose(
        result.values[kept], probs[:, metric.target_id].numpy(), rtol=1e-9, atol=1e-12
    )
    assert result.axes[0].labels == ("embed", "0", "1", "2")


def test_every_array_agrees_with_its_definition() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    vocabulary = lm.anatomy.d_vocab
    result = logit_lens(lm, prompt, metric, top_k=vocabulary)
    ids = result.extra["top_ids"].values
    ordered = result.extra["top_probs"].values
    probs = np.zeros_like(ordered)
    np.put_along_axis(probs, ids, ordered, axis=-1)
    np.testing.assert_allclose(probs.sum(-1), 1)
    np.testing.assert_allclose(result.values, probs[..., metric.target_id])
    np.testing.assert_allclose(result.extra["entropy"].values, -(probs * np.log(probs)).sum(-1))
    kl = (probs[-1] * np.log(probs[-1] / probs)).sum(-1)
    np.testing.assert_allclose(result.extra["kl"].values, kl, atol=1e-12)
    rank = 1 + (probs > probs[..., [metric.target_id]]).sum(-1)
    np.testing.assert_array_equal(result.extra["rank"].values, rank)
    texts = result.extra["top_tokens"].values
    decoded = [lm.tokenizer.decode([int(i)]) for i in ids.flat]
    assert [t for t, d in zip(texts.flat, decoded, strict=True) if "\ufffd" not in d] == [
        d for d in decoded if "\ufffd" not in d
    ]


def test_reading_in_pieces_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case()
    whole = logit_lens(lm, prompt, metric)
    monkeypatch.setattr(lens_module, "LOGITS_A_STEP", lm.anatomy.d_vocab * 4 * 2)  # two positions
    pieces = logit_lens(lm, prompt, metric)
    np.testing.assert_allclose(pieces.values, whole.values, rtol=1e-5, atol=1e-7)
    for name, extra in whole.extra.items():
        if extra.values.dtype.kind == "f":
            np.testing.assert_allclose(
                pieces.extra[name].values, extra.values, rtol=1e-4, atol=1e-6
            )
