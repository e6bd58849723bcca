"""Attention knock-out is a plain forward with a mask written by hand, and hides nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from interpboard.circuits.heads.knockout import (
    answer_positions,
    attention_knockout,
    hidden,
    knockout_grid,
)
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Chat, Document, Message, MetricRequest, PromptInfo
from interpboard.runs.chat import make_chat
from interpboard.runs.edits import Edit
from interpboard.runs.kept import mark_of
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.visualization.terminal import render
from tests.lm import case, fingerprint, tiny_lm, unproved
from tests.runs.test_chat import chat_lm

# Absolute and rotary positions, grouped queries, sliding windows, soft caps (eager), sinks, latent keys.
FAMILIES = [
    "gpt2",
    "llama",
    "mistral_windowed",
    "gemma2",
    "gemma3",
    "gpt_oss",
    "opt",
    "deepseek_v3",
]
TEXT = "The Eiffel Tower is in Paris. The keys are old. The city of"
IN_FLOAT32 = ("gpt_oss", "deepseek_v3")  # their experts have no other kernel
# The models' own eager attention takes its softmax in float32, whatever the format.
TOLERANCE = {
    torch.float32: {"rtol": 1e-4, "atol": 5e-5},
    torch.float64: {"rtol": 1e-5, "atol": 5e-6},
}


@contextmanager
def masked_by_hand(
    lm: LanguageModel, layers: Sequence[int], queries: Sequence[int], keys: Sequence[int]
) -> Iterator[None]:
    """The family's eager attention, −∞ added to its mask where a query meets a key that is not its own."""
    handles = []

    def before(_module: Any, args: Any, kwargs: Any) -> Any:
        mask = kwargs["attention_mask"].clone()
        for query in queries:
            for key in keys:
                if key != query:
                    mask[:, :, query, key] = torch.finfo(mask.dtype).min
        return args, {**kwargs, "attention_mask": mask}

    configs = {id(m.config): m.config for m in lm.model.modules() if hasattr(m, "config")}
    own = {key: config._attn_implementation for key, config in configs.items()}
    for config in configs.values():
        config._attn_implementation_internal = "eager"
    try:
        for layer in layers:
            module = lm.anatomy.attention[layer]
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation_internal = own[key]
        for handle in handles:
            handle.remove()


@torch.no_grad()
def by_hand(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    layers: Sequence[int],
    queries: Sequence[int],
    keys: Sequence[int],
) -> torch.Tensor:
    """Logits [1, vocabulary] at the metric's position of that forward."""
    with masked_by_hand(lm, layers, queries, keys):
        logits: torch.Tensor = lm.model(input_ids=input_ids(lm, prompt), use_cache=False).logits
    return logits[:, metric.info.position]


def kl_of(metric: Metric) -> Metric:
    return Metric(replace(metric.info, name="kl"), metric.clean_logits)


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((family, torch.float32) for family in FAMILIES),
        *((family, torch.float64) for family in FAMILIES if family not in IN_FLOAT32),
    ],
)
def test_what_is_hidden_is_hidden_as_by_a_mask_written_by_hand(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, TEXT, target=" the")
    before = fingerprint(lm)
    last, every = metric.info.position, range(lm.anatomy.n_layers)
    for queries, layers in (("answer", None), ("later", [1, 2])):
        found = attention_knockout(lm, prompt, metric, queries=queries, layers=layers)
        bounds = zip(found.extra["begin"].values, found.extra["end"].values, strict=True)
        for at, (begin, end) in enumerate(bounds):
            blind = [last] if queries == "answer" else range(end, last + 1)
            logits = by_hand(lm, prompt, metric, layers or every, blind, range(begin, end))
            effect = float(metric.of(logits)[0]) - metric.baseline
            np.testing.assert_allclose(found.values[at], effect, **TOLERANCE[dtype])
            kl = float(kl_of(metric).of(logits)[0])
            np.testing.assert_allclose(found.extra["kl"].values[at], kl, **TOLERANCE[dtype])
        assert np.abs(found.values).max() > 1e-3, "something was seen"
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["gpt2", "mistral_windowed", "gemma2"])
def test_pairs_of_units_are_hidden_as_by_hand_and_those_behind_have_no_value(family: str) -> None:
    lm, prompt, metric = case(family, text=TEXT, target=" the")
    found = knockout_grid(lm, prompt, metric)
    assert found.values.shape == (3, 3)
    assert np.isnan(found.values[np.triu_indices(3, 1)]).all()
    bounds = list(zip(found.extra["begin"].values, found.extra["end"].values, strict=True))
    for by in range(3):
        for own in range(by + 1):
            args = range(lm.anatomy.n_layers), range(*bounds[by]), range(*bounds[own])
            logits = by_hand(lm, prompt, metric, *args)
            expected = float(metric.of(logits)[0]) - metric.baseline
            np.testing.assert_allclose(found.values[by, own], expected, rtol=1e-4, atol=5e-5)
    assert not found.warnings


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gpt_oss"])
def test_hiding_nothing_or_what_stands_behind_or_oneself_changes_nothing_at_all(
    family: str,
) -> None:
    lm, prompt, metric = case(family, text=TEXT, target=" the")
    last, n_layers = metric.info.position, lm.anatomy.n_layers
    every = range(n_layers)
    nothing = [
        hidden(every, [last], []),
        hidden(every, [3, 4], [5, 6]),
        hidden(every, [last], [last]),
        hidden([n_layers - 1], [2], [0, 1]),
    ]
    something = hidden(every, [last], [last - 1])
    run = record(lm, prompt, edits=[(), *nothing, something])
    for row in range(1, len(nothing)):
        assert torch.equal(run.resid_final[row, last], run.resid_final[0, last])
    # The last hides something, but from a position that nothing behind it reads any more.
    assert torch.equal(run.resid_final[-2, 3:], run.resid_final[0, 3:])
    assert not torch.equal(run.resid_final[-2, 2], run.resid_final[0, 2])
    assert not torch.allclose(run.resid_final[-1, last], run.resid_final[0, last], atol=1e-3)
    clean = record(lm, prompt)
    kl = evaluate(clean, [*nothing, something], kl_of(metric))
    np.testing.assert_allclose(kl[:-1], 0, atol=2e-6)  # a replay rounds
    assert kl[-1] > 1e-5


def test_a_row_that_is_hidden_from_leaves_the_rows_beside_it_as_they_are() -> None:
    lm, prompt, metric = case("llama", text=TEXT, target=" the")
    run = record(lm, prompt)
    idle = (Edit("attn_out", 0, "add", positions=(4,), value=torch.zeros(32)),)
    blocked = hidden([0], [2, 4], [1])
    alone = evaluate(run, [idle], metric, tokens_a_step=1)
    beside = evaluate(run, [blocked, idle, blocked], metric)
    assert beside[1] == pytest.approx(alone[0], rel=1e-6)
    assert beside[0] == beside[2]


def test_a_head_can_be_blocked_by_itself_and_together_they_are_all() -> None:
    lm, prompt, metric = case("llama", text=TEXT, target=" the")
    last = metric.info.position
    heads = tuple(
        Edit("pattern", 1, "block", head=head, positions=(last,), keys=(3, 4))
        for head in range(lm.anatomy.n_heads)
    )
    run = record(lm, prompt)
    one, all_by_one, together = evaluate(
        run, [heads[:1], heads, hidden([1], [last], [3, 4])], metric
    )
    assert all_by_one == pytest.approx(together, rel=1e-6)
    assert one != pytest.approx(together, rel=1e-6)


def test_a_blocked_pattern_has_nothing_at_the_keys_and_still_sums_to_one() -> None:
    lm, prompt, _ = case("llama", text=TEXT)
    run = record(lm, prompt, ("pattern",), [(), hidden([1], [6, 7], [0, 2, 7])])
    clean, blocked = run.sites["pattern"][1]
    assert (blocked[[6, 7]][..., [0, 2]] == 0).all()
    assert (blocked[7, :, 7] > 0).all(), "a position sees itself"
    assert torch.allclose(blocked.sum(-1), torch.ones(()), atol=1e-5)
    rest = [1, 3, 4, 5, 6]
    shares = clean[6][:, rest] / clean[6][:, rest].sum(-1, keepdim=True)
    assert torch.allclose(blocked[6][:, rest], shares, atol=1e-5)
    assert torch.equal(clean[5], blocked[5])


def test_replays_and_plain_forwards_agree_whatever_the_size_of_the_batch() -> None:
    lm, prompt, metric = case("gemma2", text=TEXT, target=" the")
    run, every = record(lm, prompt), range(lm.anatomy.n_layers)
    cells = [hidden(every, range(at, 10), [0, at - 1]) for at in range(2, 8)]
    whole = evaluate(run, cells, metric)
    single = evaluate(run, cells, metric, tokens_a_step=1)
    np.testing.assert_allclose(whole, single, rtol=1e-5)
    by_mask = [
        float(metric.of(by_hand(lm, prompt, metric, every, range(at, 10), [0, at - 1]))[0])
        for at in range(2, 8)
    ]
    np.testing.assert_allclose(whole, by_mask, rtol=1e-4, atol=5e-5)


def test_the_answers_positions_are_its_turn_up_to_the_explained_one() -> None:
    chat = Chat((Message("user", "a cat"), Message("assistant", "no"), Message("user", "why")))
    prompt = make_chat(chat_lm("llama3"), chat)
    end, answer = len(prompt.token_ids), prompt.turns[-1]
    assert answer.role == "assistant"
    assert answer_positions(prompt, end - 1) == tuple(range(answer.begin, end))
    assert answer_positions(prompt, 1) == (1,)
    assert answer_positions(make_prompt(tiny_lm(), TEXT), 4) == (4,)


def test_a_turn_that_is_hidden_from_the_answer_is_a_cell_of_a_chat() -> None:
    lm = chat_lm("llama3")
    prompt = make_chat(lm, Chat((Message("system", "a dog"), Message("user", "a cat"))))
    metric = resolve_metric(lm, prompt, MetricRequest())
    found = attention_knockout(lm, prompt, metric, unit="turn")
    assert found.axes[0].labels == ("system 1", "user 1", "assistant 1")
    assert (found.extra["kl"].values >= 0).all()


def test_where_patterns_cannot_be_edited_it_is_refused() -> None:
    lm, prompt, metric = case("falcon", text=TEXT)
    with pytest.raises(Unsupported, match="Edits at pattern"):
        attention_knockout(unproved(lm, {"pattern"}), prompt, metric)


def test_what_cannot_be_hidden_is_refused_in_a_line() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT)
    run = record(lm, prompt)
    for call in (
        lambda: attention_knockout(lm, prompt, metric, unit="turn"),
        lambda: attention_knockout(lm, prompt, metric, layers=[3]),
        lambda: attention_knockout(lm, prompt, metric, queries="all"),
        lambda: attention_knockout(*case("gpt2", text="The"), queries="later"),
        lambda: evaluate(run, [hidden([0], [3], [99])], metric),
        lambda: evaluate(run, [(Edit("z", 0, "block", positions=(1,), keys=(0,)),)], metric),
        lambda: evaluate(run, [(Edit("pattern", 0, "block", positions=(1,)),)], metric),
        lambda: evaluate(run, [(Edit("pattern", 0, "zero", keys=(1,)),)], metric),
    ):
        with pytest.raises(BadParameter) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_cells_that_hide_other_keys_are_not_taken_for_one_another() -> None:
    assert mark_of(hidden([0], [3], [1])) != mark_of(hidden([0], [3], [2]))


def test_a_page_shows_how_far_each_prediction_moved_beside_the_effects() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT, target=" the")
    found = attention_knockout(lm, prompt, metric)
    page = render(Document(model=lm.info, prompt=prompt, results=(found,)), 100)
    _, moved = page.split("KL from the clean prediction, in nats")
    numbers = np.array([float(number) for number in re.findall(r"[+]([.\d]+)$", moved, re.M)])
    kl = found.extra["kl"].values
    np.testing.assert_allclose(numbers / numbers.max(), kl / kl.max(), atol=1e-3)
