"""The scores of heads as a result: what is left out and said, refusals, cancelling, the demo model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from interpboard.circuits import HeadScorer
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.ov_circuit import plain_prompt
from interpboard.circuits.heads.probes import (
    Repeats,
    random_repeats,
)
from interpboard.circuits.heads.types import SCORES, head_scores
from interpboard.errors import BadParameter, Cancelled
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import MetricInfo, MetricRequest, TokenRef
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint
from tests.tiny import tiny_model, tiny_tokenizer

IOI = "When Mary and John went to the store, John gave a drink to"


def score(values: np.ndarray, name: str) -> np.ndarray:
    return values[SCORES.index(name)]


def test_without_the_target_in_the_prompt_there_is_no_name_mover_score_and_a_warning() -> None:
    lm, prompt, metric = case("llama", text=TEXT, target="Z")
    result = head_scores(lm, prompt, metric, samples=2, length=4)
    assert np.isnan(score(result.values, "name_mover")).all()
    assert np.isfinite(result.values[:4]).all()
    assert "does not stand in the prompt" in result.warnings[0]


def test_families_without_values_keep_the_scores_that_they_can_have() -> None:
    lm, prompt, metric = case("bloom", text="Mary and John and Mary and", target="M")
    result = head_scores(lm, prompt, metric, samples=2, length=4)
    assert np.isfinite(score(result.values, "induction")).all()
    assert np.isnan(score(result.values, "name_mover")).all()
    assert "No name_mover score" in result.warnings[-1]


def test_what_does_not_fit_is_refused() -> None:
    lm, prompt, metric = case("gpt2")
    with pytest.raises(BadParameter, match="length=32 or less"):
        head_scores(lm, prompt, metric, length=33)
    with pytest.raises(BadParameter, match="cannot be drawn"):
        random_repeats(lm, 2, 1, 0)
    with HeadScorer(lm.model, lm.tokenizer) as scorer:
        result = scorer.score(TEXT, samples=2, length=4)
        with pytest.raises(BadParameter, match="no score 'indction'"):
            scorer.top_heads(result, "indction")
        best = scorer.top_heads(result, "induction", top_k=3)
    values = score(result.values, "induction")
    assert [head.score for head in best] == sorted(values.flat, reverse=True)[:3]
    assert all(values[head.layer, head.head] == head.score for head in best)


def test_it_can_be_cancelled_anywhere_and_leaves_nothing() -> None:
    lm, prompt, metric = case("llama", text="Mary and John and Mary and", target="M")
    before = fingerprint(lm)
    asked: list[int] = []

    def counting() -> bool:
        asked.append(0)
        return False

    head_scores(lm, prompt, metric, samples=2, length=4, watch=Watch(cancelled=counting))
    for stop in range(1, len(asked), 4):
        left = [0] * stop
        with pytest.raises(Cancelled):
            head_scores(
                lm,
                prompt,
                metric,
                samples=2,
                length=4,
                watch=Watch(cancelled=lambda left=left: left.pop() is None or not left),  # type: ignore
            )
        assert fingerprint(lm) == before


@pytest.fixture(scope="module")
def demo() -> LanguageModel:
    return open_model("demo")


def induction_cost(lm: LanguageModel, repeats: Repeats) -> np.ndarray:
    """Mean effect [layer, head] of mean ablation on the logit of the token that induction predicts."""
    return np.mean(
        [head_ablation(lm, *_next_token(lm, row), ablation="mean").values for row in repeats.ids],
        axis=0,
    )


def _next_token(lm: LanguageModel, row: torch.Tensor) -> tuple[Any, Metric]:
    *ids, target = row[0].tolist()
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([ids])).logits[0, -1]
    return plain_prompt(ids), Metric(
        MetricInfo("logit", len(ids) - 1, TokenRef(target, "")), logits
    )


def test_on_the_demo_model_the_top_induction_heads_cost_the_induction_task_most(
    demo: LanguageModel,
) -> None:
    prompt = make_prompt(demo, IOI)
    result = head_scores(demo, prompt, resolve_metric(demo, prompt, MetricRequest()))
    labels = result.extra["label"].values
    scores = score(result.values, "induction")
    heads = {(int(i), int(j)) for i, j in np.argwhere(labels == "induction")}
    assert heads
    assert scores.max() > 0.5
    # Induction is built on a previous-token head: it cannot be in the same layer or before.
    previous = np.argwhere(labels == "previous_token")
    after = int(previous[:, 0].min()) + 1
    assert min(layer for layer, _ in heads) >= after

    repeats = random_repeats(demo, samples=6, length=24, seed=5)
    cost = induction_cost(demo, repeats)
    order = np.argsort(cost[after:], axis=None)[: len(heads)]
    costliest = {(after + int(i) // cost.shape[1], int(i) % cost.shape[1]) for i in order}
    best = np.argsort(-scores, axis=None)[: len(heads)]
    assert {(int(i) // cost.shape[1], int(i) % cost.shape[1]) for i in best} == heads
    assert costliest == heads

    others = [
        (layer, head)
        for layer in range(after, cost.shape[0])
        for head in range(cost.shape[1])
        if (layer, head) not in heads
    ]
    plain, metric = _next_token(demo, repeats.ids[0])
    run = record(demo, plain)
    both, rest = evaluate(
        run,
        [
            tuple(Edit("z", layer, head=head) for layer, head in chosen)
            for chosen in (heads, others[: len(heads)])
        ],
        metric,
    )
    assert metric.baseline - both > 5 * abs(metric.baseline - rest)


def test_on_the_demo_model_a_name_mover_follows_the_indirect_object(demo: LanguageModel) -> None:
    prompt = make_prompt(demo, IOI)
    metric = resolve_metric(demo, prompt, MetricRequest("logit_diff", " Mary", " John"))
    result = head_scores(demo, prompt, metric)
    best = score(result.values, "name_mover")
    assert best.max() > 0.5
    assert score(result.extra["z"].values, "name_mover").flat[best.argmax()] > 3
    wrong = resolve_metric(demo, prompt, MetricRequest("logit_diff", " John", " Mary"))
    others = score(head_scores(demo, prompt, wrong).values, "name_mover")
    assert others.flat[best.argmax()] < 0.5 * best.max()
    assert {"induction", "previous_token", "copying"} <= set(result.extra["label"].values.flat)


def test_a_head_that_writes_nothing_has_no_copying_score_and_no_type() -> None:
    lm = LanguageModel.of(tiny_model("gpt2", torch.float64), tiny_tokenizer(), "one dead head")
    d_head = lm.anatomy.d_model // lm.anatomy.n_heads
    with torch.no_grad():  # the values of head 1 of layer 0
        attention = lm.model.transformer.h[0].attn.c_attn
        begin = 2 * lm.anatomy.d_model + d_head
        attention.weight[:, begin : begin + d_head] = 0
        attention.bias[begin : begin + d_head] = 0
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    result = head_scores(lm, prompt, metric, samples=2, length=6)
    copying = result.values[result.axis("score").labels.index("copying")]
    assert np.isnan(copying[0, 1])
    assert np.isfinite(np.delete(copying.reshape(-1), 1)).all()
    assert result.extra["label"].values[0, 1] != "copying"


@pytest.mark.parametrize("context", [49, 32, 9])
def test_a_short_context_shortens_the_segments_and_the_result_says_so(context: int) -> None:
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=420, n_embd=32, n_layer=1, n_head=2, n_positions=context,
            bos_token_id=None, eos_token_id=None,
        )
    ).eval()  # fmt: skip
    lm = LanguageModel.of(model, tiny_tokenizer(), "short")
    prompt = make_prompt(lm, "a")
    result = head_scores(lm, prompt, resolve_metric(lm, prompt, MetricRequest()), samples=2)
    assert result.params["length"] == context // 2
    assert np.isfinite(score(result.values, "induction")).all()
