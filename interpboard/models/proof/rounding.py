"""Are two activations the same up to rounding? Judged at each position and dimension by what is there.

A residual stream has dimensions of 300 beside others of 1, a first position a hundred times as large as
the rest, logits of −1e9 for padded rows of the vocabulary. One tolerance for all of it, made of the
largest number, would let anything pass beside them; a fixed one would fail a healthy model in bfloat16.
So every number is held to the largest of three sizes: its own, what its dimension usually has, and what
its position usually has (medians: an outlier does not move them). Rounding of a sum is of the size of
its parts, and those are of these sizes. Logits are also held to a fraction of the size of their own
parts (``Noise.parts``): where almost all of them cancel to nothing, so do their medians.

What goes through many layers rounds in each. How much that comes to is measured on the model itself:
the same run with every layer's input off by half a unit in its last place (``Noise``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

# The largest difference allowed, in that size. float32: a product over 10,000 numbers rounds to 1e-6,
# and a few in a row, with sums that cancel, to ten times that. bfloat16 and float16 round to 4e-3 and
# 5e-4 at each step. float64: some families compute attention in float32 whatever they are asked for.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 5e-5, torch.bfloat16: 0.06, torch.float16: 0.02}
# The root mean square allowed over a position: one product gives each number a last place or two.
_USUAL = {torch.float64: 1e-6, torch.float32: 1e-5, torch.bfloat16: 0.015, torch.float16: 0.004}
# An effect shows something if it is so many times what rounding may do.
_SEEN = 4.0
# A sum of parts that do not cancel has their size; one of a fraction of it is held to that fraction: many
# times what rounding makes of the parts, and nothing that ordinary logits are below.
_OF_PARTS = 1 / 8
# Rounding in another order is another draw of the same noise: its largest entry may be larger.
_DRAWS = 2.0
# Where rounding alone does more than this, agreement would say nothing, so it is not allowed to.
_MOST, _MOST_USUAL = 0.5, 0.12


@dataclass(frozen=True, eq=False)
class Noise:
    """What rounding does on the way through the layers, in the size of the numbers it does it to.

    ``largest`` of all entries; ``usual``: the root mean square over the worst position. ``parts``
    [dimension]: the usual size of the terms that each number is the sum of, where it was measured.
    """

    largest: float = 0.0
    usual: float = 0.0
    parts: torch.Tensor | None = None

    @classmethod
    def between(
        cls, disturbed: torch.Tensor, plain: torch.Tensor, parts: torch.Tensor | None = None
    ) -> Noise:
        """Of two runs [..., pos, dimension] that differ by rounding alone."""
        excess = _excess(disturbed, plain, parts=parts)
        return cls(float(excess.max()), float(_by_position(excess).max()), parts)

    @property
    def elsewhere(self) -> Noise:
        """The same, for other numbers than those whose parts are known."""
        return Noise(self.largest, self.usual)

    def allowed(self, dtype: torch.dtype) -> tuple[float, float]:
        """The largest difference and the largest root mean square over a position that may be rounding."""
        largest = max(TOLERANCE[dtype], min(_MOST, _DRAWS * self.largest))
        return largest, max(_USUAL[dtype], min(_MOST_USUAL, _DRAWS * self.usual))


ONE_STEP = Noise()
"""For what is compared over a step or two of arithmetic."""


def agrees(
    measured: torch.Tensor, expected: torch.Tensor, beside: torch.Tensor | None = None
) -> bool:
    """Whether ``measured`` is ``expected`` [..., pos, dimension] up to the rounding of its format.

    ``beside``: another activation at the same place, [..., dimension], from which the usual sizes are
    taken, too. Numbers that are not finite agree with nothing.
    """
    if measured.shape != expected.shape:
        return False
    if _identical(measured, expected):
        return True
    return bool((_excess(measured, expected, beside) <= TOLERANCE[expected.dtype]).all())


def same_within_rounding(
    measured: torch.Tensor, expected: torch.Tensor, noise: Noise = ONE_STEP
) -> bool:
    """The same, more sharply: also the root mean square at each position is held to what rounding does.

    A small error in every number, as of a head that does a little more than unembed, hides below
    the largest rounding error of one number and not below the mean of all.
    """
    if measured.shape != expected.shape:
        return False
    if _identical(measured, expected):
        return True
    largest, usual = noise.allowed(expected.dtype)
    excess = _excess(measured, expected, parts=noise.parts)
    return bool((excess <= largest).all()) and bool((_by_position(excess) <= usual).all())


def differs(one: torch.Tensor, other: torch.Tensor, noise: Noise = ONE_STEP) -> bool:
    """Whether an effect is well above rounding: what shows none proves nothing."""
    largest, usual = noise.allowed(other.dtype)
    excess = _excess(one, other, parts=noise.parts)
    return bool((excess > _SEEN * largest).any() or (_by_position(excess) > _SEEN * usual).any())


def largest_error(measured: torch.Tensor, expected: torch.Tensor, noise: Noise = ONE_STEP) -> float:
    """The largest difference, in the size of the numbers where it is."""
    return float(_excess(measured, expected, parts=noise.parts).max())


def _identical(measured: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether both are the same finite numbers: most comparisons of a load end here."""
    alike = measured.dtype == expected.dtype and measured.device == expected.device
    return alike and torch.equal(measured, expected) and bool(expected.isfinite().all())


def _excess(
    measured: torch.Tensor,
    expected: torch.Tensor,
    beside: torch.Tensor | None = None,
    parts: torch.Tensor | None = None,
) -> torch.Tensor:
    """|measured − expected| over the size of the numbers there; infinite where one is not finite."""
    size = local_size(expected, beside)
    if parts is not None:
        size = torch.maximum(size, _OF_PARTS * parts.to(size))
    difference = (measured.detach().to(size) - expected.detach().to(size)).abs()
    return (difference / size).nan_to_num(nan=torch.inf)


def _by_position(excess: torch.Tensor) -> torch.Tensor:
    return excess.double().pow(2).mean(-1).sqrt()


def local_size(expected: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
    """The size [..., pos, dimension] that a number there is held to, in float32 or float64.

    Nothing but zeros has the size 1: there it is an absolute tolerance.
    """
    wide = torch.float64 if expected.dtype == torch.float64 else torch.float32
    sizes = expected.detach().to(wide).abs()
    rows = sizes.reshape(-1, sizes.shape[-1]) if sizes.dim() else sizes.reshape(1, 1)
    all_rows = rows
    if beside is not None:
        others = beside.detach().to(rows).abs()
        all_rows = torch.cat([rows, others.reshape(-1, rows.shape[-1])])
    usual = torch.maximum(_usual(all_rows, dim=0), _usual(rows, dim=-1))
    size = torch.maximum(rows, usual)
    if not bool(size.any()):
        size = torch.ones_like(size)
    return size.reshape(sizes.shape).clamp_min(torch.finfo(wide).tiny)


def _usual(sizes: torch.Tensor, dim: int) -> torch.Tensor:
    """The median of the numbers that are not 0, kept in shape; 0 where there are none.

    Where most neurons are off, those that are on have a size all the same.
    """
    if sizes.device.type == "cpu" and sizes.numel() and bool((sizes > 0).all()):
        # The same number, in a fraction of torch's time.
        middle = (sizes.shape[dim] - 1) // 2
        ordered = np.partition(sizes.numpy(), middle, axis=dim)
        return torch.from_numpy(ordered.take([middle], axis=dim))
    found = sizes.masked_fill(sizes == 0, torch.nan).nanmedian(dim=dim, keepdim=True).values
    return found.nan_to_num(nan=0.0)
