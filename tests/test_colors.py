"""One scale: its levels, its contrast, and numbers whose sign is never lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.visualization.colors import (
    DARK,
    LIGHT,
    MIDDLE,
    Scale,
    relative_luminance,
    short_number,
    text_on,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, st.floats(1e-3, 1e6))
def test_opposite_values_have_opposite_levels(value: float, limit: float) -> None:
    scale = Scale(limit)
    assert scale.level(value) - MIDDLE == MIDDLE - scale.level(-value)


@given(finite, finite, st.floats(1e-3, 1e6), st.booleans())
def test_a_larger_value_never_has_a_lower_level(
    a: float, b: float, limit: float, diverging: bool
) -> None:
    scale = Scale(limit, diverging)
    low, high = sorted((a, b))
    assert 0 <= scale.level(low) <= scale.level(high) < len(DARK)


def test_the_ends_of_the_scale_are_reached_and_zero_is_neutral() -> None:
    scale = Scale.of(np.array([-2.0, 1.0, np.nan]), diverging=True)
    assert [scale.level(v) for v in (-2, 0, 2, math.inf, -math.inf, math.nan)] == [0, 4, 8, 8, 0, 4]


def test_probabilities_use_one_arm_and_end_at_one() -> None:
    scale = Scale.of(np.array([0.1, 0.2]), diverging=False)
    assert scale.limit == 1.0
    assert [scale.level(v) for v in (0.0, 0.5, 1.0)] == [4, 6, 8]


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.nan], [math.inf]])
def test_a_scale_without_anything_to_measure_still_works(values: list[float]) -> None:
    scale = Scale.of(np.array(values), diverging=True)
    assert scale.limit > 0
    assert scale.level(0.0) == MIDDLE


@pytest.mark.parametrize("color", [*DARK, *LIGHT])
def test_text_on_every_colour_has_a_contrast_of_at_least_4_5(color: str) -> None:
    a, b = sorted((relative_luminance(color), relative_luminance(text_on(color))))
    assert (b + 0.05) / (a + 0.05) >= 4.5


@pytest.mark.parametrize("color", [*DARK, *LIGHT])
def test_every_colour_is_an_entry_of_the_256_colour_table(color: str) -> None:
    steps = (0, 95, 135, 175, 215, 255)
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    grey = red == green == blue and (red - 8) % 10 == 0
    assert grey or {red, green, blue} <= set(steps)


@given(finite, st.integers(1, 12))
def test_a_short_number_fits_and_keeps_its_sign(value: float, width: int) -> None:
    shown = short_number(value, width)
    assert len(shown) <= max(width, 1)
    assert shown == "0" if value == 0 else shown[0] == ("-" if value < 0 else "+")


@given(st.floats(-999, 999), st.integers(5, 10))
def test_a_short_number_is_the_number_to_the_digits_shown(value: float, width: int) -> None:
    shown = short_number(value, width)
    if "e" in shown:  # too small for its digits: one digit and its power of ten
        assert float(shown) == pytest.approx(value, rel=0.5)
        return
    if shown in "+-":
        assert 0 < abs(value) < 1e-3
        return
    digits = len(shown.partition(".")[2])
    assert abs(float(shown) - value) <= 0.5000001 * 10.0**-digits


@given(finite, st.integers(1, 8))
def test_only_zero_is_written_as_zero(value: float, width: int) -> None:
    assert (
        short_number(value, width).strip("+-0.") == "" and "0" in short_number(value, width)
    ) == (value == 0)


@pytest.mark.parametrize("center", [0.0, 1.0, -3.0])
def test_an_end_of_a_scale_that_is_only_rounding_is_zero(center: float) -> None:
    limit = np.float64(np.float32(abs(center) or 1.0) * np.float32(1 + 8e-8))
    low, high = Scale(float(limit), center=center).ends
    near = {end for end in (low, high) if abs(end) < 0.01}
    assert near <= {0.0}
    assert max(abs(low), abs(high)) >= abs(center)


@pytest.mark.parametrize(
    ("value", "width", "shown"),
    [
        (-0.42, 4, "-.42"),
        (0.42, 3, "+.4"),
        (12.34, 4, "+12"),
        (12.34, 6, "+12.34"),
        (1000.0, 3, "+1k"),
        (-2_500_000.0, 4, "-2M"),
        (0.0004, 3, "+"),
        (-0.0004, 3, "-"),
        (4.2e-8, 4, "+"),
        (-4.2e-8, 5, "-4e-8"),
        (4.2e-12, 6, "+4e-12"),
        (0.0, 3, "0"),
        (-0.0, 3, "0"),
        (math.nan, 3, "·"),
        (-3.0, 1, "-"),
        (123456.0, 2, "+>"),
        (math.inf, 4, "+inf"),
        (0.999, 3, "+1"),
    ],
)
def test_short_numbers_by_hand(value: float, width: int, shown: str) -> None:
    assert short_number(value, width) == shown
