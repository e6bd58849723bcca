"""The lens is the model cut short, and its last row is the model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from interpboard.circuits import LogitLens
from interpboard.circuits.lens import reading as lens_reading
from interpboard.circuits.lens.logit import LENS_SITES, logit_lens
from interpboard.errors import BadParameter
from interpboard.models.anatomy import Anatomy
from interpboard.models.unembedding import residual_to_logits
from interpboard.results.lens_rows import converged
from interpboard.runs.prompt import input_ids
from tests.lm import TEXT, TOLERANCE, case, fingerprint

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
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_row_k_is_the_model_cut_after_k_layers(family: str, kept: int, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
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
        result.values[kept],
        probs[:, metric.target_id].numpy(),
        rtol=TOLERANCE[dtype]["rtol"],
        atol=1e-12,  # a probability is small
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
    # Ids that the tokenizer has no text for are named by their number.
    decoded = [lm.tokenizer.decode([int(i)]) or f"#{i}" for i in ids.flat]
    assert [t for t, d in zip(texts.flat, decoded, strict=True) if "\ufffd" not in d] == [
        d for d in decoded if "\ufffd" not in d
    ]


@pytest.mark.parametrize("site", LENS_SITES)
def test_reading_in_pieces_gives_the_same_and_holds_few_logits(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case()
    whole = logit_lens(lm, prompt, metric, site=site)
    held: list[int] = []

    def counted(anatomy: Anatomy, residual: torch.Tensor) -> torch.Tensor:
        logits = residual_to_logits(anatomy, residual)
        held.append(logits.numel())
        return logits

    most = lm.anatomy.d_vocab * 4 * 2  # two positions
    monkeypatch.setattr(lens_reading, "_LOGITS_A_STEP", {"cpu": most})
    monkeypatch.setattr(lens_reading, "residual_to_logits", counted)
    pieces = logit_lens(lm, prompt, metric, site=site)
    assert max(held) <= most
    assert sum(held) == whole.values.size * lm.anatomy.d_vocab
    np.testing.assert_allclose(pieces.values, whole.values, rtol=1e-5, atol=1e-7)
    for name, extra in whole.extra.items():
        if extra.values.dtype.kind == "f":
            np.testing.assert_allclose(
                pieces.extra[name].values, extra.values, rtol=1e-4, atol=1e-6
            )


def test_the_stream_before_a_layer_is_the_stream_after_the_one_before() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    after = logit_lens(lm, prompt, metric)
    before = logit_lens(lm, prompt, metric, site="resid_pre")
    assert before.axes[0].labels == ("0", "1", "2", "final")
    np.testing.assert_array_equal(before.values, after.values)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
@pytest.mark.parametrize("site", ["attn_out", "mlp_out", "resid_mid"])
def test_parts_of_a_layer_are_read_as_they_come_out_of_their_modules(
    family: str, site: str
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    seen: list[torch.Tensor] = []
    module = {
        "attn_out": lm.anatomy.attn_out[1],
        "mlp_out": lm.anatomy.mlp_out[1],
        "resid_mid": lm.anatomy.before_mlp[1],
    }[site]
    handle = module.register_forward_hook(
        lambda _m, args, out: seen.append(args[0] if site == "resid_mid" else out)
    )
    with torch.no_grad():
        final = lm.model(input_ids=input_ids(lm, prompt)).logits[0].log_softmax(-1)
        handle.remove()
        logits = lm.model.lm_head(lm.anatomy.final_norm(seen[0][0]))
    if family == "gemma2":
        cap = lm.model.config.final_logit_softcapping
        logits = cap * (logits / cap).tanh()
    result = logit_lens(lm, prompt, metric, site=site)
    assert result.axes[0].labels[-1] == "final"
    probs = logits.softmax(-1)[:, metric.target_id]
    np.testing.assert_allclose(result.values[1], probs, rtol=1e-6)
    np.testing.assert_allclose(result.values[-1], final.exp()[:, metric.target_id], rtol=1e-6)
    kl = (final.exp() * (final - logits.log_softmax(-1))).sum(-1)
    np.testing.assert_allclose(result.extra["kl"].values[1], kl, rtol=1e-6)


def test_convergence_is_known_by_hand() -> None:
    best = np.array([[7, 1, 5, 2], [3, 4, 5, 4], [7, 4, 5, 2], [7, 4, 5, 9]])
    np.testing.assert_array_equal(converged(best[..., None]), [2, 1, 0, 3])


def test_convergence_counts_layers_from_minus_one_for_the_embedding() -> None:
    lm, prompt, metric = case("llama")
    result = logit_lens(lm, prompt, metric)
    best = result.extra["top_ids"].values[..., 0]
    for token, layer in enumerate(result.extra["convergence"].values):
        assert (best[layer + 1 :, token] == best[-1, token]).all()
        assert layer == -1 or best[layer, token] != best[-1, token]
    before = logit_lens(lm, prompt, metric, site="resid_pre")
    np.testing.assert_array_equal(
        before.extra["convergence"].values, result.extra["convergence"].values + 1
    )


def test_a_site_without_a_lens_is_refused() -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadParameter, match="no lens at 'z'"):
        logit_lens(lm, prompt, metric, site="z")


def test_the_class_gives_what_the_function_gives() -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    with LogitLens(lm.model, lm.tokenizer) as lens:
        result = lens.read(TEXT, site="mlp_out", top_k=3)
    assert fingerprint(lm) == before
    expected = logit_lens(lm, prompt, metric, site="mlp_out", top_k=3)
    np.testing.assert_array_equal(result.values, expected.values)
    assert result.params == {"site": "mlp_out", "top_k": 3}
