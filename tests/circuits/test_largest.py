"""The largest of many numbers, found by blocks."""

from __future__ import annotations

import pytest
import torch

from interpboard.circuits.lens.reading import largest
from interpboard.errors import NotFinite
from interpboard.runs.finite import require_logits
from tests.lm import tiny_lm


@pytest.mark.parametrize("size", [7, 1024, 5000, 256 * 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_are_those_of_a_whole_sort_wherever_they_lie(size: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(size)
    for at in (0, size // 2, size - 1):
        values = torch.randn((2, 3, size), generator=generator, dtype=dtype)
        values[:, 1, at] = 9
        values[1, 2] = -torch.arange(size)  # all of the largest in one block
        found, places = largest(values, 5)
        whole = values.sort(dim=-1, descending=True)
        assert torch.equal(found, whole.values[..., :5])
        assert torch.equal(places, whole.indices[..., :5])


def test_of_numbers_that_are_alike_each_is_taken_once() -> None:
    values = torch.zeros(1, 4000)
    values[0, 3000:3003] = 1
    found, places = largest(values, 6)
    assert found.tolist() == [[1, 1, 1, 0, 0, 0]]
    assert len(set(places[0].tolist())) == 6
    assert {3000, 3001, 3002} < set(places[0].tolist())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_one_number_that_is_not_finite_is_seen_among_all(value: float) -> None:
    logits = torch.zeros(3, 420)
    require_logits(tiny_lm(), "It", logits)
    logits[1, 77] = value
    with pytest.raises(NotFinite, match="It is not finite"):
        require_logits(tiny_lm(), "It", logits)
