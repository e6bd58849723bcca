"""Choices of one text compared: as the model itself does it, in one forward pass over all of them, padded."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpboard import LanguageModel
from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.errors import (
    BadParameter,
    BadPrompt,
    BadTarget,
    InterpBoardError,
    Unaffordable,
    Unsupported,
)
from interpboard.models import memory
from interpboard.results import Document, MetricRequest, Result
from interpboard.runs.prompt import make_prompt
from interpboard.runs.steps import bytes_of_a_layer
from tests.classifiers import CHOICES, labelled
from tests.lm import fingerprint, tiny_lm
from tests.models.test_text_pairs import tokenizer

TEXT = "The Eiffel Tower is in the city of"
ENDS = ("Paris", "John and Mary, and the store", "the old house")


@cache
def opened(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    return LanguageModel.of(labelled(CHOICES[family], dtype), tokenizer(), family)


def given(lm: LanguageModel) -> dict[str, torch.Tensor]:
    """What transformers' model takes: every choice a row, padded to the longest, [1, choice, pos]."""
    rows = [tokenizer()(TEXT, end) for end in ENDS]
    longest, pad = max(len(row["input_ids"]) for row in rows), lm.model.config.pad_token_id
    fill = {"input_ids": pad, "attention_mask": 0, "token_type_ids": 0}
    assert len({len(row["input_ids"]) for row in rows}) > 1
    return {
        key: torch.tensor([[row[key] + [by] * (longest - len(row[key])) for row in rows]])
        for key, by in fill.items()
    }


@torch.no_grad()
def scores(lm: LanguageModel, ablated: tuple[int, int] | None = None) -> torch.Tensor:
    """[choice]: of one plain forward pass, with the head (layer, number) silenced by a hook."""
    handles = []
    if ablated is not None:
        width = lm.anatomy.d_head[ablated[0]]

        def silenced(_module: Any, args: Any) -> Any:
            z = args[0].clone()
            z[..., ablated[1] * width : (ablated[1] + 1) * width] = 0
            return (z,)

        handles.append(lm.anatomy.out_proj[ablated[0]].register_forward_pre_hook(silenced))
    try:
        return lm.model(**given(lm)).logits[0]
    finally:
        for handle in handles:
            handle.remove()


def test_a_choice_that_makes_its_run_too_large_is_refused_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = opened(next(iter(CHOICES)))
    short = len(make_prompt(lm, TEXT).token_ids)
    monkeypatch.setattr(memory, "_free", lambda _device: bytes_of_a_layer(lm, 2 * short))
    asked(lm, "choices", choices=ENDS[::2])
    with pytest.raises(Unaffordable, match=r"Shorten the text and its choices to \d+ tokens\.$"):
        asked(lm, "choices", choices=(ENDS[0], ENDS[1] * 3))


def asked(
    lm: LanguageModel, name: str, metric: MetricRequest | None = None, **params: Any
) -> Result:
    given_params = {name: {"choices": ENDS, **params}}
    return analyze(lm, TEXT, [name], metric or MetricRequest(), given_params).results[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("family", CHOICES)
def test_probabilities_are_those_of_the_models_own_pass_over_all_choices(
    family: str, dtype: torch.dtype
) -> None:
    lm = opened(family, dtype)
    before = fingerprint(lm)
    result, own = asked(lm, "choices"), scores(lm)
    assert result.axes[0].labels == ENDS
    np.testing.assert_allclose(result.values, own.softmax(-1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result.extra["score"].values, own, rtol=1e-5, atol=1e-5)
    assert result.metric.target is not None
    assert result.metric.target.token == ENDS[int(own.argmax())]
    likely = asked(lm, "choices", MetricRequest("logprob", "#2"))
    assert likely.baseline == pytest.approx(float(own.log_softmax(-1)[2]), rel=1e-5, abs=1e-5)
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", CHOICES)
def test_a_head_taken_away_is_taken_away_in_every_choices_run(family: str) -> None:
    lm = opened(family)
    clean, before = scores(lm), fingerprint(lm)
    target, foil = ENDS[2], ENDS[0]
    made = {
        name: asked(lm, "choice_ablation", MetricRequest(name, target, foil if against else None))
        for name, against in {"prob": False, "logit": False, "logit_diff": True, "logprob": False}.items()
    }  # fmt: skip
    layers, heads = lm.anatomy.n_layers, lm.anatomy.n_heads
    for layer, head in itertools.product(range(layers), range(heads)):
        own = scores(lm, (layer, head))
        measured = {
            "prob": own.softmax(-1)[2] - clean.softmax(-1)[2],
            "logit": own[2] - clean[2],
            "logit_diff": own[2] - own[0] - (clean[2] - clean[0]),
            "logprob": own.log_softmax(-1)[2] - clean.log_softmax(-1)[2],
        }
        assert float(abs(measured["prob"])) > 1e-6
        for name, expected in measured.items():
            found = made[name].values[layer, head]
            assert found == pytest.approx(float(expected), rel=1e-5, abs=1e-7), name
        after = made["prob"].extra["score"].values[layer, head]
        np.testing.assert_allclose(after, own, rtol=1e-6, atol=1e-8)
    assert fingerprint(lm) == before
    some = asked(lm, "choice_ablation", MetricRequest("prob", target), layers=[1], heads=[0])
    np.testing.assert_allclose(some.values, made["prob"].values[1:, :1], rtol=1e-12)


def test_an_effect_may_be_the_rivals_alone() -> None:
    """What a probability loses and its own score does not is the other choices' doing."""
    lm = opened("bert")
    by_prob = asked(lm, "choice_ablation", MetricRequest("prob", "#0"))
    scored, clean = by_prob.extra["score"].values, by_prob.extra["clean_score"].values
    shares = np.exp(scored) / np.exp(scored).sum(-1, keepdims=True)
    at_first = np.exp(clean[0]) / np.exp(clean).sum()
    np.testing.assert_allclose(by_prob.values, shares[..., 0] - at_first, rtol=1e-9)


def test_beside_other_analyses_it_is_the_same_and_says_where_it_was_measured() -> None:
    lm = opened("electra")
    names = ["predictions", "choices"]
    beside = analyze(lm, TEXT, names, params={"choices": {"choices": "\n".join(ENDS)}})
    alone = asked(lm, "choices")
    np.testing.assert_array_equal(beside.results[1].values, alone.values)
    assert beside.results[1].metric == alone.metric
    assert "(each choice in a run of its own)" in beside.to_text()


def test_in_16_bits_it_says_how_much_is_rounding() -> None:
    fine, coarse = opened("electra"), opened("electra", torch.bfloat16)
    assert "rounding" not in asked(fine, "choice_ablation").extra
    whole = float(asked(coarse, "choice_ablation").extra["rounding"].values)
    share = float(asked(coarse, "choice_ablation", MetricRequest("prob")).extra["rounding"].values)
    assert 0 < share < whole


@pytest.mark.parametrize(
    ("choices", "metric", "error", "said"),
    [
        (["Paris"], {}, BadParameter, "there is one"),
        ([], {}, BadParameter, "there are none"),
        (["Paris", " "], {}, BadParameter, "A choice is empty"),
        (["Paris", "Rome", "Paris"], {}, BadParameter, "#0 and #2 are the same"),
        (["Paris", "a ||| b"], {}, BadPrompt, r"holds \|\|\|"),
        (ENDS, {"target": "Rome"}, BadTarget, "none of the choices"),
        (ENDS, {"target": "#3"}, BadTarget, "#0 to #2"),
        (ENDS, {"name": "logit_diff"}, BadTarget, "needs a foil"),
        (ENDS, {"name": "logit_diff", "target": "#1", "foil": ENDS[1]}, BadTarget, "same choice"),
        (ENDS, {"name": "rank"}, BadParameter, "does not compare choices"),
    ],
)
@pytest.mark.parametrize("name", ["choices", "choice_ablation"])
def test_what_cannot_be_compared_is_refused_in_a_line(
    name: str, choices: Any, metric: dict[str, str], error: type[InterpBoardError], said: str
) -> None:
    request = MetricRequest(**metric)
    with pytest.raises(error, match=said) as refused:
        analyze(opened("bert"), TEXT, [name], request, {name: {"choices": choices}})
    assert "\n" not in str(refused.value)


def test_a_model_without_choices_says_so() -> None:
    with pytest.raises(Unsupported, match="model of multiple choice"):
        asked(tiny_lm(), "choices", MetricRequest("prob"))


def test_the_command_line_takes_choices_one_by_one_or_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = opened("bert", torch.float32)
    lm.model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "ends.txt").write_text("\n".join(ENDS) + "\n")
    words = ["analyze", "-m", str(tmp_path), "-t", TEXT, "--format", "json"]
    one_by_one = [word for end in ENDS for word in ("--choice", end)]
    expected = asked(lm, "choices")
    for how in (one_by_one, ["--choices", str(tmp_path / "ends.txt")]):
        assert main([*words, *how, "--target", "#1", "--metric", "prob"]) == 0
        result = Document.from_json(capsys.readouterr().out).results[0]
        assert result.analysis == "choices"
        np.testing.assert_allclose(result.values, expected.values, rtol=1e-4)
        assert result.metric.target is not None
        assert result.metric.target.token == ENDS[1]
        assert result.baseline == pytest.approx(expected.values[1], rel=1e-4)
    for wrong, said in (
        (one_by_one[:2], "there is one"),
        ([*one_by_one, "--choice", "a\nb"], "one line"),
        ([*one_by_one, "--choices", "ends.txt"], "Use one"),
        ([*one_by_one, "--text-pair", "Rome"], "both give second texts"),
        (["--choices", str(tmp_path / "none.txt")], "Cannot read"),
    ):
        assert main([*words, *wrong]) == 2
        assert said in capsys.readouterr().err
