"""A model that somebody changed since it was opened is refused by the module's name until it is opened anew.

What is held against each other: a model that is changed and then opened, and plain hooks on it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from interpboard.analyze import analyze
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.kinds import kinds_of_layers
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TEXT
from tests.plain_hooks import plain_metric
from tests.tiny import tiny_model, tiny_tokenizer


def _grown(output: Any) -> Any:
    return (1.3 * output[0], *output[1:]) if isinstance(output, tuple) else 1.3 * output


def put_forward(module: nn.Module) -> None:
    own = module.forward
    module.forward = lambda *args, **kwargs: _grown(own(*args, **kwargs))


def made_another_class(module: nn.Module) -> None:
    own = type(module).forward
    grown = {"forward": lambda *args, **kwargs: _grown(own(*args, **kwargs))}
    module.__class__ = type(type(module).__name__, (type(module),), grown)


def hooked(module: nn.Module) -> None:
    @torch.no_grad()
    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        return _grown(output)

    module.register_forward_hook(hook)


def hooked_before(module: nn.Module) -> None:
    module.register_forward_pre_hook(_grown_before, with_kwargs=True)


def _grown_before(_module: Any, args: Any, kwargs: Any) -> Any:
    if args:
        return (_grown(args[0]), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": _grown(kwargs["hidden_states"])}


def put_around_it(module: nn.Module) -> None:
    own = module.forward

    @torch.no_grad()  # which makes a function of torch's of it
    @functools.wraps(own)  # which gives it that one's module
    def forward(*args: Any, **kwargs: Any) -> Any:
        return _grown(own(*args, **kwargs))

    module.forward = forward


CHANGES = (put_forward, put_around_it, made_another_class, hooked, hooked_before)
FAR, LONG = 12, f"{TEXT} {TEXT}"  # behind the eight tokens of the proofs
INNER = {
    "gpt2": ("transformer.h.1.attn", "transformer.h.1.attn.c_proj", "transformer.h.1.attn.resid_dropout"),
    "llama": ("model.layers.1", "model.layers.1.self_attn.o_proj", "model.norm"),
}  # fmt: skip


def opened(model: Any) -> LanguageModel:
    return LanguageModel.of(model, tiny_tokenizer(), "changed")


def off_plain_hooks(lm: LanguageModel) -> float:
    """How far cells of heads and of one position are from plain hooks, layer by layer."""
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    run = record(lm, prompt, ("z",))
    worst = 0.0
    for layer in range(lm.anatomy.n_layers):
        rows = [(Edit("z", layer, head=1),), (Edit("mlp_out", layer, positions=(3,)),)]
        done = [("z", layer, _without_head), ("mlp_out", layer, _without_position)]
        expected = [plain_metric(lm, prompt, metric, [each]) for each in done]
        worst = max(worst, float(np.abs(evaluate(run, rows, metric) - expected).max()))
    return worst


def _without_head(z: torch.Tensor) -> torch.Tensor:
    return z.index_fill(2, torch.tensor(1), 0)


def _without_position(output: torch.Tensor) -> torch.Tensor:
    return output.index_fill(1, torch.tensor(3), 0)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("family", INNER)
def test_it_is_refused_by_the_modules_name_and_opened_anew_it_is_right(
    family: str, change: Callable[[nn.Module], None]
) -> None:
    for path in INNER[family]:
        model = tiny_model(family, torch.float64)
        before = opened(model)
        assert off_plain_hooks(before) < 1e-10
        change(model.get_submodule(path))
        with pytest.raises(Unsupported, match=rf"module {path} has .*Open it anew"):
            analyze(before, TEXT, ["head_ablation"])
        with pytest.raises(Unsupported, match=path):
            record(before, make_prompt(before, TEXT))
        assert off_plain_hooks(opened(model)) < 1e-10


def test_another_module_or_a_forward_of_its_class_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("gpt2")
    lm = opened(model)
    own = model.transformer.h[0].mlp.act
    model.transformer.h[0].mlp.act = copy.copy(own)
    with pytest.raises(Unsupported, match=r"h\.0\.mlp has other modules"):
        analyze(lm, TEXT, ["logit_lens"])
    model.transformer.h[0].mlp.act = own
    analyze(lm, TEXT, ["logit_lens"])
    monkeypatch.setattr(type(own), "forward", lambda _own, given: given.tanh())
    with pytest.raises(Unsupported, match="class NewGELUActivation have another forward"):
        analyze(lm, TEXT, ["logit_lens"])


def test_taken_back_it_is_what_it_was() -> None:
    lm = opened(tiny_model("llama"))
    first = analyze(lm, TEXT, ["head_ablation"]).results[0].values
    handle = lm.anatomy.out_proj[1].register_forward_hook(lambda _m, _a, out: 2 * out)
    with pytest.raises(Unsupported, match="o_proj has other hooks"):
        analyze(lm, TEXT, ["head_ablation"])
    handle.remove()
    np.testing.assert_array_equal(analyze(lm, TEXT, ["head_ablation"]).results[0].values, first)


@contextmanager
def everywhere(act: Callable[..., Any]) -> Iterator[None]:
    handle = register_module_forward_hook(act)
    try:
        yield
    finally:
        handle.remove()


def test_a_hook_on_every_module_is_refused() -> None:
    lm = opened(tiny_model("gpt2"))
    with (
        everywhere(lambda *_: None),
        pytest.raises(Unsupported, match="other hooks on every module"),
    ):
        analyze(lm, TEXT, ["logit_lens"])


@pytest.mark.parametrize("family", INNER)
def test_hooks_on_the_embedding_take_part_in_every_run(family: str) -> None:
    lm = opened(tiny_model(family, torch.float64))
    embedding = lm.anatomy.embedding
    handle = embedding.register_forward_hook(lambda _m, _args, output: _grown(output))
    assert off_plain_hooks(lm) < 1e-10
    handle.remove()


def _grown_at(place: int) -> Callable[..., Any]:
    def hook(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor:
        at = torch.arange(output.shape[1]) == (place if place >= 0 else output.shape[1] + place)
        return torch.where(at[:, None], 1.3 * output.flip(-1), output)

    return hook


@pytest.mark.parametrize("place", [FAR, -1])
@pytest.mark.parametrize("family", INNER)
def test_what_looks_at_a_place_beyond_the_proofs_is_handed_whole_prompts(
    family: str, place: int
) -> None:
    """A run that begins at a later token, or ends at an earlier one, has it elsewhere."""
    model = tiny_model(family, torch.float64)
    lm = opened(model)
    handle = lm.anatomy.layers[1].register_forward_hook(_grown_at(place))
    with pytest.raises(Unsupported, match=r"\.1 has other hooks"):
        analyze(lm, TEXT, ["head_ablation"])
    hooked_at = opened(model)
    assert not hooked_at.verified.reuse
    assert hooked_at.verified.alone == (place < 0)
    prompt = make_prompt(hooked_at, LONG)
    assert len(prompt.token_ids) - 2 > FAR
    metric = resolve_metric(hooked_at, prompt, MetricRequest(position=len(prompt.token_ids) - 2))
    done = ("mlp_out", 0, lambda output: output.index_fill(1, torch.tensor(FAR - 1), 0))
    expected = plain_metric(hooked_at, prompt, metric, [done])
    rows = [(Edit("mlp_out", 0, positions=(FAR - 1,)),)]
    found = evaluate(record(hooked_at, prompt), rows, metric)
    np.testing.assert_allclose(found, [expected], atol=1e-10)
    handle.remove()
    off = evaluate(record(lm, prompt), rows, metric) - expected
    assert np.abs(off) > (1e-4 if place > 0 else -1), "the hook does something there"


def test_a_run_that_is_older_than_the_change_is_not_gone_on_from() -> None:
    lm = opened(tiny_model("gpt2"))
    prompt = make_prompt(lm, TEXT)
    metric, run = resolve_metric(lm, prompt, MetricRequest()), record(lm, prompt)
    hooked(lm.anatomy.out_proj[1])
    with pytest.raises(Unsupported, match="has other hooks"):
        evaluate(run, [(Edit("mlp_out", 0),)], metric)


def test_hooks_on_the_whole_model_are_refused() -> None:
    """Where a few tokens' logits are asked for, they would be handed these alone."""
    lm = opened(tiny_model("llama"))
    for module, path in ((lm.model, "It"), (lm.anatomy.base, "Its module model")):
        handle = module.register_forward_hook(lambda *_: None)
        with pytest.raises(Unsupported, match=f"{path} has other hooks"):
            analyze(lm, TEXT, ["logit_lens"])
        handle.remove()


def test_layers_that_were_changed_alike_are_each_proved() -> None:
    """Two of one def may have been given other numbers, neutral ones where it is looked."""
    for change in CHANGES[:3]:
        model = tiny_model("gpt2", torch.float64)
        change(model.transformer.h[1].attn.resid_dropout)
        lm = opened(model)
        assert kinds_of_layers(lm.anatomy) == (0, 1, 0)
        assert off_plain_hooks(lm) < 1e-10
