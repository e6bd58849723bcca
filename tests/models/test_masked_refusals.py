"""What masked models cannot be asked, each by its own reason; and what steering says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard.attribution.lrp import lrp
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.saliency import saliency
from interpboard.attribution.value_weighted_rollout import value_weighted_rollout
from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.discovery.search import circuit
from interpboard.errors import BadPosition, NotALanguageModel, Unsupported
from interpboard.interventions.steering import difference_of_means, steering
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.masked import TEXT, plain
from tests.models.test_encoders import tokenizer
from tests.models.test_masked_models import case, value


def test_a_model_that_pads_prompts_inside_says_so_and_has_no_sites() -> None:
    config = tf.LongformerConfig(
        vocab_size=17, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, attention_window=8, pad_token_id=1,
    )  # fmt: skip
    lm = LanguageModel.of(tf.LongformerForMaskedLM(config).eval(), tokenizer(), "tiny longformer")
    assert lm.verified.sites == {"embed"}
    assert "pads a prompt of 13 tokens to 16 inside" in lm.verified.notes[0]
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    assert np.abs(occlusion(lm, prompt, metric).values).max() > 0
    with pytest.raises(Unsupported, match="makes the prompt of 11 tokens one of 16"):
        saliency(lm, prompt, metric)


def test_norms_that_give_a_scale_beside_the_stream_are_not_followed() -> None:
    config = tf.IBertConfig(
        vocab_size=17, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    lm = LanguageModel.of(tf.IBertForMaskedLM(config).eval(), tokenizer(), "tiny ibert")
    assert {"q", "k", "v", "pattern", "z"} <= lm.verified.sites
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    for follow in (direct_logit_attribution, lrp, value_weighted_rollout):
        with pytest.raises(Unsupported, match="gives more than the stream"):
            follow(lm, prompt, metric)


def test_a_model_that_does_not_run_its_layers_in_a_row_is_refused_by_name() -> None:
    config = tf.FunnelConfig(
        vocab_size=17, d_model=16, n_head=2, d_head=8, d_inner=24, block_sizes=[1, 1], num_decoder_layers=1,
        pad_token_id=0,
    )  # fmt: skip
    with pytest.raises(NotALanguageModel, match="keeps its layers in blocks"):
        LanguageModel.of(tf.FunnelForMaskedLM(config).eval(), tokenizer(), "tiny funnel")


def test_a_steered_masked_model_says_what_it_puts_in_and_continues_no_text() -> None:
    lm, prompt, metric, ids, _, model = case("bert")
    sides = {"positive": ["the city is paris"], "negative": ["the tower is rome"]}
    found = steering(lm, prompt, metric, **sides, layer=0, scales=[4.0])
    direction = difference_of_means(lm, *sides.values(), 0)

    def add(stream: torch.Tensor) -> torch.Tensor:
        return stream + 4.0 * direction.to(stream)

    logits = plain("bert", model, ids, [("resid_post", 0, add)])
    assert found.values[1] == pytest.approx(value(metric, logits) - metric.baseline, rel=1e-6)
    texts = found.extra["text"].values
    clean = plain("bert", model, ids, [])
    for text, own in zip(texts, (clean, logits), strict=True):
        token = lm.tokenizer.decode([int(own[metric.info.position].argmax())])
        assert str(text).strip() == token


def test_circuits_without_a_mask_are_refused_with_their_own_reason(
    tmp_path: Path,
) -> None:
    lm, prompt, metric, _, _, _ = case("bert")
    file = tmp_path / "cases.jsonl"
    file.write_text('{"clean": "the city", "corrupted": "the tower", "target": "paris"}\n')
    with pytest.raises(BadPosition, match="the prompt has 0 mask tokens"):
        circuit(lm, prompt, metric, dataset=str(file))


def test_a_model_without_gradients_in_evaluation_says_so() -> None:
    config = tf.ReformerConfig(
        vocab_size=17, hidden_size=16, num_attention_heads=2, attention_head_size=8, feed_forward_size=24,
        attn_layers=["local", "local"], axial_pos_embds=False, max_position_embeddings=40,
        local_attn_chunk_length=4, is_decoder=False, pad_token_id=0, num_buckets=2,
    )  # fmt: skip
    lm = LanguageModel.of(tf.ReformerForMaskedLM(config).eval(), tokenizer(), "tiny reformer")
    prompt = make_prompt(lm, TEXT + " of")  # twelve tokens, which fit
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    with pytest.raises(Unsupported, match="no gradients in evaluation mode"):
        saliency(lm, prompt, metric)
    assert np.abs(occlusion(lm, prompt, metric).values).max() > 0
