"""The size of a head, by layer: what the modules say and the output projection's width allows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.named_parts import Parts
from interpboard.models.packed import in_width, is_linear

_HEAD_SIZE = (
    "v_head_dim",
    "head_dim",
    "head_size",
    "attention_head_size",
    "depth",
    "d_head",
    "dim_head",
)
_HEAD_COUNT = ("n_head", "n_heads", "num_heads", "num_attention_heads")


def head_sizes(
    attends: Sequence[bool],
    attention: tuple[nn.Module, ...],
    out_proj: tuple[nn.Module, ...],
    n_heads: int,
    parts: Parts,
) -> tuple[int, ...]:
    """The size of a head by layer, 0 where there are none that can be told apart.

    ``attends``: whether a layer has attention. ``parts``: what the user named.
    """
    if parts.attention or parts.d_head:
        return _named_head_sizes(attention, out_proj, n_heads, parts)
    return tuple(
        _head_size(a, p, n_heads) if own and is_linear(p) else 0
        for own, a, p in zip(attends, attention, out_proj, strict=True)
    )


def _named_head_sizes(
    attention: tuple[nn.Module, ...], out_proj: tuple[nn.Module, ...], n_heads: int, parts: Parts
) -> tuple[int, ...]:
    """The size of a head where the user named attention: given, the module's own, or by the width."""
    sizes = []
    for module, projection in zip(attention, out_proj, strict=True):
        if not is_linear(projection):
            raise NotALanguageModel(
                f"{type(module).__name__}, named as attention, has no output projection that is found.",
                "Name out_proj too, or another attention.",
            )
        if not n_heads:
            raise NotALanguageModel(
                "The configuration does not say how many heads there are.", "Name n_heads."
            )
        width = in_width(projection)
        size = parts.d_head or _head_size(module, projection, n_heads) or width // n_heads
        if size * n_heads != width:
            raise NotALanguageModel(
                f"{type(module).__name__}: an output projection of width {width} does not split into "
                f"{n_heads} heads{f' of {size}' if parts.d_head else ''}.",
                "Name n_heads and d_head.",
            )
        sizes.append(size)
    return tuple(sizes)


def _head_size(attention: nn.Module, out_proj: nn.Module, n_heads: int) -> int:
    width = in_width(out_proj)
    if not n_heads:
        return 0
    for owner in attention.modules():
        for name in _HEAD_SIZE:
            size = getattr(owner, name, None)
            if isinstance(size, int) and size * n_heads == width:
                return size
    # One that says how many heads it has, and not how large they are.
    counted = any(getattr(attention, name, None) == n_heads for name in _HEAD_COUNT)
    return width // n_heads if counted and width % n_heads == 0 else 0
