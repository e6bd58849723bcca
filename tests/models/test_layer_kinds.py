"""Layers of several kinds: each kind proves its own sites, and what a layer lacks is said by its number."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.attention import attention
from interpboard.circuits.lens.logit import logit_lens
from interpboard.errors import Unsupported
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.kinds import kinds_of_layers
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.proof.verified import in_words
from interpboard.models.sites import SITES
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.patterns import each_pattern
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TEXT, fingerprint
from tests.plain_hooks import plain_metric
from tests.tiny import VOCAB, tiny_model, tiny_tokenizer

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": None,
    "eos_token_id": None, "pad_token_id": None,
}  # fmt: skip
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}  # fmt: skip
_TYPES = ["full_attention", "linear_attention", "full_attention"]
MIXED: dict[str, tuple[str, str, dict[str, Any]]] = {
    # Attention, lightning attention, attention: all three go by the same name inside the layer.
    "minimax": (
        "MiniMaxConfig", "MiniMaxForCausalLM",
        {"layer_types": _TYPES, "head_dim": 8, "num_local_experts": 4, "block_size": 4},
    ),
    "qwen3_next": (
        "Qwen3NextConfig", "Qwen3NextForCausalLM",
        {"layer_types": _TYPES, "head_dim": 8, "mlp_only_layers": [0, 1, 2], **_EXPERTS, **_LINEAR},
    ),
    "olmo_hybrid": (
        "OlmoHybridConfig", "OlmoHybridForCausalLM", {"layer_types": _TYPES, **_LINEAR},
    ),
    "lfm2": ("Lfm2Config", "Lfm2ForCausalLM", {"layer_types": ["full_attention", "conv", "full_attention"]}),
}  # fmt: skip


@lru_cache(maxsize=4)
def mixed(family: str) -> LanguageModel:
    """A random model of attention, another mixer of tokens, attention."""
    config, model, own = MIXED[family]
    torch.manual_seed(0)
    made = getattr(tf, model)(getattr(tf, config)(**_COMMON, num_hidden_layers=3, **own)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return LanguageModel.of(made, tiny_tokenizer(), f"mixed {family}")


def _asked(lm: LanguageModel) -> Any:
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest("logprob"))


@pytest.mark.parametrize("family", MIXED)
def test_a_layer_of_another_kind_in_the_middle_is_proved_by_itself(family: str) -> None:
    verified = mixed(family).verified
    assert kinds_of_layers(mixed(family).anatomy) == (0, 1, 0)
    assert "pattern" not in verified.at(1)
    assert verified.at(0) == verified.at(2)
    assert verified.sites == verified.at(0) & verified.at(1)
    assert {"embed", "resid_pre", "resid_post", "attn_out"} <= verified.sites
    assert any("in layer 1" in note for note in verified.notes)


@pytest.mark.parametrize("family", MIXED)
def test_attention_of_a_layer_without_any_is_nan_and_named_never_zero(family: str) -> None:
    lm, prompt, metric = _asked(mixed(family))
    if "pattern" not in lm.verified.at(0):  # gated behind attention: no layer's can be proved
        with pytest.raises(Unsupported, match="cannot be read"):
            attention(lm, prompt, metric)
        return
    result = attention(lm, prompt, metric)
    assert np.isnan(result.values[1]).all()
    np.testing.assert_allclose(result.values[[0, 2]].sum(-1), 1, atol=1e-5)
    for name in ("entropy", "distance", "first", "sink", "top_probs"):
        assert np.isnan(result.extra[name].values[1]).all(), name
        assert np.isfinite(result.extra[name].values[[0, 2]]).all(), name
    assert (result.extra["top_pairs"].values[1] == -1).all()
    assert any("layer 1" in warning for warning in result.warnings)
    with pytest.raises(Unsupported, match="layer 1 of this model"):
        each_pattern(lm, input_ids(lm, prompt), range(3), lambda *_: None)
    with pytest.raises(Unsupported):
        attention(lm, prompt, metric, layers=[1])


@pytest.mark.parametrize("family", MIXED)
def test_every_site_that_a_layer_has_is_a_plain_hooked_forward_and_the_others_are_refused(
    family: str,
) -> None:
    lm, prompt, metric = _asked(mixed(family))
    before = fingerprint(lm)
    run = record(lm, prompt)
    for layer in range(3):
        for site in SITES:
            edit = Edit(site, layer, "zero", positions=(2, 4))
            if site not in lm.verified.at(layer):
                with pytest.raises(Unsupported, match=site):
                    evaluate(run, [(edit,)], metric)
                continue
            if site in ("q", "k", "v", "pattern"):
                continue  # test_replay has them against the eager attention

            def zero(value: torch.Tensor) -> torch.Tensor:
                value = value.clone()
                value[:, [2, 4]] = 0
                return value

            expected = plain_metric(lm, prompt, metric, [(site, layer, zero)])
            measured = evaluate(run, [(edit,)], metric)[0]
            assert measured == pytest.approx(expected, abs=5e-5), (layer, site)
    assert fingerprint(lm) == before


def test_head_ablation_leaves_layers_without_heads_out_and_says_so() -> None:
    lm, prompt, metric = _asked(mixed("olmo_hybrid"))
    result = head_ablation(lm, prompt, metric)
    assert np.isnan(result.values[1]).all()
    assert (np.abs(result.values[[0, 2]]) > 1e-6).any()
    assert np.isfinite(result.values[[0, 2]]).all()
    assert any("layer 1" in warning for warning in result.warnings)
    of_means = head_ablation(lm, prompt, metric, ablation="mean")
    assert np.isnan(of_means.values[1]).all()
    assert np.isfinite(of_means.values[[0, 2]]).all()
    with pytest.raises(Unsupported, match="layer 1"):
        head_ablation(lm, prompt, metric, layers=[1])
    assert np.isfinite(logit_lens(lm, prompt, metric).values).all()


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss", "deepseek_v3", "gpt_neo"])
def test_windows_and_dense_first_layers_are_kinds_of_their_own(family: str) -> None:
    anatomy = find_anatomy(tiny_model(family))
    assert len(set(kinds_of_layers(anatomy))) == 2
    verified = self_check(anatomy)
    assert verified.sites == frozenset.intersection(*verified.by_layer)
    if family == "deepseek_v3":  # a dense MLP first, then experts
        assert verified.layers_without("neuron") == (1, 2)
        assert any("neuron" in note and "layers 1 and 2" in note for note in verified.notes)
        verified.require_site("neuron", 0)
        with pytest.raises(Unsupported, match="It has neuron in layer 0"):
            verified.require_site("neuron")


def test_layers_built_alike_are_one_kind_whatever_their_number() -> None:
    assert kinds_of_layers(find_anatomy(tiny_model("llama"))) == (0, 0, 0)
    model = tiny_model("llama")
    model.model.layers[1].mlp.register_forward_hook(lambda *_: None)  # somebody's hook
    assert kinds_of_layers(find_anatomy(model)) == (0, 1, 0)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((3,), "layer 3"),
        ((0, 1), "layers 0 and 1"),
        ((0, 1, 2, 5), "layers 0 to 2 and 5"),
        ((1, 3, 4, 7, 8, 9), "layers 1, 3, 4 and 7 to 9"),
    ],
)
def test_layers_are_named_in_words(layers: tuple[int, ...], words: str) -> None:
    assert in_words(layers) == words
