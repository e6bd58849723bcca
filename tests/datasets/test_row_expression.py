"""Which rows are meant: a small grammar, and what is wrong with what it does not take."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.datasets.row_expression import row_expression
from interpboard.errors import BadParameter

ROW: dict[str, Any] = {
    "label": "A", "metric": 0.75, "right": True, "text": "Mary (and John) left or stayed", "n": 12,
    "a column": "x", "written": "3.50", "empty": None, "long": 2**53 + 1, "far": str(10**30 + 1),
    "said": "True", "half": 0.1, "whole": "1.0", "name": "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ('label == "A" and metric > 0.5', True),
        ("label=A and metric>0.9", False),
        ("label=B or metric>=0.75", True),
        ("label=B or label=C", False),
        ("not label=B", True),
        ("not (label=A or label=B)", False),
        ("label=B or right=true and n<13", True),
        ("(label=B or right=true) and n<12", False),
        ('text = "Mary (and John) left or stayed"', True),
        ("a column=x and n!=13", True),
        ("written>3", True),
        ("n=12.0", True),
        ("nothing=1", False),
        ("nothing!=1", True),
        ("empty>1", False),
        ("right>0", False),
        ("label='A'", True),
        ("not not label=A", True),
        ("((label=A))", True),
        ("order=first", False),
        ("written=3.5", True),
        ("written!=3.5", False),
        ("written='3.5'", False),
        ('n="12"', True),
        ("whole=1", True),
        ("half=0.1", True),
        (f"long={2**53}", False),
        (f"long={2**53 + 1}", True),
        (f"long>{2**53}", True),
        (f"long<={2**53}", False),
        (f"far={10**30}", False),
        (f"far>{10**30}", True),
        ("said=true", True),
        ("said!=true", False),
        ("said='true'", False),
        ("name=cafe\N{COMBINING ACUTE ACCENT}", True),
    ],
)
def test_an_expression_fits_a_row_or_does_not(text: str, fits: bool) -> None:
    assert row_expression(text).fits(ROW.get) is fits


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.integers(), st.floats(allow_nan=False)), st.integers(-3, 3))
def test_a_number_as_it_is_shown_is_the_row_and_the_next_one_is_not(value: float, by: int) -> None:
    row = {"n": value}.get
    assert row_expression(f"n={value}").fits(row)
    assert not row_expression(f"n<{value}").fits(row)
    if isinstance(value, int):
        assert row_expression(f"n={value + by}").fits(row) is (by == 0)
        assert row_expression(f"n<{value + by}").fits(row) is (by > 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label", "a sign"),
        ("label=", "a value"),
        ("=A", "a column"),
        ("label=A and", "a column"),
        ("(label=A", "a closing bracket"),
        ("label=A) and n=1", "and or or"),
        ('label="A', 'closing "'),
        ("n > many", "compares numbers"),
        ("n > 1_0", "compares numbers"),
        ("n > nan", "compares numbers"),
        ("a and b=3", "a column and its value"),
        ("__import__('os')", "a sign"),
        ("(" * 60 + "n=1" + ")" * 60, "too many brackets"),
        ("n=1 and " * 400 + "n=1", "at most"),
    ],
)
def test_what_says_nothing_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(BadParameter, match=said):
        row_expression(text)


def test_a_column_that_no_row_has_is_refused_where_it_would_leave_out_every_row() -> None:
    wanted = row_expression("lable=A and n>3")
    with pytest.raises(BadParameter, match=r"'lable'.*label, n"):
        wanted.check(["label", "n"])


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=string.ascii_letters[:4] + " =!<>()\"'andort.5-\n\x1b", max_size=40))
def test_any_text_is_an_expression_or_is_refused_in_a_line(text: str) -> None:
    said = ""
    try:
        fits: object = row_expression(text).fits(ROW.get)
    except BadParameter as error:
        fits, said = None, str(error)
    assert isinstance(fits, bool) or (said and said.isprintable())
