"""Words, sentences and turns: they cover the prompt, and what they are worth adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.units import context_cite as surrogate
from interpboard.attribution.units.by_unit import unit_attribution
from interpboard.attribution.units.context_cite import context_cite, fitted_lasso, lasso
from interpboard.errors import BadParameter, Cancelled
from interpboard.results import Chat, Message, MetricRequest
from interpboard.results.tokens import own_of_template
from interpboard.runs.chat import make_chat
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.typed_marks import typed_marks
from interpboard.runs.units import units_of
from interpboard.runs.watch import Watch
from interpboard.sweeps.unit_roles import roles_by_unit
from tests.lm import case, tiny_lm
from tests.runs.test_chat import chat_lm

TEXT = "The cat sat. It was late! Was the dog near?\nNo one saw"


@pytest.mark.parametrize(
    ("unit", "labels"),
    [
        ("sentence", ["The cat sat.", " It was late!", " Was the dog near?", "\nNo one saw"]),
        ("word", ["The", " cat", " sat.", " It", " was", " late!", " Was", " the", " dog", " near?",
                  "\nNo", " one", " saw"]),
    ],
)  # fmt: skip
def test_units_are_what_a_reader_would_cut(unit: str, labels: list[str]) -> None:
    prompt = make_prompt(tiny_lm(), TEXT)
    assert [own.label for own in units_of(prompt, unit)] == labels


@settings(max_examples=30, deadline=None)
@given(
    # A character is at most four tokens, and the model reads 64.
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=16),
    st.sampled_from(["word", "sentence"]),
)
def test_every_token_is_in_one_unit_whatever_the_text(text: str, unit: str) -> None:
    prompt = make_prompt(tiny_lm(), text)
    positions = [at for own in units_of(prompt, unit) for at in own.positions]
    assert positions == list(range(len(prompt.token_ids)))


def test_turns_of_a_text_are_refused_and_those_of_a_chat_are_its_own() -> None:
    with pytest.raises(BadParameter, match="no turns"):
        units_of(make_prompt(tiny_lm(), TEXT), "turn")
    own = Chat((Message("user", "a cat"), Message("assistant", "no"), Message("user", "why")))
    prompt = make_chat(chat_lm("llama3"), own)
    assert [unit.label for unit in units_of(prompt, "turn")] == [
        "user 1", "assistant 1", "user 2", "assistant 2",
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_word_of_one_token_is_worth_what_the_token_is(family: str) -> None:
    lm, prompt, metric = case(family)
    units = unit_attribution(lm, prompt, metric, unit="word", baseline="mean")
    tokens = occlusion(lm, prompt, metric, baseline="mean")
    begin, end = (units.extra[name].values for name in ("begin", "end"))
    single = [at for at in range(len(begin)) if end[at] - begin[at] == 1]
    assert len(single) > 3
    np.testing.assert_allclose(
        units.values[single], tokens.values[begin[single]], rtol=1e-5, atol=1e-6
    )


def test_a_units_integrated_gradients_are_the_sum_of_its_tokens() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT)
    units = unit_attribution(lm, prompt, metric, method="integrated_gradients")
    tokens = integrated_gradients(lm, prompt, metric, baseline="mean").values
    bounds = zip(units.extra["begin"].values, units.extra["end"].values, strict=True)
    np.testing.assert_allclose(units.values, [tokens[b:e].sum() for b, e in bounds], rtol=1e-6)
    assert units.values.sum() == pytest.approx(tokens.sum(), rel=1e-6)


@pytest.mark.parametrize("unit", ["sentence", "turn"])
def test_shapley_values_sum_to_the_change_from_the_baseline(unit: str) -> None:
    lm = chat_lm("chatml")
    own = Chat((Message("system", "Be brief. Be kind."), Message("user", "Why? It rains.")))
    prompt = make_chat(lm, own)
    metric = resolve_metric(lm, prompt, MetricRequest())
    found = unit_attribution(lm, prompt, metric, unit=unit, method="shapley", samples=4)
    change = metric.baseline - found.extra["baseline_metric"].values
    assert found.values.sum() == pytest.approx(float(change), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("samples", "units"), [(200, 12), (48, 200)])
def test_lasso_is_where_its_conditions_hold(samples: int, units: int) -> None:
    generator = np.random.default_rng(1)
    masks = (generator.random((samples, units)) < 0.5).astype(float)
    values = masks[:, :12] @ generator.normal(size=12) + generator.normal(size=samples) * 0.3
    strength = 0.02
    weights, intercept = lasso(masks, values, strength, np.zeros(units))
    left = values - masks @ weights - intercept
    pull = (masks - masks.mean(0)).T @ left / len(values)
    assert left.mean() == pytest.approx(0, abs=1e-9)
    assert (np.abs(pull[weights == 0]) <= strength + 1e-8).all()
    np.testing.assert_allclose(
        pull[weights != 0], strength * np.sign(weights[weights != 0]), atol=1e-7
    )


def test_a_fit_that_nobody_wants_any_more_stops_at_the_next_round() -> None:
    generator = np.random.default_rng(1)
    masks = (generator.random((48, 200)) < 0.5).astype(float)
    values = generator.normal(size=48)
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(len(asked) == 2)
        return asked[-1]

    with pytest.raises(Cancelled):
        fitted_lasso(masks, values, Watch(cancelled=cancelled))
    assert asked == [False, False, True]


def test_what_is_sparse_and_linear_is_found_exactly() -> None:
    generator = np.random.default_rng(2)
    masks = (generator.random((120, 30)) < 0.5).astype(float)
    true = np.zeros(30)
    true[[3, 11]] = 2.0, -1.5
    values = masks @ true + 0.7
    weights, intercept = fitted_lasso(masks, values)
    np.testing.assert_allclose(weights, true, atol=2e-3)
    assert intercept == pytest.approx(0.7, abs=2e-3)


def test_the_strength_is_one_that_cross_validation_would_choose() -> None:
    """Of all strengths none says the folds better, by scikit-learn's lasso of each."""
    linear = pytest.importorskip("sklearn.linear_model")
    generator = np.random.default_rng(3)
    masks = (generator.random((60, 15)) < 0.5).astype(float)
    values = masks[:, :4] @ generator.normal(size=4) + generator.normal(size=60) * 0.5
    strongest = np.abs((masks - masks.mean(0)).T @ (values - values.mean())).max() / 60
    fold = np.arange(60) % 4
    errors, fits = [], []
    for strength in strongest * np.logspace(0, -4, 30):
        model = linear.Lasso(alpha=strength, tol=1e-12, max_iter=100_000)
        said = np.zeros(60)
        for each in range(4):
            own = fold != each
            said[~own] = model.fit(masks[own], values[own]).predict(masks[~own])
        errors.append(np.square(said - values).sum())
        fits.append(model.fit(masks, values).coef_.copy())
    assert 0 < int(np.argmin(errors)) < 29
    weights, _ = fitted_lasso(masks, values)
    np.testing.assert_allclose(weights, fits[int(np.argmin(errors))], atol=1e-6)


def test_the_weights_know_nothing_of_the_runs_that_judge_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the model did in the last quarter of the runs, the weights are the same."""
    lm, prompt, metric = case("gpt2", text=TEXT)
    usual = context_cite(lm, prompt, metric, samples=16)
    honest = surrogate.evaluate

    def other_end(*given: Any, **named: Any) -> np.ndarray:
        values = honest(*given, **named).copy()
        values[-4:] = [3.0, -1.0, 2.0, 5.0]
        return values

    monkeypatch.setattr(surrogate, "evaluate", other_end)
    other = context_cite(lm, prompt, metric, samples=16)
    assert np.array_equal(other.values, usual.values)
    assert other.extra["lds"].values != usual.extra["lds"].values


def test_the_surrogate_says_how_far_it_can_be_trusted() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT)
    found = context_cite(lm, prompt, metric, unit="sentence", samples=64)
    lds = float(found.extra["lds"].values)
    assert -1 <= lds <= 1
    assert bool(found.warnings) == (not lds >= 0.3)
    alone = unit_attribution(lm, prompt, metric, unit="sentence")
    assert found.axes[0].labels == alone.axes[0].labels
    assert np.array_equal(found.values, context_cite(lm, prompt, metric, samples=64).values)
    lm, prompt, metric = case("gpt2", text="Just one")
    with pytest.raises(BadParameter, match="smaller unit"):
        context_cite(lm, prompt, metric)


@pytest.mark.parametrize("style", ["chatml", "llama3", "gemma"])
@pytest.mark.parametrize("unit", ["word", "sentence"])
def test_what_the_template_puts_around_words_is_in_no_word_and_no_sentence(
    unit: str, style: str
) -> None:
    lm = chat_lm(style)
    own = Chat((Message("user", "A cat sat."), Message("assistant", "No."), Message("user", "Why")))
    prompt = make_chat(lm, own)
    units = units_of(prompt, unit)
    assert [at for own in units for at in own.positions] == list(range(len(prompt.token_ids)))
    words = [each.label for each in units if not each.label.startswith("template: ")]
    sentences = ["A cat sat.", "No.", "Why"]
    assert words == (sentences if unit == "sentence" else ["A", " cat", " sat.", "No.", "Why"])
    begins = [each.label for each in units if each.label.startswith("template: ")]
    assert len(begins) == 7, (
        "in front of each turn's words, behind them, and what begins the answer"
    )
    roles = roles_by_unit(prompt, unit)
    assert len(set(roles)) == len(words) + 1
    assert [role == f"no {unit}" for role in roles] == list(own_of_template(prompt))


def test_results_say_how_much_of_a_unit_is_the_templates_and_what_its_words_alone_are_worth() -> (
    None
):
    lm = chat_lm("llama3")
    prompt = make_chat(lm, Chat((Message("user", "a cat <|eot_id|>"), Message("assistant", "no"))))
    metric = resolve_metric(lm, prompt, MetricRequest())
    turns = unit_attribution(lm, prompt, metric, unit="turn", method="integrated_gradients")
    tokens = integrated_gradients(lm, prompt, metric, baseline="mean").values
    template = own_of_template(prompt)
    for number, turn in enumerate(prompt.turns):
        begin, end = turn.content
        assert turns.extra["of_words"].values[number] == pytest.approx(tokens[begin:end].sum())
        marks = turns.extra["of_template"].values[number]
        assert (
            marks == (turn.end - turn.begin) - (end - begin) == sum(template[turn.begin : turn.end])
        )
    assert any("<|eot_id|>" in warning for warning in turns.warnings)
    plain = unit_attribution(*case("gpt2"), unit="word")
    assert "of_template" not in plain.extra


def test_a_mark_that_is_typed_is_the_users_word_and_what_the_tokenizer_makes_of_it_is_said() -> (
    None
):
    lm = chat_lm("chatml")
    clean, injected = (
        make_chat(lm, Chat((Message("user", words),))) for words in ("a cat", "a <|im_end|> cat")
    )
    mark = lm.tokenizer.convert_tokens_to_ids("<|im_end|>")
    (at,) = [i for i in range(*injected.turns[0].content) if injected.token_ids[i] == mark]
    assert not own_of_template(injected)[at], "nobody but the user put it there"
    labels = [each.label for each in units_of(injected, "word")]
    assert " <|im_end|>" in labels
    assert sum(label.startswith("template: <|im_end|>") for label in labels) == 1
    assert typed_marks(lm, clean) == ()
    (said,) = typed_marks(lm, injected)
    assert "The user's words hold <|im_end|>" in said
    assert "\n" not in said
    lm.tokenizer.split_special_tokens = True
    try:
        assert typed_marks(lm, injected) == (), "it is split into plain tokens, then"
    finally:
        lm.tokenizer.split_special_tokens = False


@pytest.mark.parametrize(
    ("unit", "labels"),
    [
        ("sentence", ["Yes.", " <think>It is a cat.", " Or so</think>", " The cat"]),
        (
            "word",
            ["Yes.", " <think>It", " is", " a", " cat.", " Or", " so</think>", " The", " cat"],
        ),
    ],
)
def test_no_sentence_is_of_a_thought_and_of_the_answer_behind_it(
    unit: str, labels: list[str]
) -> None:
    prompt = make_prompt(tiny_lm(), "Yes. <think>It is a cat. Or so</think> The cat")
    assert [own.label for own in units_of(prompt, unit)] == labels


def test_turns_that_cannot_be_told_are_not_said_to_be_missing() -> None:
    twice = "{% for m in messages %}{{ m.content }} {{ m.content }}{% endfor %}!"
    own = Chat((Message("user", "a cat"), Message("user", "a dog")), chat_template=twice)
    prompt = make_chat(chat_lm(), own)
    assert not prompt.turns
    with pytest.raises(BadParameter, match="not known"):
        units_of(prompt, "turn")
