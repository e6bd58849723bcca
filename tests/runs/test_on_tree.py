"""What several prompts give together, on the tree of what they begin with, is what each gives alone."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from interpboard.models import tree_calls
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs import clean_trees, on_tree
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.on_tree import evaluate_together
from interpboard.runs.over_rows import results_over_rows
from interpboard.runs.prefix_tree import PrefixTree, trees_of
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.shared import sharing
from interpboard.runs.together import Together
from interpboard.runs.watch import SILENT
from tests.lm import tiny_lm
from tests.runs.test_clean_rows import THINGS, prompts_of

TEXTS = (
    "The keys to the cabinet are on the", "The keys to the table are in the",
    "The keys to the cabinet are in the", "When the city of Rome is on the",
)  # fmt: skip
# Learnt positions, angles, a window of 4 keys in every other layer and capped logits, a parallel block, a
# bias of each key. Gemma and bloom attend in float32 whatever they are asked for: in float64 trees differ.
ON_TREES = [
    ("gemma2", torch.float32),
    ("bloom", torch.float32),
    *((f, d) for f in ("gpt2", "llama", "gpt_neox") for d in (torch.float32, torch.float64)),
]
NAMES = ("head_ablation", "logit_lens", "direct_logit_attribution")


def asked_of(lm: LanguageModel, name: str = "logit_diff") -> tuple[list[PromptInfo], list[Metric]]:
    """Prompts of one length, each with a target and a position of its own."""
    prompts = [make_prompt(lm, text) for text in TEXTS]
    length = min(len(prompt.token_ids) for prompt in prompts)
    prompts = [prompt for prompt in prompts if len(prompt.token_ids) == length]
    assert len(prompts) > 2
    asked = (
        MetricRequest(name, f" {target}", " the" if name == "logit_diff" else None, position)
        for target, position in zip(
            ("Paris", "table", "city", "Paris"), (-1, -2, -1, -1), strict=True
        )
    )
    return prompts, [resolve_metric(lm, p, request) for p, request in zip(prompts, asked)]  # noqa: B905


def cells_of(lm: LanguageModel) -> list[tuple[Edit, ...]]:
    heads = [
        (Edit("z", layer, head=head),) for layer in range(lm.anatomy.n_layers) for head in (0, 2)
    ]
    both = (Edit("z", 0, head=1), Edit("z", lm.anatomy.n_layers - 1, head=3))
    added = torch.linspace(-1, 1, lm.anatomy.d_model)[None]
    return [*heads, both, (Edit("mlp_out", 1, "add", value=added.to(lm.model.dtype)),)]


@pytest.mark.parametrize(("family", "dtype"), ON_TREES)
def test_edited_runs_on_a_tree_are_those_of_each_prompt(family: str, dtype: torch.dtype) -> None:
    lm = tiny_lm(family, dtype)
    for name in ("logit_diff", "kl") if dtype == torch.float64 else ("logit_diff",):
        prompts, metrics = asked_of(lm, name)
        found = evaluate_together(Together(lm, prompts), prompts, cells_of(lm), metrics)
        alone = [
            evaluate(record(lm, p), cells_of(lm), m) for p, m in zip(prompts, metrics, strict=True)
        ]
        assert found is not None
        atol = 1e-5 if dtype == torch.float32 else 1e-10
        np.testing.assert_allclose(found, np.stack(alone), rtol=0, atol=atol)


def test_each_prompt_has_its_own_numbers_in_whatever_order_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clean_trees, "NODES", 24)  # so that there are several trees
    lm = tiny_lm("gpt2", torch.float64)
    prompts = prompts_of(lm)
    random.Random(0).shuffle(prompts)
    shared = Together(lm, prompts)
    assert shared.whole(("z",)) is not None
    assert len(shared.trees()) > 1
    own = prompts[::-3]
    metrics = [
        resolve_metric(lm, prompt, MetricRequest("logit", f" {target}", position=position))
        for prompt, target, position in zip(
            own, itertools.cycle(THINGS), itertools.cycle((-1, -2, 1)), strict=False
        )
    ]
    cells = cells_of(lm)[:3]
    found = evaluate_together(shared, own, cells, metrics)
    alone = [evaluate(record(lm, p), cells, m) for p, m in zip(own, metrics, strict=True)]
    assert found is not None
    np.testing.assert_allclose(found, np.stack(alone), rtol=0, atol=1e-10)
    assert len(np.unique(found.round(6))) == found.size  # any two exchanged would be seen


def test_what_is_not_the_same_at_every_token_is_not_done_on_a_tree() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    prompts, metrics = asked_of(lm)
    length, width = len(prompts[0].token_ids), lm.anatomy.d_model
    whole = torch.ones(length, width, dtype=torch.float64)
    for edit in (
        Edit("z", 0, head=0, positions=(length - 1,)),
        Edit("mlp_out", 0, "patch", value=whole),
        Edit("resid_pre", 1, "add", value=whole[:1]),
        Edit("pattern", 0, head=0),
    ):
        assert evaluate_together(Together(lm, prompts), prompts, [(edit,)], metrics) is None


def results(lm: LanguageModel, name: str, prompts: Sequence[PromptInfo], metrics: Sequence[Metric],
            **given: Any) -> tuple[list[Result] | None, list[Result]]:  # fmt: skip
    """All at once, and one after the other."""
    shared = Together(lm, prompts)
    params = ANALYSES[name].parse(given)
    function: Any = ANALYSES[name].load()
    with sharing(shared):
        at_once = results_over_rows(name, shared, prompts, metrics, params, SILENT)
    return at_once, [function(lm, p, m, **params) for p, m in zip(prompts, metrics, strict=True)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom", "gemma2"])
def test_an_analysis_of_several_prompts_at_once_is_that_of_each(family: str, name: str) -> None:
    lm = tiny_lm(family, torch.float64)
    prompts, metrics = asked_of(lm)
    at_once, alone = results(lm, name, prompts, metrics)
    may_not = {  # attention in float32; capped logits
        ("bloom", "head_ablation"),
        ("gemma2", "head_ablation"),
        ("gemma2", "direct_logit_attribution"),
    }
    assert (at_once is None) == ((family, name) in may_not)
    for one, other in zip(at_once or (), alone, strict=at_once is not None):
        np.testing.assert_allclose(one.values, other.values, rtol=0, atol=1e-10)
        assert (one.axes, one.params, one.made_by) == (other.axes, other.params, other.made_by)
        assert (one.metric, one.baseline, one.warnings) == (
            other.metric, pytest.approx(other.baseline), other.warnings)  # fmt: skip


def test_a_lens_at_another_site_and_heads_replaced_by_a_mean_are_those_of_each() -> None:
    lm = tiny_lm("llama", torch.float64)
    prompts, metrics = asked_of(lm)
    for name, given in (
        ("logit_lens", {"site": "attn_out"}),
        ("head_ablation", {"ablation": "dataset_mean", "references": "The city of Rome"}),
        ("head_ablation", {"layers": "1", "heads": "0,3"}),
    ):
        at_once, alone = results(lm, name, prompts, metrics, **given)
        assert at_once is not None
        for one, other in zip(at_once, alone, strict=True):
            np.testing.assert_allclose(one.values, other.values, rtol=0, atol=1e-10)
    for ablation in (
        "mean",
        "position_mean",
        "resample",
    ):  # another in each prompt, or at each position
        given = {"ablation": ablation, "references": TEXTS[0]}
        assert results(lm, "head_ablation", prompts, metrics, **given)[0] is None


def test_what_prompts_have_in_common_is_run_once() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts, metrics = asked_of(lm)
    tokens: list[int] = []
    shared = Together(lm, prompts)
    evaluate_together(shared, prompts, cells_of(lm), metrics)  # held against those of one alone
    with at_site(lm.anatomy, "mlp_out", 0, lambda value: tokens.append(value[..., 0].numel())):
        found = evaluate_together(
            Together(lm, prompts, shared.lengths), prompts, [(Edit("z", 0, head=0),)], metrics
        )
    distinct = {p.token_ids[: i + 1] for p in prompts for i in range(len(p.token_ids))}
    assert found is not None
    assert tokens[1:] == [len(distinct)] * 2  # after the clean run: the tree proved, and edited
    assert len(distinct) < sum(len(p.token_ids) for p in prompts)


def test_the_nodes_of_a_tree_see_what_they_follow_and_trees_are_small() -> None:
    tree = PrefixTree.of([(1, 2, 3), (1, 4, 3), (1, 2, 5)])
    assert tree.nodes.tolist() == [[0, 1, 2], [0, 3, 4], [0, 1, 5]]
    assert tree.seen[4].tolist() == [True, False, False, True, True, False]
    prompts = [(1, 2, 3), (7, 8, 9), (1, 2, 4), (1, 5, 6)]
    assert [sorted(rows) for rows, _ in trees_of(prompts, 4)] == [[0, 2], [3], [1]]
    assert [len(tree) for _, tree in trees_of(prompts, 4)] == [4, 3, 3]
    assert [len(tree) for _, tree in trees_of(prompts, 1)] == [3] * 4


@pytest.mark.parametrize("fault", ["mask", "position", "edit", "last layer"])
def test_a_tree_that_gives_something_else_is_not_used(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm("llama", torch.float32)
    prompts, metrics = asked_of(lm)
    if fault == "mask":  # a node sees another branch
        monkeypatch.setattr(
            PrefixTree,
            "seen",
            property(lambda tree: torch.ones(len(tree), len(tree)).tril().bool()),
        )
    if fault == "position":
        monkeypatch.setattr(
            PrefixTree, "of_rows",
            lambda tree, rows: dataclasses.replace(
                tree, rows=rows[tree.rows], positions=(tree.positions + 1).clamp(max=6)))  # fmt: skip
    if fault == "edit":  # of which only the runs themselves tell
        layer_of = on_tree.Batch._layer

        def unedited(batch: Any, layer: int, hidden: Any, joining: Any, position: int) -> Any:
            batch.edits = [() for _ in batch.edits]
            return layer_of(batch, layer, hidden, joining, position)

        monkeypatch.setattr(on_tree._TreeBatch, "_layer", unedited)
    if fault == "last layer":
        called = on_tree.called_at
        monkeypatch.setattr(on_tree, "called_at", lambda *given: called(*given) * 1.001)
    shared = Together(lm, prompts)
    assert evaluate_together(shared, prompts, cells_of(lm), metrics) is None
    assert evaluate_together(shared, prompts, cells_of(lm), metrics) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.usefixtures("changed_on_purpose")
def test_keys_of_a_tree_are_made_without_queries_and_wherever_that_is_not_known_as_ever(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_calls, "products_are_faster", lambda: False)
    lm = tiny_lm("gpt2", dtype, biases=True)
    assert lm.verified.absorbed
    prompts, metrics = asked_of(lm)
    cells, attention = cells_of(lm), lm.anatomy.attention[-1]
    made: list[int] = []
    real = tree_calls.keys_and_values_from

    def counted(part: nn.Module, normed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        made.append(len(normed))
        return real(part, normed)

    monkeypatch.setattr(tree_calls, "keys_and_values_from", counted)
    found = evaluate_together(Together(lm, prompts), prompts, cells, metrics)
    assert found is not None
    joining = 2  # edited in the last layer alone: they keep their attention
    assert made == [1, len(cells) - joining]
    # Somebody makes keys otherwise since the model was opened: what stands there now is asked.
    own, seen = attention.c_attn, []
    handle = own.register_forward_hook(lambda *_args: seen.append(None))
    try:
        with_queries = evaluate_together(Together(lm, prompts), prompts, cells, metrics)
    finally:
        handle.remove()
    assert seen
    assert len(made) == 2
    assert with_queries is not None
    np.testing.assert_allclose(
        found, with_queries, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12
    )
    # Keys and values exchanged: no answer.
    monkeypatch.setattr(tree_calls, "keys_and_values_from", lambda *given: real(*given)[::-1])
    assert evaluate_together(Together(lm, prompts), prompts, cells, metrics) is None


def test_a_prompt_whose_edited_run_overflows_leaves_the_others_to_themselves() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts, metrics = asked_of(lm)
    huge = torch.full((1, lm.anatomy.d_model), 3e38)
    cells = [*cells_of(lm), (Edit("mlp_out", 0, "patch", value=huge),)]
    shared = Together(lm, prompts)
    assert evaluate_together(shared, prompts, cells, metrics) is None
    assert evaluate_together(shared, prompts, cells[:-1], metrics) is not None
    alone = evaluate(record(lm, prompts[0]), cells, metrics[0])
    assert np.isnan(alone).tolist() == [False] * (len(cells) - 1) + [True]
