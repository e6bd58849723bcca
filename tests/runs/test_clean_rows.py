"""Clean runs of many prompts, made on the trees of what they begin with, are those of each alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from interpboard.errors import NotFinite
from interpboard.models import side_by_side
from interpboard.models.language_model import LanguageModel
from interpboard.models.side_by_side import Apart
from interpboard.models.sites import at_site
from interpboard.results import PromptInfo
from interpboard.runs import clean_rows, clean_trees
from interpboard.runs.finite import prompt_logits
from interpboard.runs.prefix_tree import PrefixTree
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.shared import sharing
from interpboard.runs.together import Lengths, Together
from tests.lm import tiny_lm
from tests.tiny import _COMMON, VOCAB, tiny_tokenizer

SITES = ("z", "attn_out", "mlp_out")
THINGS = ("keys", "city", "table", "cabinet")
PLACES = ("in", "on", "of", "to", "the", "are")


def prompts_of(lm: LanguageModel, things: tuple[str, ...] = THINGS) -> list[PromptInfo]:
    """Of one length; those of a thing differ in their last token but one."""
    texts = (f"The {thing} to the Paris is {place} the" for thing in things for place in PLACES)
    prompts = [make_prompt(lm, text) for text in texts]
    length = len(prompts[0].token_ids)
    return [prompt for prompt in prompts if len(prompt.token_ids) == length]


def of_unequal_trees(lm: LanguageModel) -> list[PromptInfo]:
    """The same but for one prompt of the last tree."""
    return sorted(prompts_of(lm), key=lambda prompt: prompt.token_ids)[:-1]


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several."""
    monkeypatch.setattr(clean_trees, "NODES", 24)


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((f, torch.float32) for f in ("gpt2", "llama", "gpt_neox", "bloom", "gemma2", "opt")),
        *((f, torch.float64) for f in ("gpt2", "llama", "gpt_neox")),
    ],
)
def test_a_clean_run_made_on_trees_is_that_of_each_prompt(family: str, dtype: torch.dtype) -> None:
    lm = tiny_lm(family, dtype)
    prompts, lengths = prompts_of(lm), Lengths.none()
    atol = 1e-5 if dtype == torch.float32 else 1e-10
    for own in (prompts[:12], prompts[6:], prompts):  # the first pass is held against more
        shared = Together(lm, own, lengths)
        whole = shared.whole(SITES)
        assert whole is not None
        assert len(shared.trees()) > 1
        for prompt in own[:: len(own) // 4]:
            alone = record(lm, prompt, SITES)
            with sharing(shared):
                run, logits = record(lm, prompt, SITES), prompt_logits(lm, prompt, -1)
            pairs = [
                (run.resid_final, alone.resid_final),
                (logits, prompt_logits(lm, prompt, -1)),
                *((a.hidden[:], b.hidden[:]) for a, b in zip(run.calls, alone.calls, strict=True)),
                *((a.z[:], b.z[:]) for a, b in zip(run.attended, alone.attended, strict=True)),
                *(p for s in SITES for p in zip(run.sites[s], alone.sites[s], strict=True)),
            ]
            for one, other in pairs:
                torch.testing.assert_close(one, other, rtol=0, atol=atol)
            call = run.calls[-1]  # with the arguments of a row
            torch.testing.assert_close(
                call.replay(call.hidden[:]), alone.resid_final, rtol=0, atol=atol
            )


def test_what_prompts_have_in_common_is_run_once_beside_a_few_of_them() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts, lengths = of_unequal_trees(lm), Lengths.none()
    tokens: list[int] = []
    with at_site(lm.anatomy, "mlp_out", 0, lambda value: tokens.append(value[..., 0].numel())):
        trees = passes(lm, prompts, lengths).trees()
        first, tokens[:] = list(tokens), []
        passes(lm, prompts, lengths)
    length, nodes = len(prompts[0].token_ids), [len(tree.nodes) for tree in trees]
    assert sum(nodes) < length * len(prompts) / 2
    of_first = len(trees[0].rows)
    # Two passes show that rows are what they are alone; then all of the first tree, of the others one; and
    # all trees side by side, filled up to the largest.
    together = len(trees) * max(nodes)
    assert min(nodes) < max(nodes)
    assert first == [length, 2 * length, (of_first + len(trees) - 1) * length, together]
    assert tokens == [(2 + len(trees) - 1) * length, together]


def test_trees_that_no_pass_can_hold_side_by_side_are_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("llama", torch.float32)
    prompts, lengths = prompts_of(lm), Lengths.none()
    together = passes(lm, prompts, lengths)
    joined = clean_trees.arguments_side_by_side

    def alone(calls: Any, nodes: int) -> Any:
        if len(calls) > 1:
            raise Apart
        return joined(calls, nodes)

    monkeypatch.setattr(clean_trees, "arguments_side_by_side", alone)
    apart = passes(lm, prompts, lengths)
    assert len(apart.trees()) == len(together.trees()) > 1
    for own, other in zip(apart.trees(), together.trees(), strict=True):
        torch.testing.assert_close(own.run.resid_final, other.run.resid_final, rtol=0, atol=1e-5)


def test_a_small_tree_is_not_filled_up_to_a_large_one() -> None:
    assert clean_trees._alike_in_size([100, 20, 99, 75, 74]) == [[0, 2, 3], [4], [1]]
    most = clean_trees._AT_ONCE // 128
    assert [len(group) for group in clean_trees._alike_in_size([128] * (most + 1))] == [most, 1]


def passes(lm: LanguageModel, prompts: list[PromptInfo], lengths: Lengths) -> Together:
    shared = Together(lm, prompts, lengths)
    assert shared.whole(SITES) is not None
    return shared


@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize(
    "fault", ["branch", "mask", "position", "place", "site", "neighbour", "filling"]
)
def test_a_tree_that_gives_something_else_is_seen_and_prompts_are_run_as_ever(
    fault: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm("llama", torch.float32)
    prompts, lengths = of_unequal_trees(lm), Lengths.none()
    if when == "later":
        assert passes(lm, prompts, lengths).trees()
    planted(fault, monkeypatch)
    for _ in range(2):
        shared = passes(lm, prompts, lengths)
        assert not shared.trees()
        assert lengths.clean[len(prompts[0].token_ids)] is None
        with sharing(shared):
            runs = [record(lm, prompt, SITES) for prompt in prompts]
        for prompt, run in zip(prompts, runs, strict=True):
            torch.testing.assert_close(
                run.resid_final, record(lm, prompt).resid_final, rtol=0, atol=1e-5
            )


def planted(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the last tree of each pass alone, but for what all have."""
    if fault == "mask":  # a node sees all before it, other branches among them
        everything = property(lambda tree: torch.ones(len(tree), len(tree)).tril().bool())
        monkeypatch.setattr(PrefixTree, "seen", everything)
    if fault == "branch":  # a token is taken for that of another branch
        trees_of = clean_trees.trees_of

        def wrong(*given: Any) -> Any:
            *others, (rows, tree) = trees_of(*given)
            mixed = tree.rows.clone()
            mixed[tree.nodes[-1, -2]] = 0
            return [*others, (rows, dataclasses.replace(tree, rows=mixed))]

        monkeypatch.setattr(clean_trees, "trees_of", wrong)
    if fault == "position":
        tree_call = clean_trees.tree_call

        def shifted(call: Any, rows: Any, positions: Any, seen: Any) -> Any:
            return tree_call(call, rows, positions.roll(1), seen)

        monkeypatch.setattr(clean_trees, "tree_call", shifted)
    if fault == "place":  # the last two prompts are given each other's tokens
        made = clean_trees._of_all

        def exchanged(trees: Any, *given: Any) -> Any:
            last = trees[-1]
            nodes = last.nodes.nodes.clone()
            nodes[[-1, -2]] = nodes[[-2, -1]]
            own = dataclasses.replace(last, nodes=dataclasses.replace(last.nodes, nodes=nodes))
            return made([*trees[:-1], own], *given)

        monkeypatch.setattr(clean_trees, "_of_all", exchanged)
    if fault == "neighbour":  # a tree is given what belongs to the one beside it
        run_of = clean_trees._run_of

        def mixed(trees: Any, *given: Any) -> Any:
            runs = run_of(trees, *given)
            return [*runs[:-2], *reversed(runs[-2:])]

        monkeypatch.setattr(clean_trees, "_run_of", mixed)
    if fault == "filling":  # what a tree is filled up with is seen by its nodes
        monkeypatch.setattr(
            side_by_side, "_filled_mask",
            lambda mask, nodes: mask.new_ones((*mask.shape[:2], nodes, nodes)))  # fmt: skip
    if fault == "site":
        keeping = clean_trees._keeping
        monkeypatch.setattr(
            clean_trees, "_keeping",
            lambda values: lambda value: keeping(values)(value * 1.01))  # fmt: skip


def test_a_window_over_places_is_seen_where_the_last_prompt_has_nothing_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GPT-Neo's local layers look back by places, not by their mask: what follows other branches loses its
    first tokens, and a prompt that shares nothing has all of its own."""
    monkeypatch.setattr(clean_trees, "NODES", 128)
    length, window = 35, 40
    config = GPTNeoConfig(
        **(_COMMON | {"max_position_embeddings": 128}), num_layers=3, num_heads=4,
        window_size=window, attention_types=[[["global", "local", "global"], 1]],
    )  # fmt: skip
    torch.manual_seed(0)
    lm = LanguageModel.of(GPTNeoForCausalLM(config).eval(), tiny_tokenizer(), "windowed")
    drawn = torch.randint(20, VOCAB, (11, length)).tolist()

    def tree(trunk: int, alone: int) -> list[PromptInfo]:
        """Prompts that begin with ``trunk`` tokens, and ``alone`` that share none with them."""
        branches = [[1, *drawn[0][1:trunk], *row[trunk:]] for row in drawn[:8]]
        branches += [[2, *row[1:]] for row in drawn[10 : 10 + alone]]
        return [PromptInfo("", (), tuple(ids)) for ids in branches]

    lengths = Lengths.none()
    narrow = Together(lm, tree(length - 1, 0)[:5], lengths)
    assert narrow.whole() is not None
    assert [len(tree.nodes) for tree in narrow.trees()] == [length + 4]  # all within the window
    prompts = tree(length - 7, 1)
    shared = Together(lm, prompts, lengths)
    with sharing(shared):
        runs = [record(lm, prompt) for prompt in prompts]
    assert not shared.trees()
    for prompt, run in zip(prompts, runs, strict=True):
        alone = record(lm, prompt).resid_final
        torch.testing.assert_close(run.resid_final, alone, rtol=0, atol=1e-5)


def test_a_site_that_is_asked_for_later_is_held_against_all_of_a_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts, lengths = prompts_of(lm), Lengths.none()
    assert Together(lm, prompts, lengths).whole() is not None
    length = len(prompts[0].token_ids)
    assert lengths.clean[length] == frozenset()
    sampled: list[int] = []
    recorded = clean_rows.record_ids

    def counted(*given: Any) -> Any:
        sampled.append(len(given[2]))
        return recorded(*given)

    monkeypatch.setattr(clean_rows, "record_ids", counted)
    trees = passes(lm, prompts, lengths).trees()
    assert sampled == [len(trees[0].rows) + len(trees) - 1]
    assert lengths.clean[length] == frozenset(SITES)


def test_prompts_with_little_in_common_and_arguments_of_their_own_are_run_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2", torch.float32)
    few = prompts_of(lm)[::6]  # of each thing one
    shared = passes(lm, few, Lengths.none())
    assert not shared.trees()
    prompts, lengths = prompts_of(lm), Lengths.none()
    assert passes(lm, prompts, lengths).trees()
    monkeypatch.setattr(clean_rows, "of_any_row", lambda *_given: None)  # a row has others
    assert not passes(lm, prompts, lengths).trees()


def test_a_prompt_that_overflows_on_a_tree_does_not_take_the_others_with_it() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts, lengths = prompts_of(lm), Lengths.none()
    trees = passes(lm, prompts, lengths).trees()
    broken = prompts[trees[-1].rows[-2]]  # not one of the sample
    ids: list[torch.Tensor] = []

    def overflow(value: torch.Tensor) -> torch.Tensor:
        own = (ids[-1] == torch.tensor(broken.token_ids)).all(1)
        return value.masked_fill(own[:, None, None], torch.inf)

    handle = lm.anatomy.embedding.register_forward_pre_hook(
        lambda _module, args: ids.append(args[0])
    )
    try:
        with at_site(lm.anatomy, "embed", None, overflow):
            shared = Together(lm, prompts, lengths)
            assert shared.whole() is None
            with sharing(shared):  # each has its own reason
                assert record(lm, prompts[0]).resid_final.isfinite().all()
                with pytest.raises(NotFinite):
                    record(lm, broken)
    finally:
        handle.remove()
    assert passes(lm, prompts, lengths).trees()
