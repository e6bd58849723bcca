"""How a part of a model is called wherever it is shown: ``L3 H7``, ``L0 MLP``, ``L2 N117``, ``L2 E5 N7``.

In an encoder–decoder a layer's group stands in the place of the ``L``: ``E3 H7`` of the encoder, ``D3 H7`` of
the decoder's self-attention, ``X3 H7`` of its cross attention.

What is written by hand has a grammar of its own (``3.7``, ``0.mlp``, ``2.117``), as have the edges of a
circuit in a file; ``shown`` turns either into what is shown, and an earlier spelling (``L0 mlp``) too.
"""

from __future__ import annotations

import re

MLP = "MLP"
# The letter of each type of head.
TYPE_LETTERS = {
    "previous_token": "p",
    "duplicate_token": "d",
    "induction": "i",
    "copying": "c",
    "name_mover": "n",
    "next_token": "x",
    "begin_token": "b",
    "end_token": "e",
    "mask_token": "m",
    "same_source": "s",
    "following_source": "f",
    "aligned_source": "a",
}
_EARLIER = re.compile(r"L(\d+) mlp")
LAYER = r"[EDX]?\d+"
"""A layer as it is written: its number, in an encoder–decoder with its group."""
_WRITTEN = re.compile(rf"({LAYER})\.(?:(\d+)|mlp)")


def layer_name(layer: int | str) -> str:
    """``L3``; ``E3`` where the layer has a group."""
    return f"L{layer}" if str(layer)[:1].isdigit() else str(layer)


def head_label(layer: int | str, head: int | str) -> str:
    """``L3 H7``."""
    return f"{layer_name(layer)} H{head}"


def mlp_label(layer: int | str) -> str:
    """``L0 MLP``."""
    return f"{layer_name(layer)} {MLP}"


def neuron_label(layer: int | str, neuron: int | str) -> str:
    """``L2 N117``."""
    return f"{layer_name(layer)} N{neuron}"


def expert_label(layer: int | str, expert: int | str) -> str:
    """``L2 E5``: expert 5 of the mixture of layer 2."""
    return f"{layer_name(layer)} E{expert}"


def expert_neuron_label(layer: int | str, expert: int | str, neuron: int | str) -> str:
    """``L2 E5 N117``: neuron 117 within that expert."""
    return f"{expert_label(layer, expert)} N{neuron}"


def written_component(layer: int | str, head: int | str | None = None) -> str:
    """As it is written by hand: ``3.7``, and ``0.mlp`` without a head."""
    return f"{layer}.{'mlp' if head is None else head}"


def shown_component(name: str) -> str:
    """A head's or MLP's name as it is shown; another name as it is."""
    earlier = _EARLIER.fullmatch(name)
    if earlier is not None:
        return mlp_label(earlier[1])
    if name in ("E.embed", "D.embed"):
        return name.replace(".", " ")
    written = _WRITTEN.fullmatch(name)
    if written is None:
        return MLP if name == "mlp" else name
    return mlp_label(written[1]) if written[2] is None else head_label(written[1], written[2])
