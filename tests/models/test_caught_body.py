"""Families whose code is not like transformers': a body with other words, or none that can be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, silu
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from interpboard.analyze import analyze
from interpboard.errors import BadParameter, NotALanguageModel, Unsupported
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TEXT
from tests.tiny import tiny_tokenizer


class StrangeConfig(PretrainedConfig):
    """``callable_body``: whether embedding and layers are in a module with a forward of its own."""

    model_type = "strange"

    def __init__(self, callable_body: bool = True, tail: float = 1.0, **kwargs: Any) -> None:
        self.callable_body, self.tail = callable_body, tail
        self.dim, self.depth, self.count, self.inner, self.vocab_size = 32, 3, 4, 48, 420
        super().__init__(**kwargs)


class _Gaze(nn.Module):
    """Attention with one map for queries, keys and values, head by head."""

    def __init__(self, config: StrangeConfig) -> None:
        super().__init__()
        self.count = config.count
        self.pack = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.merge = nn.Linear(config.dim, config.dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        packed = self.pack(x).view(rows, length, self.count, 3, width // self.count)
        q, k, v = (packed[..., part, :].transpose(1, 2) for part in range(3))
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        out: torch.Tensor = self.merge(mixed.transpose(1, 2).reshape(rows, length, width))
        return out


class _Churn(nn.Module):
    """An MLP whose gate and whose widening are one map."""

    def __init__(self, config: StrangeConfig) -> None:
        super().__init__()
        self.both = nn.Linear(config.dim, 2 * config.inner, bias=False)
        self.shrink = nn.Linear(config.inner, config.dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, wide = self.both(x).chunk(2, -1)
        out: torch.Tensor = self.shrink(silu(gate) * wide)
        return out


class _Stage(nn.Module):
    """Attention and MLP side by side."""

    def __init__(self, config: StrangeConfig) -> None:
        super().__init__()
        self.pre, self.gaze, self.churn = nn.LayerNorm(config.dim), _Gaze(config), _Churn(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.pre(x)
        out: torch.Tensor = x + self.gaze(normed) + self.churn(normed)
        return out


class _Trunk(nn.Module):
    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in parts.items():
            self.add_module(name, module)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return _through(self, ids)


def _through(trunk: Any, ids: torch.Tensor) -> torch.Tensor:
    x = trunk.lexicon(ids) + trunk.where(torch.arange(ids.shape[1]))
    for stage in trunk.stages:
        x = stage(x)
    return x


class StrangeForCausalLM(PreTrainedModel):
    """No final norm, a head that is tied, and nothing by a known name."""

    config_class = StrangeConfig
    _tied_weights_keys: ClassVar[dict[str, str]] = {"utter.weight": "trunk.lexicon.weight"}

    def __init__(self, config: StrangeConfig) -> None:
        super().__init__(config)
        parts: dict[str, nn.Module] = {
            "lexicon": nn.Embedding(config.vocab_size, config.dim),
            "where": nn.Embedding(64, config.dim),
            "stages": nn.ModuleList(_Stage(config) for _ in range(config.depth)),
        }
        self.trunk = _Trunk(parts) if config.callable_body else nn.ModuleDict(parts)
        self.utter = nn.Linear(config.dim, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, _module: nn.Module) -> None:
        pass

    def get_input_embeddings(self) -> Any:
        return self.trunk.lexicon

    def set_input_embeddings(self, value: Any) -> None:
        self.trunk.lexicon = value

    def get_output_embeddings(self) -> Any:
        return self.utter

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False) -> CausalLMOutput:
        trunk: Any = self.trunk
        x = trunk(input_ids) if self.config.callable_body else _through(trunk, input_ids)
        return CausalLMOutput(logits=self.utter(x) * self.config.tail)


PARTS = {
    "layers": "trunk.stages", "embedding": "trunk.lexicon", "head": "utter", "attention": "gaze",
    "out_proj": "gaze.merge", "mlp": "churn", "down_proj": "churn.shrink", "n_heads": 4,
}  # fmt: skip


def made(tmp_path: Path, **config: Any) -> Path:
    AutoConfig.register("strange", StrangeConfig, exist_ok=True)
    AutoModelForCausalLM.register(StrangeConfig, StrangeForCausalLM, exist_ok=True)
    torch.manual_seed(0)
    model = StrangeForCausalLM(StrangeConfig(tie_word_embeddings=True, **config))
    model.tie_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0 if parameter.dim() > 1 else 1.0)
        model.trunk.lexicon.weight.mul_(0.3)  # type: ignore[union-attr, operator]
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def _without(x: torch.Tensor, parts: int, part: int) -> torch.Tensor:
    """``x`` [..., parts · width] with one of its parts zero."""
    parted = x.unflatten(-1, (parts, -1)).clone()
    parted[..., part, :] = 0
    return parted.flatten(-2)


@pytest.fixture(scope="module", params=[True, False], ids=["other words", "no body"])
def lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = made(tmp_path_factory.mktemp("strange"), callable_body=request.param)
    named = PARTS | ({"body": "trunk"} if request.param else {})
    return open_model(folder, "cpu", parts=named)


def test_it_opens_and_is_right_to_plain_hooked_forwards(lm: LanguageModel) -> None:
    expected = {"z", "q", "k", "v", "pattern", "attn_out", "mlp_out", "neuron", "embed"}
    assert expected <= lm.verified.sites
    assert "resid_mid" not in lm.verified.sites, "both read the same stream"
    assert lm.verified.path == "replay"
    assert lm.verified.lens
    prompt = make_prompt(lm, TEXT)
    ids = torch.tensor([prompt.token_ids])
    metric = resolve_metric(lm, prompt, MetricRequest())
    by_hand = {
        ("z", 1, 2): ("gaze.merge", True, lambda x: _without(x, 4, 2)),
        ("q", 1, 2): ("gaze.pack", False, lambda x: _without(x, 12, 6)),
        ("k", 2, 0): ("gaze.pack", False, lambda x: _without(x, 12, 1)),
        ("v", 0, 3): ("gaze.pack", False, lambda x: _without(x, 12, 11)),
        ("attn_out", 0, None): ("gaze.merge", False, torch.zeros_like),
        ("mlp_out", 2, None): ("churn.shrink", False, torch.zeros_like),
        ("neuron", 1, None): ("churn.shrink", True, torch.zeros_like),
    }
    cells = [(Edit(site, layer, "zero", head),) for site, layer, head in by_hand]
    values = evaluate(record(lm, prompt), cells, metric)
    for (_site, layer, _head), how, value in zip(by_hand, by_hand.values(), values, strict=True):
        path, is_input, act = how
        module = lm.model.trunk.stages[layer].get_submodule(path)
        handle = (
            module.register_forward_pre_hook(lambda _m, args, act=act: (act(args[0]),))
            if is_input
            else module.register_forward_hook(lambda _m, _a, out, act=act: act(out))
        )
        with torch.no_grad():
            logits = lm.model(ids).logits[:, -1]
        handle.remove()
        assert value == pytest.approx(float(metric.of(logits)[0]), rel=1e-4, abs=1e-4), path
    assert len({round(float(v), 3) for v in values}) == len(values)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())


def test_lens_and_direct_attribution_are_those_of_its_own_head(lm: LanguageModel) -> None:
    ids = torch.tensor([make_prompt(lm, TEXT).token_ids])
    seen: list[torch.Tensor] = []
    handles = [
        stage.register_forward_hook(lambda _m, _a, out: seen.append(out[0].detach()))
        for stage in lm.model.trunk.stages
    ]
    with torch.no_grad():
        logits = lm.model(ids).logits[0]
    for handle in handles:
        handle.remove()
    best = int(logits[-1].argmax())
    lens, direct = analyze(lm, TEXT, ["logit_lens", "direct_logit_attribution"]).results
    for layer, stream in enumerate(seen, start=1):
        chances = (stream @ lm.model.utter.weight.T).softmax(-1)[:, best]
        np.testing.assert_allclose(lens.values[layer], chances.detach(), rtol=1e-4)
    assert direct.values.sum() == pytest.approx(float(logits[-1, best]), rel=1e-4)


def test_a_head_that_does_more_than_unembed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotALanguageModel, match="its head does more than unembed"):
        open_model(made(tmp_path, tail=0.5), "cpu", parts=PARTS)


def test_a_model_that_is_called_in_another_way_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path)

    def forward(self: Any, tokens: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*tokens.shape, 420)

    monkeypatch.setattr(StrangeForCausalLM, "forward", forward)
    with pytest.raises(NotALanguageModel, match="is called in another way than") as caught:
        open_model(folder, "cpu", parts=PARTS)
    assert "\n" not in str(caught.value)
    assert "It must take input_ids and use_cache, and give logits." in caught.value.remedy


def test_attention_is_read_at_its_sites_and_not_from_a_report(lm: LanguageModel) -> None:
    (result,) = analyze(lm, TEXT, ["attention"]).results
    np.testing.assert_allclose(result.values.sum(-1), 1, rtol=1e-5)
    with pytest.raises((TypeError, Unsupported)):
        lm.anatomy.base(input_ids=torch.zeros((1, 2), dtype=torch.long), output_attentions=True)


@pytest.mark.parametrize("model", ["demo-bert", "demo-t5"])
def test_parts_of_what_is_found_as_it_runs_are_not_passed_over(model: str) -> None:
    with pytest.raises(BadParameter, match=r"cannot be named.* Leave --parts out") as caught:
        open_model(model, "cpu", parts={"layers": "core.stack"})
    assert not getattr(caught.value, "__notes__", ())
