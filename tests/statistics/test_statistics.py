"""Means with intervals and tests of them, against numpy, exact enumeration and known cases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from interpboard.statistics import means
from interpboard.statistics.means import ENOUGH_ROWS, bootstrap_interval, too_few_rows
from interpboard.statistics.significance import (
    permutation_p_values,
    sign_flip_p_values,
    smallest_p_value,
)

RNG = np.random.default_rng(5)


def test_a_row_without_a_cell_is_not_counted_for_it() -> None:
    values = np.array([[1.0, np.nan, np.nan], [2.0, 4.0, np.nan], [6.0, -2.0, np.nan]])
    assert means.known(values).tolist() == [3, 2, 0]
    np.testing.assert_allclose(means.mean_of(values), [3.0, 1.0, np.nan])
    np.testing.assert_allclose(means.median_of(values), [2.0, 1.0, np.nan])
    spread = [np.std([1, 2, 6], ddof=1) / np.sqrt(3), np.std([4, -2], ddof=1) / np.sqrt(2), np.nan]
    np.testing.assert_allclose(means.error_of_mean(values), spread)
    np.testing.assert_allclose(means.same_sign(values), [1.0, 0.5, np.nan])


def test_the_side_of_the_neutral_value_is_what_agrees() -> None:
    values = np.array([[0.5], [0.9], [1.5], [0.2]])
    assert means.same_sign(values, 1.0) == [0.75]


def test_the_interval_of_whole_draws_is_that_of_drawn_means() -> None:
    values = RNG.normal(size=(40, 3))
    low, high = bootstrap_interval(values, 0.9, 500, seed=2)
    drawn = np.random.default_rng(2).multinomial(40, np.full(40, 1 / 40), size=500)
    expected = np.percentile(drawn @ values / 40, [5, 95], axis=0)
    np.testing.assert_allclose([low, high], expected)


@pytest.mark.parametrize("rows", [300, 12_000], ids=["whole draws", "Poisson draws"])
def test_the_interval_is_that_of_the_normal_law_where_it_holds(rows: int) -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, size=(rows, 2))
    low, high = bootstrap_interval(values, 0.95, 4000, seed=1)
    half = 1.96 * means.error_of_mean(values)
    np.testing.assert_allclose((high - low) / 2, half, rtol=0.06)
    np.testing.assert_allclose((high + low) / 2, means.mean_of(values), atol=0.1 * half.max())


def test_gaps_have_the_interval_of_the_rows_that_are_there() -> None:
    values = np.full((60, 2), np.nan)
    values[:, 0] = RNG.normal(size=60)
    values[::2, 1] = values[::2, 0]
    low, high = bootstrap_interval(values, 0.95, 3000, seed=0)
    alone = bootstrap_interval(values[::2, :1], 0.95, 3000, seed=0)
    np.testing.assert_allclose([low[1], high[1]], np.ravel(alone), atol=0.08)


def test_one_row_has_no_interval() -> None:
    assert np.isnan(bootstrap_interval(np.ones((1, 2)), 0.95, 10, 0)).all()


def test_two_groups_are_told_apart_as_often_as_chance_would() -> None:
    one, other = np.array([[3.0], [4.0], [5.0]]), np.array([[0.0], [1.0], [2.0]])
    both = np.concatenate([one, other])[:, 0]
    seen = abs(one.mean() - other.mean())
    every = [
        abs(both[list(own)].mean() - np.delete(both, list(own)).mean())
        for own in combinations(range(6), 3)
    ]
    exact = np.mean([value >= seen - 1e-9 for value in every])  # 2 of 20
    own, family = permutation_p_values(one, other, 20_000, seed=0)
    assert own[0] == pytest.approx(exact, abs=0.01)
    assert family[0] == own[0]


def test_the_family_is_never_surer_than_the_cell() -> None:
    one, other = RNG.normal(size=(20, 30)), RNG.normal(size=(25, 30))
    one[:, 3] += 3
    own, family = permutation_p_values(one, other, 500, seed=1)
    assert (family >= own).all()
    assert family[3] == pytest.approx(1 / 500)
    assert (np.delete(family, 3) > 0.05).all()


def test_a_gap_is_not_tested() -> None:
    one, other = np.ones((3, 2)), np.zeros((3, 2))
    one[0, 1] = np.nan
    own, family = permutation_p_values(one, other, 50, seed=0)
    assert np.isnan([own[1], family[1]]).all()
    assert np.isfinite([own[0], family[0]]).all()


def test_the_smallest_p_value_is_one_over_the_ways_to_part_the_rows() -> None:
    for one, other in ((1, 36), (2, 2), (3, 3), (2, 5)):
        parted = list(combinations(range(one + other), one))
        rows = (
            np.arange(one + other, dtype=float) ** 3
        )  # no two ways have one difference but the opposite
        sizes = [abs(rows[list(own)].mean() - np.delete(rows, own).mean()) for own in parted]
        as_large = sum(size >= max(sizes) - 1e-9 for size in sizes)
        assert smallest_p_value(one, other) == pytest.approx(as_large / len(parted))
    assert smallest_p_value(50_000, 50_000) == 0


def test_signs_drawn_in_blocks_are_those_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = RNG.normal(0.3, 1.0, size=(40, 5))
    whole = sign_flip_p_values(effects, 300, seed=4)
    monkeypatch.setattr("interpboard.statistics.significance._SIGNS_A_STEP", 40 * 7)
    np.testing.assert_array_equal(sign_flip_p_values(effects, 300, seed=4), whole)


def test_an_interval_of_few_rows_is_narrower_than_it_says() -> None:
    def held(rows: int) -> float:
        low, high = bootstrap_interval(RNG.normal(size=(rows, 4_000)), 0.95, 1_000, seed=0)
        return float(((low <= 0) & (high >= 0)).mean())

    assert held(2) == pytest.approx(0.5, abs=0.03)  # it ends at the two
    assert held(ENOUGH_ROWS) == pytest.approx(0.9, abs=0.02)


def test_of_few_rows_a_warning_says_how_many_they_are() -> None:
    assert "3 rows" in too_few_rows(np.array([ENOUGH_ROWS, 5, 3]))
    assert not too_few_rows(np.array([0, 1, ENOUGH_ROWS]))  # one row has no interval
