"""Types of heads of encoder–decoders: patterns written in by hand score 1, and places are no words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from interpboard.circuits.heads.strip_types import STRIP_SCORES
from interpboard.circuits.heads.types import head_scores
from interpboard.errors import BadParameter
from interpboard.interventions.sets import of_type
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import fingerprint
from tests.strips import TEXT, strips_lm, strips_model
from tests.tiny import tiny_tokenizer

LENGTH = 6
OF_GROUP = {
    "E": ("previous_token", "next_token", "duplicate_token", "begin_token", "end_token"),
    "D": ("previous_token", "duplicate_token", "induction", "begin_token"),
    "X": ("same_source", "following_source", "aligned_source", "begin_token", "end_token"),
}
WIRED: dict[str, tuple[str, ...]] = {
    "E0": ("previous_token", "next_token"), "E1": ("end_token", "duplicate_token"),
    "D0": ("previous_token", "induction"), "D1": ("begin_token", "duplicate_token"),
    "X0": ("same_source", "following_source"), "X1": ("aligned_source", "end_token"),
}  # fmt: skip


@cache
def _ended_lm(family: str) -> LanguageModel:
    """With a tokenizer that ends a source, as those of these families do."""
    tokenizer = tiny_tokenizer()
    end = tokenizer.convert_ids_to_tokens(1)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, 1)]
    )
    return LanguageModel.of(strips_model(family), tokenizer, f"ended {family}")


def _asked(lm: LanguageModel) -> tuple[PromptInfo, Metric]:
    prompt = make_prompt(lm, TEXT)
    return prompt, resolve_metric(lm, prompt, MetricRequest())


def _scores(lm: LanguageModel, length: int = LENGTH) -> Result:
    return head_scores(lm, *_asked(lm), samples=4, length=length)


@pytest.mark.parametrize("family", ["ended t5", "bart", "marian"])
def test_each_group_has_its_own_scores_and_the_others_are_not_numbers(family: str) -> None:
    lm = _ended_lm("t5") if family == "ended t5" else strips_lm(family)
    before = fingerprint(lm)
    found = _scores(lm)
    assert found.axes[0].labels == STRIP_SCORES
    assert found.axes[1].labels == ("E0", "E1", "D0", "X0", "D1", "X1")
    for number, name in enumerate(STRIP_SCORES):
        for row, layer in enumerate(found.axes[1].labels):
            defined = name in OF_GROUP[layer[0]]
            if layer[0] != "D" and name in ("begin_token", "end_token"):
                defined = name == "end_token" and family == "ended t5"  # what is around a source
            values = found.values[number, row], found.extra["z"].values[number, row]
            assert np.isfinite(values).all() == defined, (name, layer)
    assert any("name movers are not measured" in warning for warning in found.warnings)
    assert fingerprint(lm) == before


def _attended(kind: str, ids: Sequence[int], border: int, query: int) -> int:
    """The position that a head of the type attends to, of one row of coded ``ids``; -1: anywhere else."""
    words = [token if at < border else -1 - token for at, token in enumerate(ids)]
    own = words[query]
    front = len(ids) - border - 2 * LENGTH
    match kind:
        case "previous_token":
            return query - 1
        case "next_token":
            return query + 1
        case "begin_token":
            return border
        case "end_token":
            return border - 1
        case "duplicate_token":
            strip = range(2 * LENGTH) if query < border else range(border + front, query)
            return next((at for at in strip if at != query and words[at] == own), -1)
        case "induction":
            return next((at + 1 for at in range(border + front, query) if words[at] == own), -1)
        case "same_source":
            return next((at for at in range(2 * LENGTH) if words[at] == own), -1)
        case "following_source":
            return next((at + 1 for at in range(2 * LENGTH) if words[at] == own), -1)
        case _:  # aligned_source: sources of T5 have nothing in front
            return query - border - front


def _wired(wired: dict[str, tuple[str, ...]]) -> Result:
    """With the heads of each layer attending as ``wired`` says, to one key each."""
    lm = _ended_lm("t5")
    asked = _asked(lm)
    given: list[torch.Tensor] = []
    base = lm.anatomy.base

    def act(pattern: torch.Tensor, layer: str) -> torch.Tensor:
        (ids,) = given[-1:]
        new = torch.zeros_like(pattern)
        for row, tokens in enumerate(ids.tolist()):
            border = sum(token >= 0 for token in tokens)
            queries = range(border) if layer[0] == "E" else range(border, len(tokens))
            for head, kind in enumerate(wired[layer]):
                for query in queries:
                    key = _attended(kind, tokens, border, query)
                    keys = range(border) if layer[0] != "D" else range(border, query + 1)
                    new[row, query, head, key if key in keys else keys[0]] = 1
        return new

    with ExitStack() as stack:
        hook = base.register_forward_pre_hook(
            lambda _module, _args, options: given.append(options["input_ids"]), with_kwargs=True
        )
        stack.callback(hook.remove)
        for number, name in enumerate(lm.anatomy.layer_names):
            if name in wired:
                stack.enter_context(
                    at_site(lm.anatomy, "pattern", number, lambda p, name=name: act(p, name))  # type: ignore[misc]
                )
        return head_scores(lm, *asked, samples=4, length=LENGTH)


def test_heads_of_a_known_type_score_one_and_are_called_by_it() -> None:
    found = _wired(WIRED)
    layers = found.axes[1].labels
    for layer, kinds in WIRED.items():
        for head, kind in enumerate(kinds):
            at = layers.index(layer), head
            score = found.values[(STRIP_SCORES.index(kind), *at)]
            assert score == pytest.approx(1), (layer, kind)
            assert found.extra["label"].values[at] == kind
    assert of_type(found, "following source").places == ("X0.1",)


def test_a_head_that_looks_at_places_is_not_said_to_find_words() -> None:
    found = _wired({"X0": ("aligned_source",) * 2})
    row = found.axes[1].labels.index("X0")
    null = found.extra["null"].values[:, row]
    for name in ("same_source", "following_source"):
        number = STRIP_SCORES.index(name)
        np.testing.assert_allclose(found.values[number, row], null[number])
    assert set(found.extra["label"].values[row]) == {"aligned_source"}


def test_the_tokens_of_both_strips_must_fit() -> None:
    with pytest.raises(BadParameter, match=r"exceed|cannot be drawn"):
        _scores(strips_lm("bart"), length=32)
