"""Scores of heads that are known by hand, of patterns counted one by one, and on the demo model."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from interpboard.circuits import HeadScorer
from interpboard.circuits.direct.path import pull_back
from interpboard.circuits.heads import probes as head_probes
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.name_mover import name_mover_probe
from interpboard.circuits.heads.ov_circuit import moved_alone, plain_prompt, promotion
from interpboard.circuits.heads.probes import (
    Probe,
    Repeats,
    among_top,
    attention_probes,
    copying_probe,
    random_repeats,
)
from interpboard.circuits.heads.types import SCORES, above_chance, head_scores, labels_of
from interpboard.errors import BadParameter, Cancelled, Unsupported
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import MetricInfo, MetricRequest, TokenRef
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch
from tests.lm import TEXT, case, fingerprint, tiny_lm
from tests.tiny import tiny_model, tiny_tokenizer

IOI = "When Mary and John went to the store, John gave a drink to"


def score(values: np.ndarray, name: str) -> np.ndarray:
    return values[SCORES.index(name)]


def eager_patterns(lm: LanguageModel, ids: torch.Tensor) -> np.ndarray:
    """[layer, batch, head, query, key] by the model's own eager attention."""
    eager = copy.deepcopy(lm.model)
    eager.config._attn_implementation = "eager"
    with torch.no_grad():
        return torch.stack(eager(input_ids=ids, output_attentions=True).attentions).numpy()


def test_the_second_segment_repeats_the_first_or_is_shuffled_without_a_fixed_place() -> None:
    lm = tiny_lm("llama")
    repeats = random_repeats(lm, samples=5, length=9, seed=3)
    assert repeats.ids.shape == (5, 2, repeats.offset + 18)
    for repeated, shuffled in repeats.ids[:, :, repeats.offset :]:
        assert len(set(repeated[:9].tolist())) == 9
        assert repeated[9:].tolist() == repeated[:9].tolist() == shuffled[:9].tolist()
        assert sorted(shuffled[9:].tolist()) == sorted(shuffled[:9].tolist())
        assert (shuffled[9:] != shuffled[:9]).all()
    again = random_repeats(lm, samples=5, length=9, seed=3)
    assert torch.equal(repeats.ids, again.ids)
    assert not torch.equal(repeats.ids, random_repeats(lm, 5, 9, seed=4).ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
def test_attention_scores_are_pattern_entries_counted_one_by_one(
    family: str, dtype: torch.dtype
) -> None:
    lm = tiny_lm(family, dtype)
    before = fingerprint(lm)
    repeats = random_repeats(lm, samples=2, length=6, seed=1)
    probes = attention_probes(lm, repeats, seed=1, watch=SILENT)
    assert fingerprint(lm) == before
    for sample, ids in enumerate(repeats.ids):
        patterns = eager_patterns(lm, ids)
        for layer in range(3):
            for head in range(4):
                repeated, shuffled = patterns[layer, :, head]
                expected = {
                    "previous_token": [np.mean([repeated[q, q - 1] for q in range(1, 12)]), None],
                    "duplicate_token": [
                        np.mean([p[q, q - 6] for q in range(6, 12)]) for p in (repeated, shuffled)
                    ],
                    "induction": [
                        np.mean([p[q, q - 5] for q in range(6, 12)]) for p in (repeated, shuffled)
                    ],
                }
                for name, (value, null) in expected.items():
                    found = probes[name]
                    assert found.values[sample, layer, head] == pytest.approx(value, abs=1e-6)
                    if null is not None:
                        assert found.null[sample, layer, head] == pytest.approx(null, abs=1e-6)


def test_heads_made_by_hand_get_the_whole_score_of_their_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, length = tiny_lm("gpt2"), 8
    n_pos = 2 * length

    def by_hand(_lm: Any, ids: torch.Tensor, _layers: Any, hear: Any) -> None:
        patterns = torch.zeros(2, n_pos, 4, n_pos)
        for row, tokens in enumerate(ids.tolist()):
            for query, token in enumerate(tokens):
                patterns[row, query, 0, max(query - 1, 0)] = 1
                earlier = [k for k in range(query) if tokens[k] == token]
                patterns[row, query, 1, earlier[0] if earlier else 0] = 1
                patterns[row, query, 2, earlier[0] + 1 if earlier else 0] = 1
                patterns[row, query, 3, max(query - length + 1, 0)] = 1  # by position alone
        hear(0, patterns)

    monkeypatch.setattr(head_probes, "each_pattern", by_hand)
    probes = attention_probes(lm, random_repeats(lm, 6, length, 0), 0, SILENT)
    means = {name: probe.values.mean(0)[0] for name, probe in probes.items()}
    np.testing.assert_allclose(means["previous_token"], [1, *means["previous_token"][1:]])
    np.testing.assert_allclose(means["duplicate_token"][:3], [0, 1, 0])
    # The first of the second segment comes right behind the first segment: q − length + 1 is not q − 1.
    np.testing.assert_allclose(means["induction"], [0, 0, 1, 1])
    z = {name: above_chance(probe)[0] for name, probe in probes.items()}
    assert z["induction"][2] > 3
    assert z["induction"][3] == 0  # it looks there also where nothing repeats
    assert z["duplicate_token"][1] > 3
    assert z["previous_token"][0] > 3


def test_distance_above_chance_is_known_by_hand() -> None:
    values = np.array([0.4, 0.6])[:, None, None]
    null = np.array([0.1, 0.2, 0.3])[:, None, None]
    expected = (0.5 - 0.2) / np.sqrt(0.02 / 2 + 0.01 / 3)
    assert above_chance(Probe(values, null))[0, 0] == pytest.approx(expected)
    one = Probe(values[:1], null)  # a single score against the spread of the others
    assert above_chance(one)[0, 0] == pytest.approx((0.4 - 0.2) / 0.1)
    assert np.isnan(above_chance(Probe(values[:1], null[:1]))[0, 0])
    sure = Probe(np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
    assert above_chance(sure)[0, 0] == pytest.approx(1000)


def test_a_label_needs_size_and_certainty_and_prefers_what_a_head_looks_at() -> None:
    scores = np.zeros((5, 1, 5))
    z = np.full((5, 1, 5), 10.0)
    scores[SCORES.index("induction"), 0, 0] = 0.5
    scores[SCORES.index("copying"), 0, 0] = 0.9
    scores[SCORES.index("copying"), 0, 1] = 0.9
    scores[SCORES.index("induction"), 0, 2] = 0.1
    scores[SCORES.index("previous_token"), 0, 3] = 0.5
    z[SCORES.index("previous_token"), 0, 3] = 2.9
    scores[SCORES.index("name_mover"), 0, 4] = z[SCORES.index("name_mover"), 0, 4] = np.nan
    labels = labels_of(scores, np.zeros_like(scores), z)
    assert labels[0].tolist() == ["induction", "copying", "", "", ""]


def copying_model(sign: float) -> LanguageModel:
    """A GPT-2 each head of which writes ``sign`` times the part of the embedding that it reads."""
    model = tiny_model("gpt2", torch.float64, seed=2)
    body = model.transformer
    with torch.no_grad():
        body.wpe.weight.zero_()
        for block in body.h:
            basis = torch.linalg.qr(torch.randn(32, 32, dtype=torch.float64)).Q
            for norm in (block.ln_1, block.ln_2):
                norm.weight.fill_(1)
                norm.bias.zero_()
            block.attn.c_attn.weight[:, 64:] = basis
            block.attn.c_attn.bias.normal_()  # a value that is the same for all tokens copies nothing
            block.attn.c_proj.weight[:] = sign * basis.T
            block.mlp.c_proj.weight.zero_()
        body.ln_f.weight.fill_(1)
        body.ln_f.bias.normal_()
    return LanguageModel.of(model, tiny_tokenizer(), "copying")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_heads_that_copy_score_one_and_heads_that_suppress_score_minus_one(sign: float) -> None:
    lm = copying_model(sign)
    before = fingerprint(lm)
    probe, eigenvalues = copying_probe(lm, samples=4, seed=0, watch=SILENT)
    assert fingerprint(lm) == before
    assert probe.values.shape == probe.null.shape == (4, 3, 4)
    np.testing.assert_array_less(0.97, sign * eigenvalues[0])
    if sign > 0:
        assert probe.values[:, 0].mean() > 0.8
        assert above_chance(probe)[0].min() > 10
    else:
        assert probe.values[:, 0].max() == 0
    assert probe.null[:, 0].mean() < 0.15


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "qwen3"])
def test_what_a_head_promotes_is_what_it_would_add_to_the_logits(family: str) -> None:
    lm = tiny_lm(family, torch.float32)
    candidates = torch.arange(40, 60)
    promotes = promotion(lm, 1, candidates)
    moved = torch.randn(4, lm.anatomy.d_head[1], generator=torch.Generator().manual_seed(0))
    stream = torch.randn(32, generator=torch.Generator().manual_seed(1))
    for head in range(4):
        z = torch.zeros(4, lm.anatomy.d_head[1])
        z[head] = moved[head]
        with torch.no_grad():
            zero = lm.anatomy.out_proj[1](torch.zeros(1, z.numel()))[0]
            written = lm.anatomy.out_proj[1](z.flatten()[None])[0] - zero
        expected = []
        for candidate in candidates:
            up = lm.anatomy.unembedding.weight[candidate].detach()
            direction = pull_back(lm.anatomy.final_norm, stream, up, "norm").gradient
            if family == "gemma2":  # its late norm is a diagonal, up to the scale
                late = lm.anatomy.attn_out[1]
                direction = direction * (1 + late.weight.detach())  # type: ignore[operator]
            expected.append(float(direction @ written))
        found = (moved[head] @ promotes[head]).numpy()
        assert np.corrcoef(found, expected)[0, 1] > 0.9999


def test_what_a_head_moves_from_a_lone_token_is_its_value_there() -> None:
    lm = tiny_lm("llama", torch.float64)
    tokens = torch.tensor([7, 300, 21])
    moved = list(moved_alone(lm, [], tokens, SILENT))
    block = lm.model.model.layers[0]
    with torch.no_grad():
        embedded = lm.model.model.embed_tokens(tokens)
        value = block.self_attn.v_proj(block.input_layernorm(embedded)).unflatten(-1, (2, 8))
    expected = value.repeat_interleave(2, dim=1)
    np.testing.assert_allclose(moved[0].numpy(), expected.numpy(), atol=1e-9)
    assert [part.shape for part in moved] == [(3, 4, 8)] * 3


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_name_mover_score_is_attention_counted_where_it_copies(family: str) -> None:
    lm, prompt, _ = case(family, torch.float64, text="a b a c a d")
    metric = resolve_metric(lm, prompt, MetricRequest("logit", " a"))
    places = [i for i, token in enumerate(prompt.token_ids) if token == metric.target_id]
    assert len(places) == 2
    probe = name_mover_probe(lm, prompt, metric, seed=0, watch=SILENT)
    assert probe is not None
    assert len(probe.null) == len(set(prompt.token_ids)) - 1
    attended = eager_patterns(lm, input_ids(lm, prompt))[:, 0, :, -1][..., places]
    for layer in range(3):
        for head in range(4):
            sums = [attended[layer, head, list(chosen)].sum() for chosen in ([], [0], [1], [0, 1])]
            found = probe.values[0, layer, head]
            assert min(abs(found - total) for total in sums) < 1e-6
    assert max(probe.values.max(), probe.null.max()) > 0


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


def test_candidates_that_are_promoted_alike_are_not_among_the_first() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)

    def top(*logits: float) -> list[float]:
        return among_top(one, torch.tensor(logits, dtype=torch.float64)[None, None])[0, 0].tolist()

    assert top(8, *[0] * 20) == [1, *[0] * 20]  # the rest is no better than the sixth
    assert top(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == [0] * 5 + [1] * 5
    assert top(3, 1, 2, 0) == [1, 0, 1, 0]  # not all of four
    assert np.isnan(top(*[2] * 20)).all()


class _Few:
    """A tokenizer of a few tokens, as far as random ones are drawn from it."""

    all_special_ids: tuple[int, ...] = ()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __call__(self, _text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [0]}


def test_on_a_few_tokens_a_head_is_held_against_another_token_than_its_own() -> None:
    lm = copying_model(1.0)
    few = replace(lm, tokenizer=_Few(9))  # 8 samples would have a token each
    probe, _ = copying_probe(few, samples=8, seed=0, watch=SILENT)
    assert len(probe.values) == 4
    assert probe.values.mean(0).max() == 1
    assert (probe.values.mean(0) - probe.null.mean(0)).max() > 0.2
    with pytest.raises(Unsupported, match="one token"):
        copying_probe(replace(lm, tokenizer=_Few(1)), samples=8, seed=0, watch=SILENT)
