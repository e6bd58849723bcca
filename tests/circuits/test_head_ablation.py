"""Head ablation against models whose heads were cut out by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.estimates import estimated_effects
from interpboard.errors import BadParameter
from interpboard.runs.edits import Edit
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replacements import cycle
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "bloom", "gpt_neox"])
def test_zero_ablation_is_zeroing_the_heads_rows_of_w_o(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")
    before = fingerprint(lm)
    result = head_ablation(lm, prompt, metric)
    assert fingerprint(lm) == before
    expected = np.zeros((3, 4))
    for layer in range(3):
        for head in range(4):
            cut = copy.deepcopy(lm.anatomy)
            part = slice(head * cut.d_head[layer], (head + 1) * cut.d_head[layer])
            with torch.no_grad():
                weight = cut.out_proj[layer].weight
                if family == "gpt2":
                    weight[part] = 0
                else:
                    weight[:, part] = 0
                logits = cut.model(input_ids=input_ids(lm, prompt)).logits[:, -1]
            expected[layer, head] = float(metric.of(logits)[0]) - metric.baseline
    tolerance = TOLERANCE[dtype]
    if family == "bloom" and dtype == torch.float64:
        tolerance = {"rtol": 1e-6, "atol": 1e-6}  # its attention works in float32
    np.testing.assert_allclose(result.values, expected, **tolerance)
    assert np.abs(expected).max() > 0.01


def test_mean_ablation_of_a_prompt_of_equal_positions_changes_nothing() -> None:
    # One token repeated, no positions in the values: z is the same at every position of layer 0.
    lm, prompt, metric = case("llama", torch.float64, text="\n\n\n\n\n\n")
    assert len(set(prompt.token_ids)) == 1
    result = head_ablation(lm, prompt, metric, ablation="mean", layers=(0,))
    np.testing.assert_allclose(result.values, 0, atol=1e-12)
    zero = head_ablation(lm, prompt, metric, layers=(0,))
    assert np.abs(zero.values).max() > 1e-3


STRATEGIES = ("random", "dataset_mean", "resample")
REFERENCES = ("The Louvre is located in the old house", "Mary gave a drink to John in Paris")


def test_each_strategy_is_a_plain_forward_with_that_in_the_heads_place() -> None:
    lm, prompt, metric = case("llama", torch.float64, name="logprob")
    length = len(prompt.token_ids)
    fitting = next(
        text
        for text in ("Mary" + " the" * n for n in range(1, 20))
        if len(make_prompt(lm, text).token_ids) == length
    )
    others = [t for t in REFERENCES if len(make_prompt(lm, t).token_ids) != length]
    assert others
    references = (*others, fitting)
    layer, head = 1, 2
    part = slice(head * 8, head * 8 + 8)
    kept: list[torch.Tensor] = []
    module = lm.anatomy.out_proj[layer]

    def z_of(text: str) -> torch.Tensor:
        handle = module.register_forward_pre_hook(lambda _m, args: kept.append(args[0].clone()))
        with torch.no_grad():
            lm.model(input_ids=input_ids(lm, make_prompt(lm, text)))
        handle.remove()
        return kept.pop()[0, :, part]

    own = z_of(prompt.text)
    order = cycle(length, 3)
    assert (order != torch.arange(length)).all()
    assert sorted(order.tolist()) == list(range(length))
    pooled = torch.cat([z_of(text) for text in references]).mean(0)
    for strategy in STRATEGIES:
        result = head_ablation(
            lm, prompt, metric, ablation=strategy, references=references, layers=(layer,), seed=3
        )
        value = {"random": own[order], "dataset_mean": pooled, "resample": z_of(fitting)}[strategy]

        def put(_m, args, value=value):
            z = args[0].clone()
            z[0, :, part] = value
            return (z,)

        handle = module.register_forward_pre_hook(put)
        with torch.no_grad():
            logits = lm.model(input_ids=input_ids(lm, prompt)).logits[:, -1]
        handle.remove()
        expected = float(metric.of(logits)[0]) - metric.baseline
        assert result.values[0, head] == pytest.approx(expected, abs=1e-6), strategy


def test_references_may_be_lines_and_must_fit() -> None:
    lm, prompt, metric = case()
    lines = head_ablation(
        lm, prompt, metric, ablation="dataset_mean", references="\n".join(REFERENCES)
    )
    listed = head_ablation(lm, prompt, metric, ablation="dataset_mean", references=REFERENCES)
    np.testing.assert_array_equal(lines.values, listed.values)
    with pytest.raises(BadParameter, match="needs reference prompts"):
        head_ablation(lm, prompt, metric, ablation="resample")
    with pytest.raises(BadParameter, match="has the prompt's"):
        head_ablation(lm, prompt, metric, ablation="resample", references=("Mary",))
    with pytest.raises(BadParameter, match="There is no ablation 'one'"):
        head_ablation(lm, prompt, metric, ablation="one")


def test_the_mean_over_identical_prompts_is_the_mean_over_the_prompt() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    own = head_ablation(lm, prompt, metric, ablation="mean")
    same = head_ablation(lm, prompt, metric, ablation="dataset_mean", references=[prompt.text] * 3)
    np.testing.assert_allclose(same.values, own.values, atol=1e-9)
    again = head_ablation(lm, prompt, metric, ablation="resample", references=[prompt.text])
    np.testing.assert_allclose(again.values, 0, atol=1e-12)


def test_a_subset_has_the_same_values_as_the_whole() -> None:
    lm, prompt, metric = case("llama")
    whole = head_ablation(lm, prompt, metric)
    part = head_ablation(lm, prompt, metric, layers=(2, 0), heads=(3,))
    assert [axis.labels for axis in part.axes] == [("2", "0"), ("3",)]
    np.testing.assert_allclose(part.values, whole.values[[2, 0]][:, [3]], rtol=1e-5, atol=1e-6)


def test_partial_values_grow_to_the_result() -> None:
    lm, prompt, metric = case()
    partials = []
    result = head_ablation(
        lm, prompt, metric, watch=Watch(on_progress=lambda *args: partials.append(args))
    )
    assert [done for done, _, _ in partials][-1] == 12
    for _, total, partial in partials:
        known = np.isfinite(partial.values)
        assert total == 12
        np.testing.assert_array_equal(partial.values[known], result.values[known])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_preview_is_marked_estimated_until_exact_values_take_its_place(
    dtype: torch.dtype,
) -> None:
    lm, prompt, metric = case("llama", dtype)
    shown = []
    before = fingerprint(lm)
    result = head_ablation(
        lm,
        prompt,
        metric,
        preview=True,
        watch=Watch(on_progress=lambda _done, _total, partial: shown.append(partial)),
    )
    assert fingerprint(lm) == before
    estimate = result.extra["estimate"].values
    assert shown[0].estimated.all()
    np.testing.assert_array_equal(shown[0].values, estimate)
    assert not shown[-1].estimated.any()
    for partial in shown:
        assert np.isfinite(partial.values).all()
        expected = np.where(partial.estimated, estimate, result.values)
        np.testing.assert_array_equal(partial.values, expected)
    np.testing.assert_array_equal(result.extra["estimate_error"].values, estimate - result.values)
    plain = head_ablation(lm, prompt, metric)
    np.testing.assert_array_equal(plain.values, result.values)
    assert not plain.extra


def test_an_estimate_is_the_derivative_of_the_effect() -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name="logprob")
    run = record(lm, prompt, ("z",))
    for layer, head in ((0, 1), (1, 3), (2, 0)):
        own = run.sites["z"][layer][0][:, head]
        step = 1e-6
        nearly = (Edit("z", layer, "patch", head, value=(1 - step) * own),)
        zeroed = (Edit("z", layer, "zero", head),)
        measured = (evaluate(run, [nearly], metric)[0] - metric.baseline) / step
        estimate = estimated_effects(lm, prompt, metric, [zeroed])[0]
        assert estimate == pytest.approx(measured, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", ["rank", "kl"])  # kl is at its least at the clean run
def test_a_metric_without_a_slope_has_no_preview(name: str) -> None:
    lm, prompt, metric = case("gpt2", name=name, target=" the")
    assert not head_ablation(lm, prompt, metric, preview=True).extra


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"layers": (3,)}, "layers 0 to 2"),
        ({"heads": (-1,)}, "heads 0 to 3"),
        ({"heads": ()}, "No head"),
    ],
)
def test_heads_that_are_not_there_are_refused_with_what_there_is(chosen: dict, words: str) -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadParameter, match=words):
        head_ablation(lm, prompt, metric, **chosen)


def test_the_mean_by_position_over_identical_prompts_changes_nothing() -> None:
    for family in ("gpt2", "llama"):
        lm, prompt, metric = case(family, torch.float64)
        same = head_ablation(
            lm, prompt, metric, ablation="position_mean", references=[prompt.text] * 3
        )
        np.testing.assert_allclose(same.values, 0, atol=1e-12)


def test_the_mean_by_position_is_each_positions_own_mean() -> None:
    lm, prompt, metric = case("llama", torch.float64, text="The keys to")
    references = [f"The {word} to" for word in ("cabinet", "house", "old")]
    assert {len(make_prompt(lm, text).token_ids) for text in references} == {3}
    layer, head, module = 1, 3, lm.anatomy.out_proj[1]
    kept: list[torch.Tensor] = []
    keep = module.register_forward_pre_hook(lambda _m, args: kept.append(args[0].clone()))
    with torch.no_grad():
        for text in references:
            lm.model(input_ids=input_ids(lm, make_prompt(lm, text)))
        keep.remove()

        def put(_m, args):
            z = args[0].clone()
            z[0, :, head * 8 : head * 8 + 8] = (sum(kept) / 3)[0, :, head * 8 : head * 8 + 8]
            return (z,)

        handle = module.register_forward_pre_hook(put)
        logits = lm.model(input_ids=input_ids(lm, prompt)).logits[:, -1]
        handle.remove()
    result = head_ablation(lm, prompt, metric, ablation="position_mean", references=references)
    expected = float(metric.of(logits)[0]) - metric.baseline
    assert result.values[layer, head] == pytest.approx(expected, abs=1e-6)
    pooled = head_ablation(lm, prompt, metric, ablation="dataset_mean", references=references)
    assert np.abs(result.values - pooled.values).max() > 1e-4
    with pytest.raises(BadParameter, match=r"The prompt has 3 tokens, a reference 4: 'The'"):
        head_ablation(
            lm,
            prompt,
            metric,
            ablation="position_mean",
            references=["The keys to the", *references],
        )
