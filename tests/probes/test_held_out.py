"""Numbers of probes on data whose answer is known: a planted direction, noise, groups to memorise."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interpboard.errors import BadParameter
from interpboard.probes.cautions import repeated_shuffles
from interpboard.probes.fits import PROBES, direction_of, fit_probe
from interpboard.probes.folds import grouped_folds, joined_groups, shuffled_labels
from interpboard.probes.held_out import (
    HeldOutTask,
    interval_of,
    p_values,
    read_by_nearest,
    score_of,
)


def planted(rows: int = 120, dimensions: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise with a direction in it; the labels are which side of it a row is on."""
    rng = np.random.default_rng(1)
    direction = rng.normal(size=dimensions)
    direction /= np.linalg.norm(direction)
    labels = np.arange(rows) % 2
    values = 0.5 * rng.normal(size=(rows, dimensions)) + 3 * labels[:, None] * direction
    return values, labels, direction


def task(kind: str, answers: np.ndarray, groups: np.ndarray, folds: int = 4) -> HeldOutTask:
    of_classes = np.zeros(len(answers), int) if kind == "ridge" else answers
    return HeldOutTask(kind, answers, groups, grouped_folds(of_classes, groups, folds, 0), 1.0)


def held_out_score(own: HeldOutTask, values: np.ndarray) -> float:
    base = own.base() if not own.classes else 0.0
    return score_of(own.read(values)[0], own.answers, own.classes, base)


@pytest.mark.parametrize("kind", PROBES)
def test_a_planted_direction_is_found_and_read_of_rows_held_out(kind: str) -> None:
    values, labels, direction = planted()
    found = direction_of(fit_probe(kind, values, labels, 1.0), kind, values, labels)
    assert found @ direction / np.linalg.norm(found) > (0.95 if kind == "mass_mean" else 0.85)
    if kind != "ridge":
        assert found @ direction == pytest.approx(3, rel=0.2)
    assert held_out_score(task(kind, labels, np.arange(len(labels))), values) > 0.85


@pytest.mark.parametrize("kind", PROBES)
def test_of_noise_nothing_is_read_held_out_however_well_it_is_fitted(kind: str) -> None:
    rng = np.random.default_rng(2)
    values, labels = rng.normal(size=(100, 300)), np.arange(100) % 2
    own = task(kind, labels, np.arange(100))
    fitted = fit_probe(kind, values, labels, 1e-6).scores(values)
    if kind == "ridge":
        assert np.abs(fitted[:, 0] - labels).max() < 0.01
        assert held_out_score(own, values) < 0.1
    else:
        assert (fitted.argmax(1) == labels).mean() > 0.9
        null = [held_out_score(own.shuffled(number, 0), values) for number in range(1, 9)]
        assert np.mean([held_out_score(own, values), *null]) == pytest.approx(0.5, abs=0.06)


def test_a_group_that_can_be_memorised_is_never_on_both_sides() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(24), 5)
    labels = rng.permutation(np.arange(24) % 2)[groups]
    values = np.eye(24)[groups] + 0.01 * rng.normal(size=(120, 24))
    assert held_out_score(task("logistic", labels, np.arange(120)), values) == 1.0
    assert held_out_score(task("logistic", labels, groups), values) < 0.75


@pytest.mark.parametrize("kind", PROBES)
def test_what_is_read_of_a_row_does_not_hang_on_the_others_that_are_held_out(kind: str) -> None:
    values, labels, _ = planted()
    own = task(kind, labels, np.arange(len(labels)))
    before, _ = own.read(values)
    spoilt = values.copy()
    others = np.flatnonzero(own.folds == own.folds[0])[1:]
    spoilt[others] *= 1e6
    assert own.read(spoilt)[0][0] == before[0]


def test_logistic_and_ridge_are_those_of_scikit_learn_on_standardised_dimensions() -> None:
    values, labels, _ = planted()
    values = values * np.geomspace(1e-3, 1e3, values.shape[1]) + 7
    fit = fit_probe("logistic", values, labels, 0.5)
    made = make_pipeline(StandardScaler(), LogisticRegression(C=2, max_iter=1000))
    made.fit(values, labels)
    scores = fit.scores(values)
    np.testing.assert_allclose(
        scores[:, 1] - scores[:, 0], made.decision_function(values), rtol=1e-6
    )
    numbers = values[:, 0] * 1e3 + labels
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=0.5)).fit(values, numbers)
    found = fit_probe("ridge", values, numbers, 0.5).scores(values)[:, 0]
    np.testing.assert_allclose(found, ridge.predict(values), rtol=1e-6)


def test_a_dimension_that_never_changes_is_not_blown_up() -> None:
    values, labels, _ = planted()
    values[:, 3] = 1e8
    fit = fit_probe("logistic", values, labels, 1.0)
    assert (fit.weights[:, 3] == 0).all()
    assert np.isfinite(fit.bias).all()


def test_the_mass_mean_probe_is_the_difference_of_means_by_hand() -> None:
    values = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 2.0], [6.0, 2.0]])
    labels = np.array([0, 0, 1, 1])
    fit = fit_probe("mass_mean", values, labels, 1.0)
    assert direction_of(fit, "mass_mean", values, labels).tolist() == [4.0, 2.0]
    way, bias = fit.weights[1] - fit.weights[0], fit.bias[1] - fit.bias[0]
    assert way.tolist() == [4.0, 2.0]
    assert way @ np.array([3.0, 1.0]) + bias == pytest.approx(0)  # half way between the means


def test_balanced_accuracy_is_chance_for_who_always_says_the_larger_class() -> None:
    answers = np.array([0] * 90 + [1] * 10)
    assert score_of(np.zeros(100), answers, 2) == 0.5
    assert score_of(answers.astype(float), answers, 2) == 1.0
    low, high = interval_of(np.zeros(100), answers, np.arange(100), 2, 0.0, 0)
    assert (low, high) == (0.5, 0.5)
    numbers = np.arange(10.0)
    assert score_of(np.full(10, 4.5), numbers, 0, 4.5) == 0.0
    assert score_of(numbers, numbers, 0, 4.5) == 1.0


def test_rows_of_one_group_make_the_interval_wider() -> None:
    rng = np.random.default_rng(4)
    answers = np.repeat(np.arange(20) % 2, 10)
    said = np.where(np.repeat(rng.random(20) < 0.7, 10), answers, 1 - answers).astype(float)
    alone = interval_of(said, answers, np.arange(200), 2, 0.0, 0)
    grouped = interval_of(said, answers, np.repeat(np.arange(20), 10), 2, 0.0, 0)
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_groups_stay_whole_and_every_class_is_trained_on(pairs: list[tuple[int, int]]) -> None:
    classes = np.array([own for own, _ in pairs])
    classes = np.unique(classes, return_inverse=True)[1]
    groups = np.array([group for _, group in pairs])
    try:
        folds = grouped_folds(classes, groups, 3, 0)
    except BadParameter:
        return
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    for fold in np.unique(folds):
        assert set(classes[folds != fold]) == set(classes)


def test_texts_that_are_the_same_join_their_groups_along_a_chain() -> None:
    groups, joined = joined_groups(("a", "a", "b", "c", ""), ("x", "y", "y", "z", "z"))
    assert groups.tolist() == [0, 0, 0, 1, 1]
    assert joined == 1
    alone, none = joined_groups(("", "", ""), ("x", "y", "x"))
    assert (alone.tolist(), none) == ([0, 1, 0], 0)


def test_labels_are_shuffled_as_far_as_groups_allow() -> None:
    groups = np.repeat(np.arange(10), 4)
    of_group = (np.arange(10) % 2)[groups]
    shuffled = shuffled_labels(of_group, groups, 1)
    assert all(len(np.unique(shuffled[groups == group])) == 1 for group in range(10))
    assert (shuffled != of_group).any()
    within = np.tile([0, 0, 1, 1], 10)
    shuffled = shuffled_labels(within, groups, 1)
    assert all(shuffled[groups == group].sum() == 2 for group in range(10))
    assert (shuffled != within).any()
    # One group of two labels does not tear the others apart: chance would read less than it does.
    mixed = np.where(np.arange(40) == 39, 1 - of_group, of_group)
    shuffled = shuffled_labels(mixed, groups, 1)
    assert all(len(np.unique(shuffled[groups == group])) == 1 for group in range(9))
    assert sorted(shuffled[36:]) == sorted(mixed[36:])
    assert (shuffled[:36] != mixed[:36]).any()


def test_rows_that_are_the_same_in_another_way_join_their_groups_too() -> None:
    groups, joined = joined_groups(("", "", "", "g"), ("x", "y", "z", "z"), ("1", "1", "2", "3"))
    assert (groups.tolist(), joined) == ([0, 0, 1, 1], 0)
    groups, joined = joined_groups(("a", "b", "c"), ("x", "y", "z"), (1, 1, 2))
    assert (groups.tolist(), joined) == ([0, 0, 1], 1)


@pytest.mark.parametrize("named", [True, False])
def test_rows_of_one_text_are_joined_in_a_few_steps_each(named: bool) -> None:
    def steps(rows: int) -> int:
        calls: list[str] = []
        sys.setprofile(lambda _frame, event, _arg: calls.append(event))
        try:
            found, _ = joined_groups([str(row) if named else "" for row in range(rows)], "a" * rows)
        finally:
            sys.setprofile(None)
        assert set(found) == {0}
        return len(calls)

    assert steps(400) < 3 * steps(200)


def test_a_shuffle_leaves_each_label_in_as_many_groups_so_that_it_can_be_held_out() -> None:
    labels, groups = np.array([0, 0, 1, 0, 1, 0, 1]), np.array([0, 0, 0, 1, 2, 3, 3])
    changed = set()
    for seed in range(50):
        shuffled = shuffled_labels(labels, groups, seed)
        changed.add(tuple(shuffled.tolist()))
        for label in (0, 1):
            there = [set(groups[own == label]) for own in (labels, shuffled)]
            assert len(there[0]) == len(there[1])
        assert sorted(shuffled) == sorted(labels)
        grouped_folds(shuffled, groups, 2, 0)
    assert len(changed) > 4
    # One row that is labelled otherwise does not make the rows of all other groups independent.
    groups, labels = np.repeat(np.arange(8), 6), np.repeat(np.arange(8) % 2, 6)
    labels[0] = 1
    shuffled = shuffled_labels(labels, groups, 1)
    assert [len(np.unique(shuffled[groups == group])) for group in range(8)] == [2] + [1] * 7


def test_chance_that_reads_as_well_is_counted_with_the_labels_as_they_are() -> None:
    observed = np.array([[0.9, 0.5]])
    null = np.array([[[0.5, 0.6]], [[0.4, 0.7]], [[0.95, 0.3]]])
    own, family = p_values(observed, null)
    assert own.tolist() == [[0.5, 0.75]]
    assert family.tolist() == [[0.5, 1.0]]


def test_a_shuffle_that_cannot_be_read_is_none_that_reads_less() -> None:
    null = np.array([[np.nan], [0.95], [np.nan], [0.4]])
    own, family = p_values(np.array([0.9]), null)
    assert own.tolist() == family.tolist() == [2 / 3]
    # The best of all cells is never less likely than one of them, of which fewer shuffles are known.
    own, family = p_values(
        np.array([0.9, 0.5]), np.array([[np.nan, 0.4], [0.8, 0.3], [np.nan, 0.2]])
    )
    assert own.tolist() == [1 / 2, 1 / 4]
    assert family.tolist() == [1 / 2, 1 / 2]


def test_one_number_alone_is_read_from_the_nearest_rows_of_other_folds() -> None:
    measure = np.array([1.0, 1, 5, 5, 1, 5])
    answers, folds = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 0, 1])
    assert read_by_nearest(measure, answers, folds, 2).tolist() == answers.tolist()


def of_numbers(answers: np.ndarray, groups: np.ndarray) -> HeldOutTask:
    folds = grouped_folds(np.zeros(len(answers), int), groups, 2, 0)
    return HeldOutTask("ridge", answers, groups, folds, 1.0)


def test_numbers_that_all_differ_are_shuffled_and_not_said_to_stay_as_they_are() -> None:
    rng = np.random.default_rng(5)
    answers = rng.normal(size=30)
    task = of_numbers(answers, np.arange(30))
    assert repeated_shuffles(task, [task.shuffled(number, 0) for number in range(20)]) == []
    # Two groups can only exchange theirs: what is read is read as well, the other way round.
    two = of_numbers(np.repeat([1.5, 4.0], 15), np.repeat([0, 1], 15))
    (said,) = repeated_shuffles(two, [two.shuffled(number, 0) for number in range(20)])
    assert said.startswith("20 of 20 shuffles")
    assert "no p is below 1;" in said
    values = np.column_stack([two.answers + rng.normal(size=30), rng.normal(size=30)])
    scores = {
        round(score_of(own.read(values)[0], own.answers, 0, own.base()), 9)
        for own in (two, *(two.shuffled(number, 0) for number in range(20)))
    }
    assert len(scores) == 1
