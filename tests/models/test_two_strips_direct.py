"""What the parts of a decoder write into the answer, against norms and maps written out by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.neurons.contributions import neurons
from interpboard.errors import BadParameter
from interpboard.interventions.edited_direct import edited_direct_attribution
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import fingerprint
from tests.strips import FAMILIES, TEXT, Plain, strips_lm

BOTH = [(family, dtype) for family in ("t5", "bart") for dtype in (torch.float32, torch.float64)]
CASES = [*BOTH, *((f, torch.float64) for f in FAMILIES if f not in ("t5", "bart"))]
every_case = pytest.mark.parametrize(("family", "dtype"), CASES)
NAMES = ("D0", "X0", "D1", "X1")


@cache
def _case(family: str, dtype: torch.dtype) -> tuple[LanguageModel, PromptInfo, Metric, Plain]:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest()), Plain(lm, prompt)


def _near(dtype: torch.dtype) -> dict[str, float]:
    return {"rtol": 1e-4, "atol": 2e-5 if dtype == torch.float32 else 1e-6}


class ByHand:
    """The decoder's last position: what each part adds, and the linear map that the norms are when held."""

    def __init__(self, plain: Plain, target: int) -> None:
        self.plain, self.target = plain, target
        self.modules: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self.seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        handles = [
            module.register_forward_hook(self._keep)
            for module in plain.decoder.modules()
            if not list(module.children()) or module is plain.decoder.embed_tokens
        ]
        self.logits = plain.logits()[-1]
        for handle in handles:
            handle.remove()

    def _keep(self, module: Any, args: Any, out: Any) -> None:
        if args and isinstance(args[0], torch.Tensor) and args[0].dim() == 3:
            self.seen[id(module)] = args[0][0, -1].detach(), out[0, -1].detach()

    def held(self, norm: Any, vector: torch.Tensor) -> torch.Tensor:
        """``norm`` of ``vector`` with the scale that it had in the run, without its bias."""
        x = self.seen[id(norm)][0]
        if isinstance(norm, torch.nn.LayerNorm):
            scale = (x.var(unbiased=False) + norm.eps).rsqrt()
            return (vector - vector.mean()) * scale * norm.weight
        scale = (x.pow(2).mean() + norm.variance_epsilon).rsqrt()
        return vector * scale * norm.weight

    def into_logit(self, vector: torch.Tensor, behind: list[Any]) -> float:
        """Of ``vector``, added before the norms ``behind`` which follow each other."""
        for norm in behind:
            vector = self.held(norm, vector)
        config = self.plain.model.config
        if getattr(config, "scale_decoder_outputs", False):
            vector = vector * config.d_model**-0.5
        weight = self.plain.model.get_output_embeddings().weight
        return float(vector @ weight[self.target])

    def final(self) -> list[Any]:
        decoder = self.plain.decoder
        for name in ("final_layer_norm", "layer_norm"):
            if hasattr(decoder, name):
                return [getattr(decoder, name)]
        return []

    def norms_behind(self, name: str, of_mlp: bool) -> list[Any]:
        """Those that what attention or MLP of ``name`` adds passes on its way."""
        if self.plain.sublayers or self.plain.norms_first:
            return self.final()
        found: list[Any] = []
        for number, block in enumerate(self.plain.below):
            places = ((f"D{number}", False), (f"X{number}", False), (f"X{number}", True))
            norms = (
                block.self_attn_layer_norm,
                block.encoder_attn_layer_norm,
                block.final_layer_norm,
            )
            for place, norm in zip(places, norms, strict=True):
                if found or place == (name, of_mlp):
                    found.append(norm)
        return found

    def head(self, name: str, head: int) -> torch.Tensor:
        module = self.plain.out_proj(name)
        z = self.seen[id(module)][0]
        size = len(z) // 2
        part = slice(head * size, (head + 1) * size)
        return module.weight[:, part] @ z[part]

    def down(self, name: str) -> Any:
        block = self.plain.below[int(name[1:])]
        return block.layer[-1].DenseReluDense.wo if self.plain.sublayers else block.fc2


@every_case
def test_parts_of_the_decoder_sum_to_the_logit_and_each_is_what_norms_by_hand_give(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    before = fingerprint(lm)
    found = direct_logit_attribution(lm, prompt, metric, neurons=True)
    assert fingerprint(lm) == before
    np.testing.assert_allclose(found.values.sum(), metric.baseline, **_near(dtype))
    labels = found.axes[0].labels
    assert not [label for label in labels if label[0] == "E"], "the encoder has no direct path"
    assert "encoder writes nothing" in found.warnings[0]
    assert "D0 MLP" not in labels
    assert found.extra["heads"].axes[0].labels == NAMES
    assert np.isnan(found.extra["mlp"].values[[0, 2]]).all()
    assert found.extra["accumulated"].axes[0].labels == ("embed", *NAMES)
    np.testing.assert_allclose(
        found.extra["accumulated"].values[-1], metric.baseline, **_near(dtype)
    )
    hand = ByHand(plain, metric.target_id)
    with torch.no_grad():
        for row, name in enumerate(NAMES):
            for head in range(2):
                written = hand.into_logit(hand.head(name, head), hand.norms_behind(name, False))
                value = found.values[labels.index(f"{name} H{head}")]
                np.testing.assert_allclose(value, written, **_near(dtype))
                assert found.extra["heads"].values[row, head] == value
        for name in ("X0", "X1"):
            module = hand.down(name)
            active, added = hand.seen[id(module)]
            behind = hand.norms_behind(name, True)
            value = found.values[labels.index(f"{name} MLP")]
            np.testing.assert_allclose(value, hand.into_logit(added, behind), **_near(dtype))
            one = hand.into_logit(module.weight[:, 5] * active[5], behind)
            np.testing.assert_allclose(
                found.extra["neurons"].values[NAMES.index(name), 5], one, **_near(dtype)
            )


@pytest.mark.parametrize("family", ["t5", "mbart", "marian"])
def test_a_difference_of_two_tokens_is_a_sum_too(family: str) -> None:
    lm, prompt, _, _ = _case(family, torch.float64)
    metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", " the", " city"))
    found = direct_logit_attribution(lm, prompt, metric)
    np.testing.assert_allclose(found.values.sum(), metric.baseline, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("family", "dtype"), BOTH)
def test_with_an_edit_of_either_stack_both_columns_sum_to_their_runs(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, _ = _case(family, dtype)
    for edit, name in (("E1.0=zero", "E1"), ("X0.1=zero", "X0")):
        found = edited_direct_attribution(lm, prompt, metric, interventions=edit)
        edited = what_if(lm, prompt, metric, interventions=edit).values[1]
        np.testing.assert_allclose(found.values.sum(0), [metric.baseline, edited], **_near(dtype))
        row = found.axes[0].labels.index("X0 H1")
        assert (found.values[row, 1] == 0) == (name == "X0")
        assert found.extra["effect"].values[row] != 0, (
            "what the source says reaches cross attention"
        )


@every_case
def test_a_neuron_of_the_decoder_speaks_for_the_tokens_that_its_weights_point_at(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = neurons(lm, prompt, metric, neuron="X0.5", top_k=3)
    assert found.axes[0].labels == ("E0", "E1", *NAMES)
    assert np.isnan(found.values[[0, 1, 2, 4]]).all()
    hand = ByHand(plain, metric.target_id)
    module = hand.down("X0")
    np.testing.assert_allclose(
        found.extra["activation"].values[3], hand.seen[id(module)][0], **_near(dtype)
    )
    behind = hand.norms_behind("X0", True)
    by = []
    with torch.no_grad():
        for token in range(lm.anatomy.d_vocab):
            hand.target = token
            by.append(hand.into_logit(module.weight[:, 5], behind))
    np.testing.assert_allclose(
        found.extra["promoted_by"].values, sorted(by)[:-4:-1], **_near(dtype)
    )
    np.testing.assert_allclose(found.extra["suppressed_by"].values, sorted(by)[:3], **_near(dtype))
    along = found.extra["along"].values
    assert np.isnan(along[: prompt.border]).all()
    np.testing.assert_allclose(along[-1], hand.seen[id(module)][0][5], **_near(dtype))


@pytest.mark.parametrize("family", ["t5", "mt5", "bart"])
def test_a_neuron_of_the_encoder_is_seen_along_the_source_and_speaks_for_no_token(
    family: str,
) -> None:
    lm, prompt, metric, plain = _case(family, torch.float64)
    found = neurons(lm, prompt, metric, neuron="E1.3")
    assert "promoted" not in found.extra
    block = plain.above[1]
    module = block.layer[-1].DenseReluDense.wo if plain.sublayers else block.fc2
    active: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _m, args: active.append(args[0][0, :, 3]))
    plain.logits()
    handle.remove()
    along = found.extra["along"].values
    np.testing.assert_allclose(along[: prompt.border], active[0].detach(), rtol=1e-6, atol=1e-9)
    assert np.isnan(along[prompt.border :]).all()


@pytest.mark.parametrize("name", ["1.3", "D0.3", "X7.3", "X0.a", "X0.99"])
def test_a_neuron_that_is_in_no_stack_is_refused(name: str) -> None:
    lm, prompt, metric, _ = _case("t5", torch.float32)
    with pytest.raises(BadParameter, match="X1" if name != "X0.99" else "X0 has 0 to 23"):
        neurons(lm, prompt, metric, neuron=name)
