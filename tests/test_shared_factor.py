"""Numbers that stand side by side share a factor: small ones are read as well as large ones."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.results import Axis, Result, layer_axis, token_axis
from interpboard.visualization import export
from interpboard.visualization.numbers import divided, exponent_of, times
from interpboard.visualization.terminal import render
from tests import sample

HEADS = (layer_axis(3), Axis("head", ("0", "1", "2", "3")))
SHAPES = {
    "grid": (HEADS, np.linspace(-4.2, 2.9, 12).reshape(3, 4), "head_ablation"),
    "strip": ((token_axis(sample.TOKENS),), np.linspace(-4.2, 2.9, 9), "grad_x_input"),
    "bars": ((Axis("component", tuple("abcdefghi")),), np.linspace(-4.2, 2.9, 9), "made_up"),
}
VIEWS = {
    "text": lambda document: render(document, 100),
    "markdown": export.markdown,
    "html": export.html,
}


def small(shape: str, unit: float) -> Result:
    axes, values, analysis = SHAPES[shape]
    return sample.result(analysis, axes, values * unit)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9))
def test_the_largest_is_written_between_one_and_ten_or_as_it_is(values: list[float]) -> None:
    array = np.array(values)
    exponent, largest = exponent_of(array), float(np.abs(array).max())
    written = float(np.abs(divided(array, exponent)).max())
    if largest == 0 or largest > 1e-290:  # below that no power of ten divides it
        assert (0.99 <= written <= 10.01) if exponent else (written == largest)
    np.testing.assert_allclose(
        divided(array, exponent) * 10.0**exponent, array, atol=1e-12 * largest
    )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_small_numbers_are_written_with_a_factor_in_every_view(shape: str, view: str) -> None:
    if (shape, view) == ("bars", "html"):
        pytest.skip("bars of the page have their own numbers, each with four digits")
    plain = VIEWS[view](sample.document(small(shape, 1.0)))
    tiny = VIEWS[view](sample.document(small(shape, 1e-8)))
    assert "×10⁻⁸" in tiny
    assert "×10" not in plain
    found = [set(re.findall(r"[-+]\d\.\d+(?!\d*e)", text)) for text in (plain, tiny)]
    assert len(found[0]) > 5
    # Bars round to seven characters, tables to four digits: what is written is the same in both.
    assert len(found[0] & found[1]) > 5


@pytest.mark.parametrize("shape", ["grid", "strip"])
def test_the_ends_of_the_scale_are_written_as_the_numbers_are(shape: str) -> None:
    text = render(sample.document(small(shape, 1e-8)), 100)
    assert re.search(r"scale  -4\.2  0  \+4\.2  ×10⁻⁸", text)
    ascii_text = render(sample.document(small(shape, 1e-8)), 100, ascii_only=True)
    assert re.search(r"scale  -4\.2  0  \+4\.2  x1e-8", ascii_text)
    assert "numbers x1e-8" in ascii_text


def test_json_and_csv_stay_exact() -> None:
    result = small("grid", 1e-8)
    document = sample.document(result)
    np.testing.assert_array_equal(
        type(document).from_json(export.json_text(document)).results[0].values, result.values
    )
    assert repr(float(result.values[0, 0])) in export.csv_text(document)
    assert "×" not in export.csv_text(document)


def test_shares_of_one_have_no_factor() -> None:
    result = sample.result("attention_rollout", (token_axis(sample.TOKENS),), np.full(9, 0.004))
    for view in VIEWS.values():
        assert "×10" not in view(sample.document(result))


def test_no_grid_writes_a_zero_that_is_none() -> None:
    values = SHAPES["grid"][1].copy()
    values[0] *= 1e-9
    text = render(sample.document(sample.result("head_ablation", HEADS, values)), 40)
    grid = text.split("numbers")[-1].split("strongest")[0]
    assert not re.search(r"[-+]0(?![.\d])", grid)


@pytest.mark.parametrize(
    ("exponent", "unicode", "letters"),
    [(-8, "×10⁻⁸", "x1e-8"), (12, "×10¹²", "x1e12"), (0, "", "")],
)
def test_the_factor_in_words(exponent: int, unicode: str, letters: str) -> None:
    assert times(exponent) == unicode
    assert times(exponent, ascii_only=True) == letters
