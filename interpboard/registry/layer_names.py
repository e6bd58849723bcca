"""What the layers of a model are called in its results, and which one a name is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.results import ModelInfo


def layer_names(info: ModelInfo) -> tuple[str, ...]:
    """The layers' numbers; of an encoder–decoder ``E0``, ``D0``, ``X0`` …"""
    return info.layer_names or tuple(map(str, range(info.layers)))


def layer_number(info: ModelInfo, name: str) -> int:
    """Which layer ``name`` is, counted over all of the model's."""
    names = layer_names(info)
    return names.index(name) if name in names else int(name)


def has_mlp(name: str) -> bool:
    """Whether the layer ``name`` has one: of a decoder's layer in two halves (``D0``, ``X0``) the second."""
    return not name.startswith("D")


def layers_with_mlp(info: ModelInfo) -> tuple[str, ...]:
    """Those that have an MLP."""
    return tuple(filter(has_mlp, layer_names(info)))
