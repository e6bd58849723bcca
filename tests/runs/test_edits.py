"""Edits made together are the edits made one after another."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.runs.edits import Edit, apply_edits

ROWS, LENGTH, HEADS, WIDTH = 4, 5, 3, 2


def one_by_one(activation: torch.Tensor, rows: list[tuple[int, Edit]], first: int) -> torch.Tensor:
    """Position by position, as the docstring of ``Edit`` has it."""
    edited = activation.clone()
    stop = first + activation.shape[1]
    for row, edit in rows:
        positions = range(stop) if edit.positions is None else edit.positions
        for i, position in enumerate(positions):
            if not first <= position < stop:
                continue
            at = (row, position - first, *([] if edit.head is None else [edit.head]))
            if edit.kind == "zero":
                edited[at] = 0
                continue
            assert edit.value is not None
            by_position = edit.value.dim() == (2 if edit.head is not None else 3)
            value = edit.value[i if len(edit.value) > 1 else 0] if by_position else edit.value
            edited[at] = value if edit.kind == "patch" else edited[at] + value
    return edited


@st.composite
def edits(draw: st.DrawFn) -> tuple[int, Edit]:
    head = draw(st.none() | st.integers(0, HEADS - 1))
    some = draw(st.none() | st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True))
    kind = draw(st.sampled_from(["zero", "patch", "add"]))
    part = (WIDTH,) if head is not None else (HEADS, WIDTH)
    each = draw(st.sampled_from(["one", "every", "bare"]))
    length = 1 if each == "one" else len(some) if some is not None else 8
    shape = part if each == "bare" else (length, *part)
    numbers = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    value = None if kind == "zero" else torch.randn(shape, generator=numbers)
    positions = None if some is None else tuple(some)
    return draw(st.integers(0, ROWS - 1)), Edit("z", 0, kind, head, positions, value)


@settings(max_examples=150, deadline=None)
@given(st.lists(edits(), max_size=8), st.integers(0, 3))
def test_any_edits_of_any_rows(rows: list[tuple[int, Edit]], first: int) -> None:
    activation = torch.arange(ROWS * LENGTH * HEADS * WIDTH, dtype=torch.float64)
    activation = activation.reshape(ROWS, LENGTH, HEADS, WIDTH)
    before = activation.clone()
    together = apply_edits(activation, rows, first)
    assert torch.equal(together, one_by_one(activation, rows, first))
    assert torch.equal(activation, before), "the activation itself is left alone"
