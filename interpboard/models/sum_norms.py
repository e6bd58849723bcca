"""Norms of the sums in a stream: where a layer norms what it hands on (BERT, BART)."""

from __future__ import annotations

from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.one_tensor import require_one_tensor


def norms_of_sums(anatomy: Anatomy, layer: int) -> tuple[nn.Module | None, nn.Module | None]:
    """The norms of the sums behind attention and behind the MLP of ``layer``.

    Raises ``Unsupported`` where one gives more than the stream.
    """
    if anatomy.strips is not None:
        return anatomy.strips.sum_norms(layer)
    mid, end = (norms[layer] if norms else None for norms in (anatomy.mid_norm, anatomy.end_norm))
    if mid is None or end is None:
        return None, None
    for norm in (mid, end):
        require_one_tensor(norm, anatomy.d_model)
    return mid, end
