"""The direct path back through blocks that norm behind their sums: from a layer's output to its parts.

So BERT is built, and BART.

In such a block y = N2(mid + mlp) with mid = N1(x + attention), so whatever a layer adds passes every norm
that follows, of its own layer and of later ones. With the norms' statistics held each is an affine map: along
one direction of the output a part has a gradient of its own, and the norms' biases are constants.

    x ──┬── attention ──(+)── N1 ──┬── mlp ──(+)── N2 ── y
        └────────────────┘         └──────────┘
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from interpboard.circuits.direct.held import Pulled
from interpboard.circuits.direct.path import pull_back, push_forward
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.sum_norms import norms_of_sums
from interpboard.runs.record import Run
from interpboard.runs.strip_places import source_layers


@dataclass(frozen=True)
class LayerPath:
    """The direction [d_model] along which a layer's parts are read at one position; what its norms put in.

    ``before``: that of the layer's input.
    """

    attention: torch.Tensor
    mlp: torch.Tensor
    before: torch.Tensor
    norms: float = 0.0


def writing_layers(lm: LanguageModel) -> range:
    """The layers that write into the stream which the head reads: of an encoder–decoder its decoder's."""
    return range(source_layers(lm), lm.anatomy.n_layers)


def layer_paths(run: Run, row: int, position: int, direction: torch.Tensor) -> list[LayerPath]:
    """One for each of ``writing_layers``; ``direction`` is that of the last stream. ``run`` is of
    ``record_writing``.

    Raises ``Unsupported`` where a norm cannot be held, or a layer does more than its norms and its parts.
    """
    found = []
    for layer in reversed(writing_layers(run.lm)):
        found.append(_path(run, row, layer, position, direction))
        direction = found[-1].before
    return found[::-1]


@dataclass(frozen=True)
class _Sums:
    """What the norms of a layer are given at one position [d_model] each, and the norms; None: no norm."""

    mid_norm: nn.Module | None
    end_norm: nn.Module | None
    first: torch.Tensor
    second: torch.Tensor


def _path(run: Run, row: int, layer: int, position: int, direction: torch.Tensor) -> LayerPath:
    sums = _sums(run, row, layer, position)
    if sums is None:
        return LayerPath(direction, direction, direction)
    outer = inner = Pulled(direction.to(sums.first.device), 0.0)
    if sums.end_norm is not None:
        name = f"The last norm of layer {layer}"
        outer = inner = pull_back(sums.end_norm, sums.second, outer.gradient, name)
    constant = outer.constant
    if sums.mid_norm is not None:
        name = f"The first norm of layer {layer}"
        inner = pull_back(sums.mid_norm, sums.first, outer.gradient, name)
        constant += inner.constant
    return LayerPath(inner.gradient, outer.gradient, inner.gradient, constant)


def pushed_through_norms(run: Run, layer: int, position: int, step: torch.Tensor) -> torch.Tensor:
    """What ``step`` [d_model], added by the MLP of ``layer`` at ``position``, adds to the last stream
    directly: through its own last norm and those of the layers behind it, held at row 0 of ``run``."""
    for at in range(layer, run.lm.anatomy.n_layers):
        sums = _sums(run, 0, at, position)
        if sums is None:
            continue
        if sums.mid_norm is not None and at > layer:
            step = push_forward(sums.mid_norm, sums.first, step.to(sums.first))
        if sums.end_norm is not None:
            step = push_forward(sums.end_norm, sums.second, step.to(sums.second))
    return step


def _sums(run: Run, row: int, layer: int, position: int) -> _Sums | None:
    """None where ``layer`` norms no sum. Raises ``Unsupported`` where it does more than that."""
    mid_norm, end_norm = norms_of_sums(run.lm.anatomy, layer)
    if mid_norm is None and end_norm is None:
        return None
    x = run.calls[layer].hidden[row, position]
    added = [run.sites[site][layer][row, -1].to(x) for site in ("attn_out", "mlp_out")]
    with torch.no_grad():
        first = x + added[0]
        second = (first if mid_norm is None else mid_norm(first[None])[0]) + added[1]
        y = second if end_norm is None else end_norm(second[None])[0]
    last = layer + 1 == run.lm.anatomy.n_layers
    stream = run.resid_final[row] if last else run.calls[layer + 1].hidden[row]
    if not agrees(y[None], stream[position].to(y)[None]):
        name = run.lm.anatomy.layer_names[layer]
        raise Unsupported(
            f"Layer {name} is not its norms of what its attention and MLP add to the stream."
            if not run.edits[row]
            else "An edit of the stream cannot be told from its parts where blocks norm behind their sums.",
            "Edit heads, attn_out or mlp_out." if run.edits[row] else "",
        )
    return _Sums(mid_norm, end_norm, first, second)
