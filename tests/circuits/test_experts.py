"""Routers of mixtures of experts: read, put, patched, and experts off, against experts computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.experts.ablation import expert_ablation
from interpboard.circuits.experts.neurons import expert_neurons
from interpboard.circuits.experts.routing import expert_routing
from interpboard.errors import BadParameter, Unsupported
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.results import PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TOLERANCE, case, fingerprint
from tests.mixtures import FAMILIES, OTHER, RESCALING, asked, mixture, plain_of, unit_of_neuron
from tests.mixtures import TEXT as MIXTURE_TEXT

# In float64 nothing hides behind rounding: a router of softmax, of groups, and one that rescales.
CASES = [(family, "", torch.float32) for family in FAMILIES] + [
    (family, "eager", torch.float64) for family in ("mixtral", "deepseek_v3", "granitemoe")
]
KERNELS = [("mixtral", kernel, torch.float32) for kernel in ("eager", "batched_mm", "grouped_mm")]


def _plain(lm: LanguageModel, prompt: PromptInfo, metric: Metric, layer: int, act: Any) -> float:
    return float(metric.of(plain_of(lm, prompt, layer, act)[None, metric.info.position])[0])


@pytest.mark.parametrize(("family", "kernel", "dtype"), [*CASES, *KERNELS])
def test_an_expert_off_is_a_forward_without_it_computed_by_hand(
    family: str, kernel: str, dtype: torch.dtype
) -> None:
    lm = mixture(family, dtype, kernel)
    prompt, metric = asked(lm)
    before = fingerprint(lm)
    result = expert_ablation(lm, prompt, metric)
    layers = lm.verified.layers_with("router")
    assert result.axes[0].labels == tuple(map(str, layers))
    weights = expert_routing(lm, prompt, metric).values
    for row, layer in enumerate(layers):
        for expert in range(4):

            def off(dense: torch.Tensor, expert: int = expert) -> torch.Tensor:
                new = dense.clone()
                new[:, expert] = 0
                return new

            plain = _plain(lm, prompt, metric, layer, off) - metric.baseline
            # Some routers compute in float32 whatever they are asked for.
            close = TOLERANCE[dtype] | ({"atol": 5e-7} if dtype is torch.float64 else {})
            np.testing.assert_allclose(result.values[row, expert], plain, **close)
            goes_there = (weights[row, :, expert] != 0).sum()
            assert result.extra["tokens"].values[row, expert] == goes_there
            assert goes_there or result.values[row, expert] == 0
    assert (result.values != 0).any()
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_send_tokens_elsewhere_are_those_computed_by_hand(family: str) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    layer = lm.verified.layers_with("router")[0]
    generator = torch.Generator().manual_seed(1)
    value = torch.rand((len(prompt.tokens), 4), generator=generator)
    value[2] = 0
    rows = [
        (Edit("router", layer, "patch", value=value),),
        (Edit("router", layer, "patch", positions=(3,), value=value[3:4]),),
        (Edit("router", layer, "add", neuron=1, value=value[:, 1]),),
        (),
    ]
    run = record(lm, prompt)
    got = evaluate(
        run, [*rows[:3], (Edit("mlp_out", layer, "add", value=torch.zeros(1, 16)),)], metric
    )

    def some(dense: torch.Tensor) -> torch.Tensor:
        new = dense.clone()
        new[3] = value[3]
        return new

    def more(dense: torch.Tensor) -> torch.Tensor:
        new = dense.clone()
        new[:, 1] += value[:, 1]
        return new

    acts = (lambda _: value.clone(), some, more, lambda dense: dense)
    plain = [_plain(lm, prompt, metric, layer, act) for act in acts]
    np.testing.assert_allclose(got, plain, **TOLERANCE[torch.float32])
    assert len(set(np.round(plain, 6))) == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_routing_is_what_the_block_hands_to_its_experts(family: str) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    result = expert_routing(lm, prompt, metric)
    for row, layer in enumerate(lm.verified.layers_with("router")):
        seen: list[torch.Tensor] = []

        def look(dense: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen.append(dense.clone())
            return dense

        plain_of(lm, prompt, layer, look)
        np.testing.assert_allclose(result.values[row], seen[0].numpy(), rtol=1e-6)
        assert ((result.values[row] != 0).sum(1) == 2).all()
        shares = np.abs(result.values[row]) / np.abs(result.values[row]).sum(1, keepdims=True)
        entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)
        np.testing.assert_allclose(result.extra["entropy"].values[row], entropy, rtol=1e-6)
    assert np.allclose(result.extra["share"].values.sum(1), 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_others_are_rescaled_where_the_block_rescales_and_refused_elsewhere(
    family: str,
) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    if family not in RESCALING:
        with pytest.raises(Unsupported, match="do not sum to the same"):
            expert_ablation(lm, prompt, metric, others="rescaled")
        return
    result = expert_ablation(lm, prompt, metric, others="rescaled", experts=[0, 2])
    for row, layer in enumerate(lm.verified.layers_with("router")):
        for at, expert in enumerate((0, 2)):

            def off(dense: torch.Tensor, expert: int = expert) -> torch.Tensor:
                new = dense.clone()
                new[:, expert] = 0
                return new / new.sum(1, keepdim=True) * dense.sum(1, keepdim=True)

            plain = _plain(lm, prompt, metric, layer, off) - metric.baseline
            np.testing.assert_allclose(result.values[row, at], plain, **TOLERANCE[torch.float32])


@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3", "llama4"])
def test_patching_at_the_router_puts_the_other_prompts_weights_there(family: str) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    other = make_prompt(lm, OTHER)
    clean = expert_routing(lm, prompt, metric).values
    layers = lm.verified.layers_with("router")
    by_expert = activation_patching(lm, prompt, metric, corrupted=OTHER, site="router")
    by_token = activation_patching(
        lm, prompt, metric, corrupted=OTHER, site="router", along="position"
    )
    assert np.isnan(
        by_expert.values[[i for i in range(lm.anatomy.n_layers) if i not in layers]]
    ).all()
    for row, layer in enumerate(layers):
        for cells, place in (
            (by_expert, lambda i: (slice(None), i)),
            (by_token, lambda i: (i, slice(None))),
        ):
            for i in range(cells.values.shape[1]):

                def put(
                    dense: torch.Tensor, i: int = i, row: int = row, place: Any = place
                ) -> torch.Tensor:
                    new, at = dense.clone(), place(i)
                    new[at] = torch.tensor(clean[row][at]).to(new)
                    return new

                plain = _plain(lm, other, metric, layer, put)
                got = cells.extra["metric"].values[layer, i]
                np.testing.assert_allclose(got, plain, **TOLERANCE[torch.float32])


def test_an_expert_is_switched_off_by_name_and_its_router_patched_as_a_whole() -> None:
    lm = mixture("deepseek_v3")
    prompt, metric = asked(lm)
    weights = expert_routing(lm, prompt, metric).values[0]
    expert = int(np.abs(weights).sum(0).argmax())
    off = expert_ablation(lm, prompt, metric, experts=[expert]).values[0, 0]
    found = what_if(lm, prompt, metric, interventions=f"1.e{expert}=zero")
    np.testing.assert_allclose(found.extra["effect"].values, off, rtol=1e-5, atol=1e-5)
    whole = what_if(lm, prompt, metric, interventions="1.router=patch", source=OTHER)
    donor = torch.tensor(expert_routing(lm, make_prompt(lm, OTHER), metric).values[0])
    plain = _plain(lm, prompt, metric, 1, lambda dense: donor.to(dense)) - metric.baseline
    np.testing.assert_allclose(whole.extra["effect"].values, plain, rtol=1e-4, atol=2e-5)
    mean = what_if(lm, prompt, metric, interventions=f"1.e{expert}=mean").extra["effect"].values
    assert mean not in (0.0, off)
    with pytest.raises(BadParameter, match="experts 0 to 3"):
        what_if(lm, prompt, metric, interventions="1.e4=zero")
    with pytest.raises(Unsupported, match="router are not available in layer 0"):
        what_if(lm, prompt, metric, interventions="0.e1=zero")


def test_a_model_without_experts_refuses_by_that_reason() -> None:
    lm, prompt, metric = case("llama")
    for ask in (expert_routing, expert_ablation, expert_neurons):
        with pytest.raises(Unsupported, match="no mixture of experts"):
            ask(lm, prompt, metric)
    with pytest.raises(Unsupported, match="no mixture of experts"):
        activation_patching(
            lm,
            prompt,
            metric,
            corrupted="The Eiffel Tower is located in the city to",
            site="router",
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_neuron_of_an_expert_writes_what_it_writes_by_hand(family: str) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    found = expert_neurons(lm, prompt, metric, top_k=1000)
    direct = direct_logit_attribution(lm, prompt, metric)
    layers = lm.verified.layers_with("router")
    np.testing.assert_allclose(
        np.nansum(found.extra["experts"].values, 1) + found.extra["beside"].values,
        direct.extra["mlp"].values[list(layers)],
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    weights = expert_routing(lm, prompt, metric).values[:, -1]
    goes = {(layers[row], e) for row, e in zip(*weights.nonzero(), strict=True)}
    named = [label.split() for label in found.axes[0].labels]
    assert {(int(a[1:]), int(b[1:])) for a, b, _ in named} == goes
    run = record(lm, prompt)
    stream, norm = run.resid_final[0, -1], lm.anatomy.final_norm
    rms = float((stream.square().mean() + getattr(norm, "variance_epsilon", 1e-6)).sqrt())
    along = norm.weight * lm.anatomy.unembedding.weight[metric.target_id] / rms
    along = along.detach() / getattr(lm.model.config, "logits_scaling", 1.0)
    along *= getattr(lm.model.config, "residual_multiplier", 1.0)
    for place in (0, len(named) // 2, len(named) - 1):
        layer, expert, neuron = (int(part[1:]) for part in named[place])
        weight = float(weights[layers.index(layer), expert])
        activation = float(found.extra["activation"].values[place])
        unit = unit_of_neuron(lm, layer, expert, neuron)
        written = activation * (1.0 if family == "llama4" else weight) * float(unit @ along)
        assert found.values[place] == pytest.approx(written, rel=1e-4, abs=1e-6)
        assert found.extra["weight"].values[place] == pytest.approx(weight, rel=1e-6)
    assert (np.diff(np.abs(found.values)) <= 0).all()
    few = expert_neurons(lm, prompt, metric, top_k=3)
    np.testing.assert_array_equal(few.values, found.values[:3])


@pytest.mark.usefixtures("changed_on_purpose")
def test_experts_that_do_not_add_up_to_what_they_said_are_refused() -> None:
    lm = mixture("mixtral")
    prompt, metric = asked(lm)
    of_layer = lm.anatomy.mixtures[1]
    assert of_layer is not None
    handle = of_layer.experts.register_forward_hook(lambda _m, _a, out: out * 1.01)
    try:
        with pytest.raises(Unsupported, match="do not add up to what they said"):
            expert_neurons(lm, prompt, metric)
    finally:
        handle.remove()


def test_a_page_says_of_each_token_its_experts_and_a_single_layer_is_a_table() -> None:
    lm = mixture("deepseek_v3")
    weights = expert_routing(lm, asked(lm)[0], asked(lm)[1]).values
    page = analyze(lm, MIXTURE_TEXT, ["expert_routing"]).to_text(width=100)
    for row, layer in enumerate((1, 2)):
        assert f"layer {layer}: token → its experts" in page
        first, second = np.argsort(-weights[row, 4])[:2]
        assert f"·cabinet@4 → {first} {second}" in page
    one = analyze(lm, MIXTURE_TEXT, ["expert_routing"], params={"expert_routing": {"layers": [1]}})
    assert "token\\expert      0      1      2      3" in one.to_text(width=100)
