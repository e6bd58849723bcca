"""Replay is proved on edited rows beside others; rows that depend on each other are run alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from interpboard.analyze import analyze
from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.unembedding import forward_logits
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TEXT, fingerprint
from tests.plain_hooks import plain_metric
from tests.tiny import tiny_model, tiny_tokenizer


class _Router(nn.Module):
    """An MLP that also reads a state, which the layer before it left with the model: a router's."""

    def __init__(self, mlp: nn.Module, shared: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.mlp, self.shared = mlp, shared

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        before = self.shared.get("state")
        out: torch.Tensor = self.mlp(hidden)
        if before is not None and before.shape == hidden.shape:
            out = out + 0.2 * before.tanh()
        self.shared["state"] = hidden
        return out


def _hand_state_on_as_an_argument(model: Any) -> None:
    """Every layer is called with what the layer before it computed: recorded, it is the clean run's."""
    for index, layer in enumerate(model.model.layers):
        own_forward = layer.forward

        def forward(
            hidden_states: torch.Tensor,
            shared: Any = None,
            _own: Any = own_forward,
            **kwargs: Any,
        ) -> Any:
            out = _own(hidden_states, **kwargs)
            made = out + 0.3 * shared.tanh() if shared is not None else out
            model.handed_on = hidden_states
            return made

        layer.forward = forward
        if index:
            layer.register_forward_pre_hook(
                lambda _m, args, kwargs: (args, {**kwargs, "shared": model.handed_on}),
                with_kwargs=True,
                prepend=True,
            )


def _llama_with(change: Any) -> Any:
    model = tiny_model("llama")
    change(model)
    return model


def _in_the_mlp(model: Any) -> None:
    shared: dict[str, torch.Tensor] = {}
    for layer in model.model.layers:
        layer.mlp = _Router(layer.mlp, shared).eval()
    model.model.embed_tokens.register_forward_pre_hook(lambda *_: shared.clear())


def _shared_keys(model: Any) -> None:
    """The last layer adds the first layer's values, as models do that share keys and values."""
    kept: dict[str, torch.Tensor] = {}
    first, last = model.model.layers[0].self_attn, model.model.layers[-1].self_attn
    first.v_proj.register_forward_hook(lambda _m, _a, out: kept.update(v=out))
    last.v_proj.register_forward_hook(
        lambda _m, _a, out: out + 2 * kept["v"] if kept["v"].shape == out.shape else out
    )


STATE = {
    "an argument handed on": _hand_state_on_as_an_argument,
    "a router's state": _in_the_mlp,
    "values of an earlier layer": _shared_keys,
}


@pytest.mark.parametrize("state", STATE)
def test_state_between_layers_besides_the_stream_takes_the_hooks_path_and_says_so(
    state: str,
) -> None:
    lm = LanguageModel.of(_llama_with(STATE[state]), tiny_tokenizer())
    assert lm.verified.path == "hooks"
    assert any("hooked forwards" in note for note in lm.verified.notes)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logprob"))
    run = record(lm, prompt)
    edits = [Edit("z", layer, "zero", positions=(3,)) for layer in range(3)]
    measured = evaluate(run, [(edit,) for edit in edits], metric)

    def zero(value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        value[:, 3] = 0
        return value

    expected = [plain_metric(lm, prompt, metric, [("z", i, zero)]) for i in range(3)]
    np.testing.assert_allclose(measured, expected, atol=2e-5)


class _Outliers(nn.Module):
    """Eight bits, but for the columns in which any row or token of the batch is large (LLM.int8)."""

    def __init__(self, linear: nn.Linear, threshold: float = 2.0) -> None:
        super().__init__()
        self.weight, self.threshold = linear.weight, threshold

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        outlier = (hidden.abs() > self.threshold).flatten(0, -2).any(0)
        scale = self.weight.abs().amax(1, keepdim=True) / 127
        coarse = torch.round(self.weight / scale) * scale
        weight = torch.where(outlier, self.weight, coarse)
        inside = torch.where(outlier, torch.zeros_like(hidden), hidden)
        step = inside.abs().amax(-1, keepdim=True).clamp_min(1e-6) / 127
        rounded = torch.where(outlier, hidden, torch.round(hidden / step) * step)
        return rounded @ weight.T


def _eight_bits(model: Any) -> None:
    for layer in model.model.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            setattr(layer.mlp, name, _Outliers(getattr(layer.mlp, name)).eval())


class _Capacity(nn.Module):
    """An MLP with room for so many tokens of the whole batch: the largest are served, the rest are not."""

    def __init__(self, mlp: nn.Module, most: int) -> None:
        super().__init__()
        self.mlp, self.most = mlp, most

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        flat = hidden.flatten(0, -2)
        served = torch.zeros(len(flat), 1).to(flat)
        served[flat[:, 0].topk(min(self.most, len(flat))).indices] = 1
        out: torch.Tensor = self.mlp(hidden)
        return out * served.reshape(*hidden.shape[:-1], 1)


def _limited(model: Any) -> None:
    for layer in model.model.layers:
        layer.mlp = _Capacity(layer.mlp, 5).eval()


def _batch_normed(model: Any) -> None:
    """Every position is measured by the rows that are there: with itself alone it is as it was."""
    model.model.norm.register_forward_hook(
        lambda _m, _a, out: out + 0.1 * (out.mean(0, keepdim=True) - out) if out.dim() == 3 else out
    )


_QUICK = (
    "head_ablation", "occlusion", "smoothgrad", "attention", "logit_lens", "predictions",
    "grad_x_input", "attention_rollout", "head_scores",
)  # fmt: skip
DEPENDENT = {"eight bits": _eight_bits, "limited experts": _limited, "batch norm": _batch_normed}


@pytest.mark.parametrize("kind", DEPENDENT)
def test_rows_that_depend_on_each_other_are_run_alone_and_said_to_be(kind: str) -> None:
    lm = LanguageModel.of(_llama_with(DEPENDENT[kind]), tiny_tokenizer())
    assert lm.verified.alone
    assert lm.verified.path == "hooks"
    assert any("every run is made alone" in note for note in lm.verified.notes)
    assert any("every run is made alone" in note for note in lm.info.notes)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logprob", position=5))
    run = record(lm, prompt)
    edits = [Edit("z", layer, "zero", head) for layer in range(3) for head in range(4)]
    measured = evaluate(run, [(edit,) for edit in edits], metric, tokens_a_step=512)

    def without(head: int) -> Any:
        def act(z: torch.Tensor) -> torch.Tensor:
            z = z.clone()
            z[:, :, head] = 0
            return z

        return act

    expected = [
        plain_metric(lm, prompt, metric, [("z", e.layer, without(e.head or 0))]) for e in edits
    ]
    np.testing.assert_allclose(measured, expected, atol=2e-5)


@pytest.mark.usefixtures("changed_on_purpose")
def test_no_analysis_runs_two_rows_of_them_together() -> None:
    model = _llama_with(_limited)
    lm = LanguageModel.of(model, tiny_tokenizer())
    before = fingerprint(lm)
    rows: list[int] = []
    handle = lm.anatomy.layers[0].register_forward_pre_hook(
        lambda _m, args, kwargs: rows.append(len(args[0] if args else kwargs["hidden_states"])),
        with_kwargs=True,
    )
    done = 0
    for name in _QUICK:
        try:
            analyze(lm, "The keys to", [name])
            done += 1
        except Unsupported:  # by name, where it would take several rows at once
            continue
    handle.remove()
    assert set(rows) == {1}
    assert done >= 7
    assert fingerprint(lm) == before
    with pytest.raises(Unsupported, match="several rows"):
        forward_logits(lm.anatomy, torch.tensor([[5, 6], [7, 8]]), -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_a_model_that_really_looks_ahead_is_refused_and_not_run_alone(dtype: torch.dtype) -> None:
    model = tiny_model("llama", dtype)
    model.model.embed_tokens.register_forward_hook(lambda _m, _a, x: x + x.mean(1, keepdim=True))
    with pytest.raises(NotALanguageModel, match="looks at later tokens"):
        self_check(find_anatomy(model))


def test_a_stream_of_another_shape_is_refused_by_name() -> None:
    model = tiny_model("llama")
    for layer in model.model.layers:  # several streams side by side, as in gemma3n
        own = layer.forward

        def forward(hidden_states: torch.Tensor, _own: Any = own, **kwargs: Any) -> torch.Tensor:
            if hidden_states.dim() == 3:
                hidden_states = torch.stack([hidden_states, hidden_states])
            return torch.stack([_own(each, **kwargs) for each in hidden_states])

        layer.forward = forward
    model.model.norm.register_forward_pre_hook(lambda _m, args: (args[0].mean(0),))
    with pytest.raises(NotALanguageModel, match=r"\[2, 1, 8, 32\]"):
        self_check(find_anatomy(model))


def _draws(seen: list[int]) -> float:
    return float(torch.randn(()))


def _counts(seen: list[int]) -> float:
    return 0.1 * len(seen)


def _alternates(seen: list[int]) -> float:
    return float(len(seen) % 2)


@pytest.mark.parametrize("changing", [_draws, _counts, _alternates])
def test_a_model_that_gives_other_logits_at_each_run_is_refused_and_told_so(changing: Any) -> None:
    model = tiny_model("gpt2")
    seen: list[int] = []

    def add(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
        seen.append(0)
        return out + changing(seen) * torch.linspace(-1, 1, 32).sin()

    model.transformer.h[1].mlp.register_forward_hook(add)
    with pytest.raises(NotALanguageModel, match="other logits at each run"):
        self_check(find_anatomy(model))
