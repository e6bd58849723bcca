"""Several heads together, several ablations side by side, and the public class over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.circuits import AttentionHeadAblator
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.compare import compare_ablations, rank_agreement
from interpboard.circuits.heads.pairs import head_pairs, strongest_heads
from interpboard.errors import BadParameter, Cancelled
from interpboard.results import Document
from interpboard.runs.edits import Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint


def test_the_table_holds_the_grid_of_each_strategy() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    components = [(2, 1), (0, 3), (1, 0)]
    table = compare_ablations(lm, prompt, metric, components=components, seed=4)
    assert table.axes[0].labels == ("L2 H1", "L0 H3", "L1 H0")
    assert table.axes[1].labels == ("zero", "mean", "random")
    for column, strategy in enumerate(table.axes[1].labels):
        grid = head_ablation(lm, prompt, metric, ablation=strategy, seed=4).values
        expected = [grid[component] for component in components]
        np.testing.assert_allclose(table.values[:, column], expected, atol=1e-6)


def test_heads_together_are_the_pair_of_two_and_the_head_of_one() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    pairs = head_pairs(lm, prompt, metric, top_k=2, ablation="mean")
    heads = ",".join(label.replace("L", "").replace(" H", ".") for label in pairs.axes[0].labels)
    both = compare_ablations(lm, prompt, metric, components=heads, strategies=["zero", "mean"])
    joint = float(pairs.extra["joint"].values[0, 1])
    assert both.extra["together"].values[1] == pytest.approx(joint, rel=1e-9)
    one = compare_ablations(lm, prompt, metric, components=[(1, 2), (1, 2)])
    np.testing.assert_allclose(one.extra["together"].values, one.values[0], rtol=1e-9)


def test_rank_agreement_is_known_by_hand() -> None:
    effects = np.array([[1, 10, 3, 5], [2, 20, 2, 5], [3, 15, 1, 5]], dtype=float)
    found = rank_agreement(effects)
    np.testing.assert_allclose(found[:3, :3], [[1, 0.5, -1], [0.5, 1, -0.5], [-1, -0.5, 1]])
    assert np.isnan(found[3]).all()
    ties = rank_agreement(np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 3.0]]))
    assert ties[0, 1] == pytest.approx(np.sqrt(3) / 2)


def test_an_interaction_is_the_joint_effect_less_the_sum() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    before = fingerprint(lm)
    result = head_pairs(lm, prompt, metric, top_k=4)
    single = head_ablation(lm, prompt, metric).values
    heads = strongest_heads(single, 4)
    assert np.isnan(np.diag(result.values)).all()
    np.testing.assert_array_equal(result.values, result.values.T)
    joint = evaluate(
        record(lm, prompt),
        [(Edit("z", *_of(heads[0])), Edit("z", *_of(heads[2])))],
        metric,
    )[0]
    expected = joint - metric.baseline - single[heads[0]] - single[heads[2]]
    assert result.values[0, 2] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(result.extra["alone"].values, [single[head] for head in heads])
    assert fingerprint(lm) == before


def _of(head: tuple[int, int]):
    return head[0], "zero", head[1]


def test_the_class_gives_what_the_functions_give() -> None:
    lm, prompt, metric = case()
    with AttentionHeadAblator(lm.model, lm.tokenizer) as ablator:
        results = ablator.systematic_head_ablation(TEXT, layers=[0, 2], heads=[1, 3])
        critical = ablator.find_critical_heads(results, top_k=2)
        compared = ablator.compare_ablations(TEXT, ["zero", "mean"], [(0, 1)])
        pairs = ablator.pairs(TEXT, top_k=3)
        components = ablator.find_critical_components(TEXT, budget=6, kinds=("mlp",))
    whole = head_ablation(lm, prompt, metric).values
    np.testing.assert_allclose(results.values, whole[np.ix_([0, 2], [1, 3])], rtol=1e-4, atol=1e-6)
    assert [head.effect for head in critical] == sorted(v for v in results.values.flat if v < 0)[:2]
    for head in critical:
        assert head.effect == pytest.approx(whole[head.layer, head.head], rel=1e-4)
    assert compared.values.shape == (1, 2)
    assert pairs.values.shape == (3, 3)
    assert sorted(components.axes[0].labels) == ["L0 MLP", "L1 MLP", "L2 MLP"]


def test_what_is_not_there_is_refused() -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadParameter, match="layers 0 to 2 of heads 0 to 3"):
        compare_ablations(lm, prompt, metric, components=[(8, 4)])
    with pytest.raises(BadParameter, match="No component"):
        compare_ablations(lm, prompt, metric, components=[])
    with pytest.raises(BadParameter, match="at least two"):
        head_pairs(lm, prompt, metric, top_k=1)
    for wrong in ("3", "one", "1.2.3", [1.5], "1."):
        with pytest.raises(BadParameter, match=r"layer\.head"):
            compare_ablations(lm, prompt, metric, components=wrong)


def test_heads_are_named_in_text_as_in_the_labels() -> None:
    lm, prompt, metric = case()
    expected = compare_ablations(lm, prompt, metric, components=[(2, 1), (0, 3)]).values
    for text in ("2.1,0.3", "L2 H1, L0 H3", "L2H1,0.3", ["2.1", (0, 3)]):
        named = compare_ablations(lm, prompt, metric, components=text)
        assert named.params["components"] == ["2.1", "0.3"]
        np.testing.assert_array_equal(named.values, expected)


def test_from_the_registry_references_add_a_strategy_and_text_is_enough() -> None:
    lm, _, _ = case()
    params = {
        "compare_ablations": {"components": "2.1,0.3", "references": "Mary gave\nThe keys"},
        "head_pairs": {"top_k": "3", "ablation": "mean"},
    }
    document = analyze(lm, TEXT, ("compare_ablations", "head_pairs"), params=params)
    compared, pairs = document.results
    assert compared.axes[1].labels == ("zero", "mean", "random", "dataset_mean")
    assert compared.params["references"] == ["Mary gave", "The keys"]
    assert pairs.values.shape == (3, 3)
    assert Document.from_json(document.to_json()).results[1].params == pairs.params


@pytest.mark.parametrize("analysis", [head_pairs, compare_ablations])
def test_partial_values_grow_to_the_result_and_a_cancel_leaves_nothing(analysis) -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    heard = []
    watch = Watch(on_progress=lambda *args: heard.append(args))
    result = analysis(lm, prompt, metric, watch=watch)
    done, totals, partials = zip(*heard, strict=True)
    assert list(done) == sorted(done)
    assert {done[-1]} == set(totals)
    shown = [partial for partial in partials if partial is not None]
    assert shown
    for partial in shown:
        assert partial.axes == result.axes
        known = np.isfinite(partial.values)
        np.testing.assert_array_equal(partial.values[known], result.values[known])
    steps = iter(range(1000))
    with pytest.raises(Cancelled):
        analysis(lm, prompt, metric, watch=Watch(cancelled=lambda: next(steps) > 4))
    assert fingerprint(lm) == before
