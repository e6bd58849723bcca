"""Losses of a forced target, steering and the tuned lens of encoder–decoders, against plain forwards."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.knockout import attention_knockout
from interpboard.circuits.lens.logit import logit_lens
from interpboard.circuits.lens.training import TrainingSettings, tune_lens
from interpboard.circuits.lens.training_analysis import lens_training
from interpboard.circuits.lens.translators import Translators
from interpboard.circuits.lens.tuned import tuned_lens
from interpboard.errors import BadParameter, BadPrompt
from interpboard.interventions.steering import difference_of_means, steering
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt, token_text
from interpboard.whole_text.losses import token_losses
from tests.lm import case, fingerprint
from tests.strips import FAMILIES, TEXT, Plain, strips_lm

BOTH = [(family, dtype) for family in ("t5", "bart") for dtype in (torch.float32, torch.float64)]
CASES = [*BOTH, *((f, torch.float64) for f in FAMILIES if f not in ("t5", "bart"))]
PAIRS = ("The Eiffel Tower is in Paris ||| the city of the tower", "The house ||| is old", TEXT)


@cache
def _case(family: str, dtype: torch.dtype) -> tuple[LanguageModel, PromptInfo, Metric, Plain]:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest()), Plain(lm, prompt)


@pytest.mark.parametrize(("family", "dtype"), CASES)
def test_the_words_of_a_target_have_the_loss_that_the_model_is_trained_by(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = token_losses(lm, prompt, metric)
    words = plain.prefix[0, 1:]
    n_words = len(words)
    assert np.isnan(found.values[: prompt.border + 1]).all()
    assert int(found.extra["predicted"].values) == n_words
    logits = plain.logits()[:-1].double()
    log = logits.log_softmax(-1)
    own = log.gather(-1, words[:, None])[:, 0]
    np.testing.assert_allclose(found.values[-n_words:], -own, rtol=1e-4, atol=1e-5)
    rank = 1 + (logits > logits.gather(-1, words[:, None])).sum(-1)
    np.testing.assert_array_equal(found.extra["rank"].values[-n_words:], rank)
    entropy = -(log.exp() * log).sum(-1)
    np.testing.assert_allclose(found.extra["entropy"].values[-n_words:], entropy, rtol=1e-4)
    np.testing.assert_array_equal(found.extra["context"].values[-n_words:], np.arange(n_words))
    likeliest = token_text(lm.tokenizer, int(logits[-1].argmax()))
    assert found.extra["likeliest"].values[-1] == likeliest
    if family in ("t5", "bart"):
        with torch.no_grad():
            labels = torch.cat([plain.prefix[:, 1:], torch.tensor([[-100]])], 1)
            theirs = float(lm.model(input_ids=plain.source, labels=labels).loss)
        assert float(found.extra["mean_loss"].values) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(("family", "dtype"), BOTH)
def test_losses_with_an_edit_of_either_stack_are_those_of_plain_edited_runs(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    for place, name, head in (("E1.0", "E1", 0), ("X0.1", "X0", 1)):
        found = token_losses(lm, prompt, metric, interventions=f"{place}=zero")
        logits = plain.logits(plain.head(name, head, torch.zeros_like))[:-1].double()
        own = logits.log_softmax(-1).gather(-1, plain.prefix[0, 1:, None])[:, 0]
        edited = found.extra["edited"].values[prompt.border + 1 :]
        np.testing.assert_allclose(edited, -own, rtol=1e-4, atol=1e-5)


def test_of_a_file_the_first_words_have_losses_and_windows_are_refused(tmp_path: Path) -> None:
    lm, prompt, metric, _ = _case("t5", torch.float32)
    file = tmp_path / "pair.txt"
    file.write_text(TEXT + "\n", encoding="utf-8")
    whole = token_losses(lm, prompt, metric)
    some = token_losses(lm, make_prompt(lm, "The house"), metric, file=str(file), limit=2)
    end = prompt.border + 3
    np.testing.assert_allclose(some.values, whole.values[:end], equal_nan=True, rtol=1e-6)
    with pytest.raises(BadParameter, match="reads its source whole"):
        token_losses(lm, prompt, metric, window=4)
    with pytest.raises(BadPrompt, match="no target whose tokens"):
        token_losses(lm, make_prompt(lm, "The house"), metric)


@pytest.mark.parametrize(("family", "dtype"), CASES)
def test_a_vector_is_added_in_either_stack_and_the_model_writes_on_under_it(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    sides = {"positive": ["The Eiffel Tower ||| is old"], "negative": ["The house ||| the city"]}
    before = fingerprint(lm)
    for name, behind in (("E0", "E1"), ("D0", "X0"), ("X0", "D1")):
        layer = lm.anatomy.layer_names.index(name)
        ends = []
        for texts in sides.values():
            other = Plain(lm, make_prompt(lm, texts[0]))
            kept: list[torch.Tensor] = []
            other.logits(
                other.stream_before(behind, lambda own, kept=kept: kept.append(own) or own)
            )
            ends.append(kept[0][0].mean(0) if name == "E0" else kept[0][0, -1])
        way = ends[0] - ends[1]
        made = difference_of_means(lm, sides["positive"], sides["negative"], layer)
        np.testing.assert_allclose(made, way.detach(), rtol=1e-4, atol=1e-5)
        found = steering(lm, prompt, metric, **sides, layer=name, scales=[2.0], new_tokens=3)
        assert found.params["layer"] == layer
        steered = plain.stream_before(behind, lambda own, way=way: own + 2 * way)
        value = float(plain.logits(steered)[-1, metric.target_id])
        np.testing.assert_allclose(found.extra["metric"].values[1], value, rtol=1e-4, atol=1e-4)
        ids = plain.prefix
        for _ in range(3):
            longer = Plain(lm, prompt)
            longer.prefix = ids
            hook = longer.stream_before(behind, lambda own, way=way: own + 2 * way)
            ids = torch.cat([ids, longer.logits(hook)[-1:].argmax(-1)[None]], 1)
        written = lm.tokenizer.decode(ids[0, plain.prefix.shape[1] :])
        assert found.extra["text"].values[1] == written
    assert fingerprint(lm) == before


def test_a_saved_vector_steers_a_what_if_of_the_encoder(tmp_path: Path) -> None:
    lm, prompt, metric, _ = _case("bart", torch.float64)
    file = str(tmp_path / "v.safetensors")
    options = {"positive": ["The Eiffel ||| is"], "negative": ["The house ||| is"]}
    found = steering(lm, prompt, metric, **options, layer="E1", save=file, new_tokens=0)
    edited = what_if(lm, prompt, metric, interventions=f'E1.resid=steer "{file}"')
    at = found.axes[0].labels.index("1")
    np.testing.assert_allclose(edited.values[1], found.extra["metric"].values[at], rtol=1e-5)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_tuned_lens_of_a_decoder_learns_pairs_and_reads_their_prefix(
    family: str, tmp_path: Path
) -> None:
    lm, prompt, metric, _ = _case(family, torch.float32)
    corpus, out = tmp_path / "pairs.txt", tmp_path / "lens"
    corpus.write_text("\n".join(PAIRS) + "\n", encoding="utf-8")
    settings = TrainingSettings(steps=15, batch=3, length=16, rate=6e-3)
    trained = tune_lens(lm, corpus, out, settings)
    assert trained.weight.shape == (4, 16, 16)
    plain_lens = logit_lens(lm, prompt, metric)
    found = tuned_lens(lm, prompt, metric, translators=str(out))
    assert [axis.labels for axis in found.axes] == [axis.labels for axis in plain_lens.axes]
    np.testing.assert_allclose(found.values[-1], plain_lens.values[-1], rtol=1e-5)
    kl, before = (each.extra["kl"].values[:-1].mean() for each in (found, plain_lens))
    assert kl < 0.9 * before, "it was trained on this pair among others"
    # By hand: the stream before X0, through its translator, and the head.
    stream: list[torch.Tensor] = []
    plain = Plain(lm, prompt)
    plain.logits(plain.stream_before("X0", lambda own: stream.append(own) or own))
    moved = stream[0][0] + stream[0][0] @ trained.weight[1].T + trained.bias[1]
    decoder = plain.decoder
    normed = decoder.final_layer_norm(moved) if plain.sublayers else moved
    if getattr(lm.model.config, "scale_decoder_outputs", False):
        normed = normed * lm.model.config.d_model**-0.5
    with torch.no_grad():
        logits = lm.model.get_output_embeddings()(normed)
        logits = logits + getattr(lm.model, "final_logits_bias", 0)
    probs = logits.softmax(-1)[:, metric.target_id]
    np.testing.assert_allclose(found.values[1], probs, rtol=1e-4, atol=1e-6)
    Translators.identity(lm).save(tmp_path / "same")
    same = tuned_lens(lm, prompt, metric, translators=str(tmp_path / "same"))
    np.testing.assert_allclose(same.values, plain_lens.values, rtol=1e-5, atol=1e-8)


def test_a_text_that_is_no_pairs_trains_no_lens_of_a_decoder(tmp_path: Path) -> None:
    lm, prompt, metric, _ = _case("t5", torch.float32)
    corpus = tmp_path / "text.txt"
    corpus.write_text(f"{TEXT}\nThe Eiffel Tower is in Paris.\n", encoding="utf-8")
    with pytest.raises(BadParameter, match=r"Line 2 of .* is no pair"):
        tune_lens(lm, corpus, tmp_path / "lens", TrainingSettings(steps=2, batch=2))
    corpus.write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadParameter, match="more than 2 tokens"):
        tune_lens(lm, corpus, tmp_path / "lens", TrainingSettings(steps=2, batch=2, length=2))
    heard = lens_training(
        lm, prompt, metric, corpus=str(corpus), out=str(tmp_path / "other"), steps=1, batch=1
    )
    assert heard.axes[0].labels == ("embed", "D0", "X0", "D1")


def test_layers_go_by_name_as_parameters_a_group_at_once() -> None:
    lm, prompt, metric, _ = _case("t5", torch.float32)
    parse = next(p for p in ANALYSES["head_ablation"].parameters if p.name == "layers").parse
    assert parse("x, E0") == ("X", "E0")
    found = head_ablation(lm, prompt, metric, layers=parse("x,E0"))
    assert found.axes[0].labels == ("X0", "X1", "E0")
    by_number = attention_knockout(lm, prompt, metric, unit="token", layers=[3, 5])
    by_name = attention_knockout(lm, prompt, metric, unit="token", layers=parse("X"))
    np.testing.assert_array_equal(by_name.values, by_number.values)
    with pytest.raises(BadParameter, match="no layer X7"):
        head_ablation(lm, prompt, metric, layers=parse("X7"))
    with pytest.raises(BadParameter, match="is a group of layers"):
        steering(lm, prompt, metric, positive=["a"], negative=["b"], layer="X")
    with pytest.raises(BadParameter, match="one stack of layers"):
        head_ablation(*case("gpt2"), layers=("X0",))
