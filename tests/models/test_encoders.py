"""Encoders: attribution to tokens at a mask position, and a plain refusal of what they cannot do."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from captum.attr import FeatureAblation, LayerGradientXActivation
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.attribution import (
    AttentionAttributor,
    GradientAttributor,
    PerturbationAttributor,
)
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.saliency import saliency
from interpboard.attribution.shapley import shapley
from interpboard.cli.main import main
from interpboard.errors import BadPosition, InterpBoardError, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.lm import fingerprint

WORDS = [
    "the",
    "capital",
    "of",
    "france",
    "is",
    "paris",
    "rome",
    "berlin",
    "tower",
    "in",
    "eiffel",
    "city",
]
TEXT = "the capital of france is [MASK] in the city"
_SIZES = {
    "vocab_size": len(WORDS) + 5, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 40,
}  # fmt: skip
FAMILIES: dict[str, Callable[[], Any]] = {
    "bert": lambda: tf.BertForMaskedLM(tf.BertConfig(**_SIZES)),
    "roberta": lambda: tf.RobertaForMaskedLM(tf.RobertaConfig(**_SIZES)),
    "distilbert": lambda: tf.DistilBertForMaskedLM(
        tf.DistilBertConfig(
            vocab_size=_SIZES["vocab_size"], dim=32, n_layers=2, n_heads=4, hidden_dim=48,
            max_position_embeddings=40,
        )
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize("family", FAMILIES)
# In float64 nothing hides behind rounding; in float32 faster kernels compute.
FORMATS = pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((each, torch.float64) for each in FAMILIES),
        *((each, torch.float32) for each in ("bert", "distilbert")),
    ],
    ids=str,
)
WORKING = {
    "compare_attributions", "predictions", "integrated_gradients", "saliency", "grad_x_input", "smoothgrad",
    "noise_tunnel", "occlusion", "shapley", "attention_rollout", "attention_flow", "value_weighted_rollout",
    "token_losses", "attention", "unit_attribution", "context_cite", "lrp", "logit_lens", "head_ablation",
    "head_pairs",
    "compare_ablations", "critical_components", "attention_knockout", "knockout_grid",
    "activation_patching", "attribution_patching", "causal_trace", "direct_logit_attribution", "neurons",
    "head_scores", "path_patching",
}  # fmt: skip


def tokenizer() -> Any:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    made = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


@cache
def encoder(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return LanguageModel.of(model.to(dtype), tokenizer(), f"tiny {family}")


def case(
    family: str, dtype: torch.dtype = torch.float64, **request: Any
) -> tuple[LanguageModel, PromptInfo, Metric]:
    lm = encoder(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(**request))


@EACH
def test_the_metric_is_at_the_mask_and_is_the_models_own(family: str) -> None:
    lm, prompt, metric = case(family, target="paris")
    assert prompt.tokens[metric.info.position].strip() == "[MASK]"
    with torch.no_grad():
        logits = lm.model(input_ids=input_ids(lm, prompt)).logits[0, metric.info.position]
    assert metric.baseline == pytest.approx(float(logits[metric.target_id]), rel=1e-9)
    assert not lm.verified.causal


@FORMATS
def test_gradient_times_input_is_captums(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return lm.model(input_ids=ids).logits[:, metric.info.position]

    expected = LayerGradientXActivation(forward, lm.anatomy.embedding).attribute(
        input_ids(lm, prompt), target=metric.target_id
    )
    found = grad_x_input(lm, prompt, metric).values
    np.testing.assert_allclose(found, expected[0].sum(-1).detach().numpy(), rtol=1e-3, atol=1e-4)
    # Both directions: what stands behind the mask matters too.
    assert np.abs(saliency(lm, prompt, metric).values[metric.info.position + 1 :]).min() > 0


@FORMATS
def test_occlusion_is_captums_on_both_sides_of_the_mask(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")

    def forward(ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return metric.of(lm.model(input_ids=ids.long()).logits[:, metric.info.position])

    the = lm.tokenizer.convert_tokens_to_ids("the")
    expected = FeatureAblation(forward).attribute(input_ids(lm, prompt), baselines=the)
    found = occlusion(lm, prompt, metric, baseline="text", baseline_text="the")
    np.testing.assert_allclose(found.values, expected[0].numpy(), rtol=1e-3, atol=1e-4)
    after = found.values[metric.info.position + 1 :]
    assert np.abs(after[[0, 2, 3]]).min() > 0
    assert abs(after[1]) < 1e-6  # this one is the stand-in itself


@EACH
def test_sums_are_complete(family: str) -> None:
    lm, prompt, metric = case(family, name="logprob")
    whole = integrated_gradients(lm, prompt, metric, n_steps=200, baseline="mean")
    change = metric.baseline - float(whole.extra["baseline_metric"].values)
    assert whole.values.sum() == pytest.approx(change, abs=0.02 * abs(change) + 1e-6)
    shares = shapley(lm, prompt, metric, samples=3, baseline="mean")
    assert shares.values.sum() == pytest.approx(change, rel=1e-9)
    rows = attention_rollout(lm, prompt, metric).extra["rollout"].values
    np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-6)
    assert np.triu(rows, 1).max() > 0


@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_analysis_works_or_refuses_in_a_line(analysis: str) -> None:
    lm, prompt, _ = case("bert")
    before = fingerprint(lm)
    options = {
        name: {"corrupted": TEXT.replace("france", "rome"), "subject": "capital"}.get(name, "")
        for name in ANALYSES[analysis].required
    }
    if analysis in WORKING:
        document = analyze(lm, TEXT, [analysis], MetricRequest(), {analysis: options})
        assert document.results[0].analysis == analysis
    else:
        with pytest.raises(InterpBoardError) as refused:
            analyze(lm, TEXT, [analysis], MetricRequest(), {analysis: options})
        assert "\n" not in str(refused.value)
    assert fingerprint(lm) == before
    assert prompt.token_ids[0] == 2


def test_without_exactly_one_mask_a_position_must_be_named() -> None:
    lm = encoder("bert")
    for text, number in (("the capital of france", 0), ("[MASK] of [MASK]", 2)):
        prompt = make_prompt(lm, text)
        with pytest.raises(BadPosition, match=rf"has {number} mask tokens.*\[MASK\]"):
            resolve_metric(lm, prompt, MetricRequest())
        assert resolve_metric(lm, prompt, MetricRequest(position=1)).info.position == 1


def test_the_attributors_take_a_loaded_encoder() -> None:
    lm = encoder("bert", torch.float32)
    for kind in (GradientAttributor, AttentionAttributor, PerturbationAttributor):
        with kind(lm.model, lm.tokenizer) as attributor:
            method = {"GradientAttributor": "integrated_gradients",
                      "AttentionAttributor": "attention_flow",
                      "PerturbationAttributor": "occlusion"}[kind.__name__]  # fmt: skip
            assert len(getattr(attributor, method)(TEXT).values) == len(TEXT.split()) + 2
    with pytest.raises(Unsupported, match="continues no text"):
        GradientAttributor(lm.model, lm.tokenizer).continuation(TEXT)


def test_a_saved_encoder_loads_and_is_analyzed_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = encoder("bert", torch.float32)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = open_model(str(tmp_path), device="cpu", dtype="float32")
    assert type(again.model).__name__ == "BertForMaskedLM"
    words = ["analyze", "--model", str(tmp_path), "--text", TEXT, "-a", "occlusion"]
    assert main(words) == 0
    assert "[MASK]" in capsys.readouterr().out
