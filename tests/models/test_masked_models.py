"""Masked models looked into: every value against plain hooked forwards of the model as it was given."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.attribution.lrp import lrp
from interpboard.attribution.occlusion import occlusion
from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.lens.logit import logit_lens
from interpboard.errors import Unsupported
from interpboard.interventions.edited_direct import edited_direct_attribution
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TOLERANCE, fingerprint
from tests.masked import HEADS, LAYERS, MASKED, OTHER, TEXT, masked_lm, masked_model, plain, seen
from tests.models.test_encoders import tokenizer

EACH = pytest.mark.parametrize("family", MASKED)
# In float64 nothing hides behind rounding; in float32 faster kernels compute.
FORMATS = pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((each, torch.float64) for each in MASKED),
        *((each, torch.float32) for each in ("bert", "modernbert", "deberta")),
    ],
    ids=str,
)
SITES = ("resid_pre", "z", "attn_out", "resid_mid", "neuron", "mlp_out", "resid_post")
CLOSE: dict[torch.dtype, dict[str, float]] = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
    torch.float64: TOLERANCE[torch.float64],
}


def case(
    family: str, dtype: torch.dtype = torch.float64, name: str = "logit"
) -> tuple[LanguageModel, PromptInfo, Metric, torch.Tensor, torch.Tensor, Any]:
    """Model, prompt, metric; ids of the prompt and of another as long; the model as it was given."""
    lm = masked_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(name, target="paris"))
    other = input_ids(lm, make_prompt(lm, OTHER))
    return lm, prompt, metric, input_ids(lm, prompt), other, masked_model(family, dtype)


def value(metric: Metric, logits: torch.Tensor) -> float:
    return float(metric.of(logits[metric.info.position, None])[0])


@FORMATS
def test_heads_switched_off_are_those_of_plain_forwards(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, ids, _, model = case(family, dtype)
    before = fingerprint(lm)
    found = head_ablation(lm, prompt, metric).values
    clean = value(metric, plain(family, model, ids, []))
    for layer in range(LAYERS):
        for head in range(HEADS):

            def off(z: torch.Tensor, head: int = head) -> torch.Tensor:
                heads = z.unflatten(-1, (HEADS, -1)).clone()
                heads[:, :, head] = 0
                return heads.flatten(2)

            expected = value(metric, plain(family, model, ids, [("z", layer, off)])) - clean
            np.testing.assert_allclose(found[layer, head], expected, **CLOSE[dtype])
    assert fingerprint(lm) == before
    assert np.abs(found).min() > 1e-4  # it would show nothing


@FORMATS
def test_every_site_is_patched_as_a_plain_hook_patches_it(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, ids, other, model = case(family, dtype)
    run = record(lm, prompt)
    edits, expected = [], []
    for site in SITES:
        for layer in range(LAYERS):
            donor = seen(family, model, other, site, layer)
            for positions in ((3,), None):

                def put(
                    own: torch.Tensor, donor: torch.Tensor = donor, positions: Any = positions
                ) -> torch.Tensor:
                    new = own.clone()
                    at = slice(None) if positions is None else list(positions)
                    new[:, at] = donor[:, at]
                    return new

                new = donor[0] if positions is None else donor[0, list(positions)]
                shaped = new.unflatten(-1, (HEADS, -1)) if site == "z" else new
                edits.append((Edit(site, layer, "patch", positions=positions, value=shaped),))
                expected.append(value(metric, plain(family, model, ids, [(site, layer, put)])))
    found = evaluate(run, edits, metric)
    np.testing.assert_allclose(found, expected, **CLOSE[dtype])
    assert np.abs(found - metric.baseline).max() > 1e-3


@EACH
def test_a_stream_patched_at_each_token_is_what_a_plain_hook_gives(family: str) -> None:
    lm, prompt, metric, ids, other, model = case(family)
    result = activation_patching(lm, prompt, metric, corrupted=OTHER, site="resid_post")
    donor = seen(family, model, ids, "resid_post", 0)
    for position in (1, 3, 9):

        def put(own: torch.Tensor, position: int = position) -> torch.Tensor:
            new = own.clone()
            new[:, position] = donor[:, position]
            return new

        expected = value(metric, plain(family, model, other, [("resid_post", 0, put)]))
        np.testing.assert_allclose(
            result.extra["metric"].values[0, position], expected, rtol=1e-9, atol=1e-9
        )


@EACH
def test_causal_tracing_is_noise_and_one_state_put_back(family: str) -> None:
    lm, prompt, metric, ids, _, model = case(family, name="prob")
    found = causal_trace(lm, prompt, metric, subject="capital", samples=1, seed=3)
    table = model.get_input_embeddings().weight.detach()
    noise = torch.randn((1, table.shape[1]), generator=torch.Generator().manual_seed(3))
    size = 3.0 * float(table.std(correction=0))

    def spoil(embedded: torch.Tensor) -> torch.Tensor:
        new = embedded.clone()
        new[:, 2] += (size * noise[0]).to(new)
        return new

    spoilt = ("embed", 0, spoil)
    low = value(metric, plain(family, model, ids, [spoilt]))
    np.testing.assert_allclose(found.extra["corrupted"].values, low, rtol=1e-6)
    for layer in range(LAYERS):
        clean = seen(family, model, ids, "resid_post", layer)
        for position in (0, 2, 6, 10):  # behind the mask as well

            def back(own: torch.Tensor, clean: Any = clean, position: int = position) -> Any:
                new = own.clone()
                new[:, position] = clean[:, position]
                return new

            put = ("resid_post", layer, back)
            expected = value(metric, plain(family, model, ids, [spoilt, put])) - low
            np.testing.assert_allclose(
                found.values[layer, position], expected, rtol=1e-5, atol=1e-8
            )


@FORMATS
def test_the_lens_is_the_models_own_head_at_each_layer(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, ids, _, model = case(family, dtype)
    found = logit_lens(lm, prompt, metric)
    assert lm.verified.lens
    for layer in range(LAYERS):
        stream = seen(family, model, ids, "resid_post", layer)
        with torch.no_grad():
            logits = MASKED[family].head(model, stream)[0]
        expected = logits.softmax(-1)[:, metric.target_id]
        np.testing.assert_allclose(found.values[layer + 1], expected, **CLOSE[dtype])
    with torch.no_grad():
        own = model(input_ids=ids).logits[0].softmax(-1)[:, metric.target_id]
    np.testing.assert_allclose(found.values[-1], own, **CLOSE[dtype])


@FORMATS
def test_a_token_left_out_is_a_plain_forward_without_it(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, ids, _, model = case(family, dtype, "logprob")
    found = occlusion(lm, prompt, metric, baseline="text", baseline_text="the").values
    the = lm.tokenizer.convert_tokens_to_ids("the")
    clean = value(metric, plain(family, model, ids, []))
    for position in range(ids.shape[1]):
        without = ids.clone()
        without[0, position] = the
        expected = clean - value(metric, plain(family, model, without, []))
        np.testing.assert_allclose(found[position], expected, **CLOSE[dtype])


@EACH
def test_what_if_makes_its_edits_in_one_run(family: str) -> None:
    lm, prompt, metric, ids, _, model = case(family)
    found = what_if(lm, prompt, metric, interventions="1.2=zero; 0.mlp=zero")

    def off(z: torch.Tensor) -> torch.Tensor:
        heads = z.unflatten(-1, (HEADS, -1)).clone()
        heads[:, :, 2] = 0
        return heads.flatten(2)

    done = [("z", 1, off), ("mlp_out", 0, torch.zeros_like)]
    expected = value(metric, plain(family, model, ids, done)) - metric.baseline
    np.testing.assert_allclose(found.extra["effect"].values, expected, rtol=1e-9)


def test_layers_called_again_and_plain_forwards_give_the_same() -> None:
    paths = {family: masked_lm(family).verified.path for family in MASKED}
    # Their layers are handed embeddings of distances.
    assert {paths.pop(family) for family in ("deberta", "deberta-v2")} == {"hooks"}
    assert set(paths.values()) == {"replay"}
    assert all(not masked_lm(family).verified.causal for family in MASKED)


def test_albert_is_looked_into_in_a_copy_and_stays_as_it_was() -> None:
    lm, given = masked_lm("albert", torch.float64), masked_model("albert", torch.float64)
    assert len(given.albert.encoder.albert_layer_groups) == 1
    assert given.config.num_hidden_groups == 1
    assert len({id(layer) for layer in lm.anatomy.layers}) == LAYERS
    own = {id(parameter) for parameter in given.parameters()}
    assert {id(parameter) for parameter in lm.model.parameters()} == own


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "albert", "modernbert"])
def test_relevance_is_kept_through_the_head_where_there_are_no_biases(family: str) -> None:
    given = copy.deepcopy(masked_model(family, torch.float64))
    with torch.no_grad():
        for name, parameter in given.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    lm = LanguageModel.of(given, tokenizer(), family)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    found = lrp(lm, prompt, metric, attention="frozen").values.sum()
    assert found == pytest.approx(metric.baseline, rel=1e-9)


@FORMATS
def test_direct_contributions_sum_to_the_logit_through_every_norm(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, _, _, _, _ = case(family, dtype)
    near = 1e-5 if family == "deberta" else 1e-9  # its norms compute in float32
    for request in (
        MetricRequest("logit"),
        MetricRequest("logit_diff", target="paris", foil="rome"),
    ):
        metric = resolve_metric(lm, prompt, request)
        found = direct_logit_attribution(lm, prompt, metric, neurons=True)
        assert found.values.sum() == pytest.approx(
            metric.baseline, abs=1e-3 if dtype is torch.float32 else near
        )
        assert found.extra["accumulated"].values[-1] == pytest.approx(found.values.sum())


@torch.no_grad()
def test_what_berts_last_layer_writes_is_what_its_weights_say() -> None:
    lm, prompt, metric, ids, _, model = case("bert")
    found = direct_logit_attribution(lm, prompt, metric)
    at, layer, head = metric.info.position, model.bert.encoder.layer[1], model.cls.predictions
    mid = seen("bert", model, ids, "resid_mid", 1)[0, at]
    mlp = seen("bert", model, ids, "mlp_out", 1)[0, at]
    attn = seen("bert", model, ids, "attn_out", 1)[0, at]
    before = seen("bert", model, ids, "resid_pre", 1)[0, at]

    def held(norm: Any, stream: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        return norm.weight * (part - part.mean()) / (stream.var(correction=0) + norm.eps).sqrt()

    def by_the_head(part: torch.Tensor) -> float:
        bent = head.transform.dense(layer.output.LayerNorm(mid + mlp))
        gelu = torch.nn.functional.gelu(bent)
        dense = head.transform.dense.weight @ part * (gelu / bent)
        return float(
            head.decoder.weight[metric.target_id] @ held(head.transform.LayerNorm, gelu, dense)
        )

    values = dict(zip(found.axes[0].labels, found.values, strict=True))
    of_mlp = by_the_head(held(layer.output.LayerNorm, mid + mlp, mlp))
    assert values["L1 MLP"] == pytest.approx(of_mlp, rel=1e-8)
    inner = held(layer.attention.output.LayerNorm, before + attn, attn)
    of_attention = by_the_head(held(layer.output.LayerNorm, mid + mlp, inner))
    assert found.extra["attention"].values[1] == pytest.approx(of_attention, rel=1e-8)


def test_direct_attribution_of_an_edited_run_refuses_what_it_cannot_tell_apart() -> None:
    lm, prompt, metric, _, _, _ = case("bert")
    found = edited_direct_attribution(lm, prompt, metric, interventions="0.attn=zero")
    edited = what_if(lm, prompt, metric, interventions="0.attn=zero").extra["effect"].values
    assert found.values[:, 1].sum() == pytest.approx(metric.baseline + float(edited), rel=1e-8)
    with pytest.raises(Unsupported, match="norm behind their sums"):
        edited_direct_attribution(lm, prompt, metric, interventions="0.resid=zero")
