"""Which of what layers are called with belongs to a row of a batch, and a row's part of a run of several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from interpboard.models.calls import ALIBI
from interpboard.models.kept_tensors import Kept
from interpboard.runs.record import CLEAN, Run

RowLayout = tuple[dict[str, Any], ...]
"""Of each layer's arguments, by name: how many entries a row has; ``_SHARED``: it is the same for all rows.
Of a tuple, that of each."""
_SHARED = 0


class Misfit(Exception):
    """The rows of a pass are not those of the prompts alone."""


def row_of_run(run: Run, layout: RowLayout, row: int) -> Run:
    """What ``run`` of several prompts has of one of them."""
    one = slice(row, row + 1)

    def kept(value: Kept) -> Kept:
        return Kept(value.tensor[one], value.device)

    calls = tuple(
        replace(
            call,
            hidden=kept(call.hidden),
            arguments={
                name: _cut(value, parts[name], row) for name, value in call.arguments.items()
            },
            keys_values=[],
        )
        for call, parts in zip(run.calls, layout, strict=True)
    )
    return replace(
        run,
        edits=CLEAN,
        calls=calls,
        resid_final=run.resid_final[one],
        sites={site: tuple(v[one] for v in values) for site, values in run.sites.items()},
        attended=tuple(replace(each, z=kept(each.z)) for each in run.attended),
    )


def part_of_a_row(alone: Any, beside: Any, rows: int) -> Any:
    """How many entries of ``beside`` belong to a row, ``alone`` being those of the first; ``_SHARED``: all of
    them to all. Of a tuple, that of each. Raises ``Misfit``."""
    if isinstance(alone, tuple):
        return tuple(part_of_a_row(a, b, rows) for a, b in zip(alone, beside, strict=True))
    if not isinstance(alone, torch.Tensor):
        return _SHARED
    if alone.shape == beside.shape:
        part, first_row = _SHARED, beside
    elif alone.dim() and beside.shape == (rows * len(alone), *alone.shape[1:]):
        part, first_row = len(alone), beside[: len(alone)]
    else:
        raise Misfit
    if not torch.allclose(first_row.double(), alone.double(), rtol=1e-5, atol=1e-6, equal_nan=True):
        raise Misfit
    return part


def _cut(value: Any, part: Any, row: int) -> Any:
    if isinstance(part, tuple):
        return tuple(_cut(v, p, row) for v, p in zip(value, part, strict=True))
    return value if part == _SHARED else value[row * part : (row + 1) * part]


def of_any_row(run: Run, layout: RowLayout) -> RowLayout | None:
    """The arguments of each call of a row of ``run``; None where another row has others."""
    found = []
    for call, parts in zip(run.calls, layout, strict=True):
        rows = [
            {name: _cut(value, parts[name], row) for name, value in call.arguments.items()}
            for row in range(run.batch)
        ]
        if not all(_equal(rows[0], other) for other in rows[1:]):
            return None
        found.append(rows[0])
    return tuple(found)


def of_rows(arguments: dict[str, Any], rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """``arguments`` of one row as those of ``rows`` that have the same, and their layout. All but one are
    given once for any number of rows."""
    layout: dict[str, Any] = dict.fromkeys(arguments, _SHARED)
    if isinstance(arguments.get(ALIBI), torch.Tensor):
        layout[ALIBI] = len(arguments[ALIBI])
        arguments = {**arguments, ALIBI: arguments[ALIBI].repeat(rows, 1, 1)}
    return arguments, layout


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, dict):
        return all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(one == other)
