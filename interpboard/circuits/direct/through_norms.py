"""The direct path back through blocks that norm behind their sums (BERT): from a layer's output to its parts.

In such a block y = N2(mid + mlp) with mid = N1(x + attention), so whatever a layer adds passes every norm
that follows, of its own layer and of later ones. With the norms' statistics held each is an affine map: along
one direction of the output a part has a gradient of its own, and the norms' biases are constants.

    x ──┬── attention ──(+)── N1 ──┬── mlp ──(+)── N2 ── y
        └────────────────┘         └──────────┘
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interpboard.circuits.direct.path import pull_back
from interpboard.errors import Unsupported
from interpboard.models.proof.rounding import agrees
from interpboard.runs.record import Run


@dataclass(frozen=True)
class LayerPath:
    """The direction [d_model] along which a layer's parts are read at one position; what its norms put in.

    ``before``: that of the layer's input.
    """

    attention: torch.Tensor
    mlp: torch.Tensor
    before: torch.Tensor
    norms: float = 0.0


def layer_paths(run: Run, row: int, position: int, direction: torch.Tensor) -> list[LayerPath]:
    """One for each layer; ``direction`` is that of the last stream. ``run`` is of ``record_writing``.

    Raises ``Unsupported`` where a norm cannot be held, or a layer does more than its norms and its parts.
    """
    found = []
    for layer in reversed(range(run.lm.anatomy.n_layers)):
        found.append(_path(run, row, layer, position, direction))
        direction = found[-1].before
    return found[::-1]


def _path(run: Run, row: int, layer: int, position: int, direction: torch.Tensor) -> LayerPath:
    anatomy = run.lm.anatomy
    mid_norm, end_norm = (
        norms[layer] if norms else None for norms in (anatomy.mid_norm, anatomy.end_norm)
    )
    if mid_norm is None or end_norm is None:
        return LayerPath(direction, direction, direction)
    x = run.calls[layer].hidden[row, position]
    direction = direction.to(x.device)
    added = [run.sites[site][layer][row, -1].to(x) for site in ("attn_out", "mlp_out")]
    with torch.no_grad():
        first = x + added[0]
        second = mid_norm(first[None])[0] + added[1]
        y = end_norm(second[None])[0]
    last = layer + 1 == anatomy.n_layers
    stream = run.resid_final[row] if last else run.calls[layer + 1].hidden[row]
    if not agrees(y[None], stream[position].to(y)[None]):
        raise Unsupported(
            f"Layer {layer} is not its norms of what its attention and MLP add to the stream."
            if not run.edits[row]
            else "An edit of the stream cannot be told from its parts where blocks norm behind their sums.",
            "Edit heads, attn_out or mlp_out." if run.edits[row] else "",
        )
    outer = pull_back(end_norm, second, direction, f"The last norm of layer {layer}")
    inner = pull_back(mid_norm, first, outer.gradient, f"The first norm of layer {layer}")
    return LayerPath(
        inner.gradient, outer.gradient, inner.gradient, inner.constant + outer.constant
    )
