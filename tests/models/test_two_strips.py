"""Encoder–decoders against plain hooked forwards: every group of layers, both strips, seven families."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from interpboard.attribution.continuation import continuation_attribution
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.saliency import saliency
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.attention import attention
from interpboard.circuits.heads.compare import compare_ablations
from interpboard.circuits.heads.pairs import head_pairs
from interpboard.circuits.lens.logit import logit_lens
from interpboard.interventions.what_if import what_if
from interpboard.models.sites import SITES
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.predictions import predictions
from interpboard.runs.prompt import make_prompt
from tests.lm import fingerprint
from tests.strips import FAMILIES, TEXT, Plain, put, strips_lm

NAMES = ("E0", "E1", "D0", "X0", "D1", "X1")
CORRUPTED = "The old house Tower is in the ||| the city of"
_BOTH = [("t5", torch.float32), ("t5", torch.float64), ("bart", torch.float64)]
CASES = [*_BOTH, *((f, torch.float64) for f in FAMILIES if f not in ("t5", "bart"))]
every_case = pytest.mark.parametrize(("family", "dtype"), CASES)


@cache
def _case(family: str, dtype: torch.dtype) -> tuple[object, PromptInfo, Metric, Plain]:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest()), Plain(lm, prompt)


def _some(prompt: PromptInfo) -> tuple[int, ...]:
    """The first and the last position of either strip, and one between."""
    border = prompt.border
    return 0, 2, border - 1, border, len(prompt.token_ids) - 1


def _tolerance(dtype: torch.dtype) -> dict[str, float]:
    return {"rtol": 1e-4, "atol": 1e-4 if dtype == torch.float32 else 1e-9}


@every_case
def test_every_site_of_every_group_is_proved_and_the_head_gives_the_models_own_logits(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    assert lm.verified.sites == frozenset(SITES)
    assert lm.verified.lens
    assert lm.info.layer_names == NAMES
    own = plain.logits().softmax(-1)[-1]
    found = predictions(lm, prompt, metric, top_k=5)
    ids = found.extra["token_ids"].values
    np.testing.assert_allclose(found.values, own[torch.tensor(ids)].detach(), **_tolerance(dtype))


@every_case
def test_taking_a_head_away_in_any_of_the_three_groups_is_a_plain_run_without_it(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    before = fingerprint(lm)
    found = head_ablation(lm, prompt, metric)
    assert found.axes[0].labels == NAMES
    for row, name in enumerate(NAMES):
        for head in range(2):
            logits = plain.logits(plain.head(name, head, torch.zeros_like))
            effect = float(logits[-1, metric.target_id]) - metric.baseline
            np.testing.assert_allclose(found.values[row, head], effect, **_tolerance(dtype))
    assert fingerprint(lm) == before


@every_case
def test_occlusion_takes_tokens_of_both_strips_away(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = occlusion(lm, prompt, metric)
    for position, score in enumerate(found.values):
        of_source, at = plain.at(position)
        logits = plain.logits(plain.embedding(of_source, put(at, torch.tensor(0.0))))
        lost = metric.baseline - float(logits[-1, metric.target_id])
        np.testing.assert_allclose(score, lost, **_tolerance(dtype))


@every_case
def test_the_stream_is_patched_in_every_group_at_the_positions_that_it_has(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    other = make_prompt(lm, "The house Tower is in ||| the city of")
    bad = Plain(lm, other)
    found = activation_patching(lm, prompt, metric, corrupted=other.text)
    patched = found.extra["metric"].values
    for row, name in enumerate(NAMES):
        clean: list[torch.Tensor] = []
        plain.logits(plain.stream_before(name, lambda own, kept=clean: kept.append(own) or own))
        for position in _some(prompt):
            of_source, at = plain.at(position)
            if of_source != (name[0] == "E"):
                assert np.isnan(patched[row, position])
                assert np.isnan(found.values[row, position])
                continue
            logits = bad.logits(bad.stream_before(name, put(at, clean[0][0, at])))
            value = float(logits[-1, metric.target_id])
            np.testing.assert_allclose(patched[row, position], value, **_tolerance(dtype))
    assert not found.warnings


@every_case
def test_a_heads_output_is_patched_in_every_group(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    other = make_prompt(lm, "The house Tower is in ||| the city of")
    bad = Plain(lm, other)
    found = activation_patching(lm, prompt, metric, corrupted=other.text, site="z")
    for row, name in enumerate(NAMES):
        for head in range(2):
            clean: list[torch.Tensor] = []
            keep = plain.head(name, head, lambda own, kept=clean: kept.append(own) or own)
            plain.logits(keep)
            logits = bad.logits(bad.head(name, head, lambda _own, kept=clean: kept[0]))
            value = float(logits[-1, metric.target_id])
            got = found.extra["metric"].values[row, head]
            np.testing.assert_allclose(got, value, **_tolerance(dtype))


@every_case
def test_a_subject_of_the_source_is_traced_into_the_decoder(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = causal_trace(lm, prompt, metric, subject="Eiffel", samples=1)
    at = prompt.tokens.index(" Eiffel")
    assert found.params["subject"] == [at]
    noise = embedding_noise(lm, (at,), 3.0, 1, 0)[0][0].value
    assert noise is not None

    def drowned(own: torch.Tensor) -> torch.Tensor:
        new = own.clone()
        new[:, at] += noise[0].to(own)
        return new

    corrupt = plain.embedding(True, drowned)
    corrupted = float(plain.logits(corrupt)[-1, metric.target_id])
    np.testing.assert_allclose(found.extra["corrupted"].values, corrupted, **_tolerance(dtype))
    # Behind E0 is before E1; behind D0 is before X0; behind X0 is before D1.
    for row, behind in ((0, "E1"), (2, "X0"), (3, "D1")):
        clean: list[torch.Tensor] = []
        plain.logits(plain.stream_before(behind, lambda own, kept=clean: kept.append(own) or own))
        for position in _some(prompt):
            of_source, where = plain.at(position)
            if of_source != (behind[0] == "E"):
                assert np.isnan(found.values[row, position])
                continue
            restored = plain.stream_before(behind, put(where, clean[0][0, where]))
            value = float(plain.logits(corrupt, restored)[-1, metric.target_id]) - corrupted
            np.testing.assert_allclose(found.values[row, position], value, **_tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), _BOTH)
def test_gradients_are_over_both_strips_and_integrate_to_the_difference(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    source = plain.encoder.embed_tokens(plain.source).detach().requires_grad_()
    prefix = plain.decoder.embed_tokens(plain.prefix).detach().requires_grad_()
    out = lm.model(inputs_embeds=source, decoder_inputs_embeds=prefix, use_cache=False)
    out.logits[0, -1, metric.target_id].backward()
    lm.model.zero_grad(set_to_none=True)
    gradient = torch.cat([source.grad[0], prefix.grad[0]])
    found = saliency(lm, prompt, metric)
    np.testing.assert_allclose(found.values, gradient.norm(dim=-1), **_tolerance(dtype))
    options = {"baseline": "text", "baseline_text": " city", "n_steps": 200}
    whole = integrated_gradients(lm, prompt, metric, **options).values.sum()
    city = lm.tokenizer(" city")["input_ids"][0]
    alike = [torch.full_like(each, city) for each in (plain.source, plain.prefix)]
    out = lm.model(input_ids=alike[0], decoder_input_ids=alike[1], use_cache=False)
    begin = float(out.logits[0, -1, metric.target_id].detach())
    np.testing.assert_allclose(whole, metric.baseline - begin, rtol=0.02)


@every_case
def test_the_lens_reads_the_decoder_alone_and_ends_in_the_models_own_words(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = logit_lens(lm, prompt, metric)
    assert found.axes[0].labels == ("embed", "D0", "X0", "D1", "X1")
    assert found.axes[1].labels == prompt.tokens[prompt.border :]
    stream: list[torch.Tensor] = []
    plain.logits(plain.stream_before("D1", lambda own: stream.append(own) or own))
    decoder, config = plain.decoder, lm.model.config
    norm = getattr(decoder, "final_layer_norm", None) or getattr(decoder, "layer_norm", None)
    normed = norm(stream[0]) if norm is not None else stream[0]
    if getattr(config, "scale_decoder_outputs", False):
        normed = normed * config.d_model**-0.5
    logits = lm.model.get_output_embeddings()(normed)
    logits = logits + getattr(lm.model, "final_logits_bias", 0)
    probs = logits.softmax(-1)[0, :, metric.target_id].detach()
    np.testing.assert_allclose(found.values[2], probs, **_tolerance(dtype))
    last = plain.logits().softmax(-1)[:, metric.target_id].detach()
    np.testing.assert_allclose(found.values[-1], last, **_tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), _BOTH)
def test_patterns_are_those_that_the_model_reports(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = attention(lm, prompt, metric)
    implementation = lm.model.config._attn_implementation
    lm.model.set_attn_implementation("eager")
    try:
        out = lm.model(
            input_ids=plain.source, decoder_input_ids=plain.prefix, output_attentions=True
        )
    finally:
        lm.model.set_attn_implementation(implementation)
    border = prompt.border
    before, behind = slice(0, border), slice(border, None)
    reported = {
        "E": (out.encoder_attentions, before, before),
        "D": (out.decoder_attentions, behind, behind),
        "X": (out.cross_attentions, behind, before),
    }
    for row, name in enumerate(NAMES):
        patterns, queries, keys = reported[name[0]]
        expected = patterns[int(name[1:])][0].detach()
        np.testing.assert_allclose(
            found.values[row][:, queries, keys], expected, **_tolerance(dtype)
        )
        absent = before if queries is behind else behind
        assert np.isnan(found.values[row][:, absent]).all()
        rows = expected[:, int(name[0] == "D") :]
        entropy = -(rows * rows.clamp_min(1e-30).log()).sum(-1).mean(-1)
        np.testing.assert_allclose(found.extra["entropy"].values[row], entropy, **_tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), _BOTH)
def test_a_what_if_names_its_stack(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    for place, name, head in (("E1.0", "E1", 0), ("X0.1", "X0", 1)):
        found = what_if(lm, prompt, metric, interventions=f"{place}=zero")
        logits = plain.logits(plain.head(name, head, torch.zeros_like))
        value = float(logits[-1, metric.target_id])
        np.testing.assert_allclose(found.values[1], value, **_tolerance(dtype))
    mean = what_if(lm, prompt, metric, interventions="X0.1=mean").values[1]
    averaged = plain.head("X0", 1, lambda z: z.mean(1, keepdim=True).expand_as(z))
    value = float(plain.logits(averaged)[-1, metric.target_id])
    np.testing.assert_allclose(mean, value, **_tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), _BOTH)
def test_pairs_and_strategies_of_heads_are_plain_runs(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    pairs = head_pairs(lm, prompt, metric, top_k=3)
    names = pairs.axes[0].labels
    first, second = ((name.split()[0], int(name[-1])) for name in names[:2])
    logits = plain.logits(*(plain.head(*head, torch.zeros_like) for head in (first, second)))
    joint = float(logits[-1, metric.target_id]) - metric.baseline
    np.testing.assert_allclose(pairs.extra["joint"].values[0, 1], joint, **_tolerance(dtype))
    several = compare_ablations(lm, prompt, metric, components="X0.1,E1.0")
    assert several.axes[0].labels == ("X0 H1", "E1 H0")
    assert several.params["components"] == ["X0.1", "E1.0"]
    averaged = plain.head("X0", 1, lambda z: z.mean(1, keepdim=True).expand_as(z))
    effect = float(plain.logits(averaged)[-1, metric.target_id]) - metric.baseline
    column = several.axes[1].labels.index("mean")
    np.testing.assert_allclose(several.values[0, column], effect, **_tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), _BOTH)
def test_the_model_writes_on_behind_its_prefix_and_both_strips_are_asked(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = continuation_attribution(lm, prompt, metric, new_tokens=3, method="saliency")
    ids = lm.model.generate(
        input_ids=plain.source, decoder_input_ids=plain.prefix, max_new_tokens=3, do_sample=False,
        num_beams=1, forced_eos_token_id=None,
    )[0, plain.prefix.shape[1] :]  # fmt: skip
    written = tuple(shown_tokens(lm.tokenizer, ids.tolist()))
    assert found.axes[0].labels == written
    assert found.axes[1].labels[: len(prompt.tokens)] == prompt.tokens
    np.testing.assert_allclose(
        found.values[0, : len(prompt.tokens)],
        saliency(lm, prompt, metric).values,
        **_tolerance(dtype),
    )


@pytest.mark.parametrize("family", ["t5", "bart", "m2m_100"])
@pytest.mark.parametrize("site", ["q", "k", "v"])
def test_queries_keys_and_values_are_those_of_the_projections(family: str, site: str) -> None:
    """Of cross attention keys and values are the source's, queries the prefix's."""
    lm, prompt, metric, plain = _case(family, torch.float64)
    other = make_prompt(lm, "The house Tower is in ||| the city is")
    bad = Plain(lm, other)
    found = activation_patching(lm, prompt, metric, corrupted=other.text, site=site)
    for row, name in enumerate(NAMES):
        clean: list[torch.Tensor] = []
        plain.logits(
            plain.projected(name, site, 1, lambda own, kept=clean: kept.append(own) or own)
        )
        logits = bad.logits(bad.projected(name, site, 1, lambda _own, kept=clean: kept[0]))
        value = float(logits[-1, metric.target_id])
        got = found.extra["metric"].values[row, 1]
        np.testing.assert_allclose(got, value, **_tolerance(torch.float64))
