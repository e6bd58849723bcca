"""Floating-point operations that a grid cannot be had without: the ideal that engines are held against.

What is counted: every layer after a counterfactual's first edit once for each of its rows, positions
before the edited one reused, the last layer's queries and MLP at the metric's position only, one column
of the unembedding. Products only; norms, softmax and activations are free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Widths:
    """What the products of one layer need."""

    layers: int
    heads: int
    d_model: int
    d_keys: int
    d_mlp: int
    mlp_products: int  # matrices of the MLP: 3 where it is gated

    @classmethod
    def of(cls, config: Any) -> Widths:
        """From a configuration of ``benchmarks.sizes``."""
        d_model, heads = config.hidden_size, config.num_attention_heads
        groups = getattr(config, "num_key_value_heads", heads)
        gated = hasattr(config, "intermediate_size")
        d_mlp = config.intermediate_size if gated else 4 * d_model
        keys = d_model // heads * groups
        layers = config.num_hidden_layers
        return cls(layers, heads, d_model, keys, d_mlp, 3 if gated else 2)

    def mlp(self, positions: int) -> float:
        """The MLP at some positions."""
        return 2 * positions * self.mlp_products * self.d_model * self.d_mlp

    def keys(self, positions: int) -> float:
        """Keys and values at some positions."""
        return 2 * positions * 2 * self.d_model * self.d_keys

    def attention(self, first: int, length: int) -> float:
        """Queries, scores, mixing and output projection at positions ``first`` to the last."""
        positions = length - first
        pairs = sum(range(first + 1, length + 1))
        return 2 * positions * 2 * self.d_model**2 + 2 * 2 * pairs * self.d_model

    def layer(self, first: int, length: int) -> float:
        """A whole layer at positions ``first`` to the last."""
        positions = length - first
        return self.keys(positions) + self.attention(first, length) + self.mlp(positions)

    def last(self, first: int, length: int) -> float:
        """The last layer, read at the last position only."""
        return self.keys(length - first) + self.attention(length - 1, length) + self.mlp(1)

    def after(self, layer: int, first: int, length: int) -> float:
        """Every layer after ``layer``."""
        left = self.layers - 1 - layer
        if left == 0:
            return 0.0
        return (left - 1) * self.layer(first, length) + self.last(first, length)


def forward(widths: Widths, length: int) -> float:
    """One pass read at the last position."""
    return widths.after(-1, 0, length)


def head_grid(widths: Widths, length: int) -> float:
    """Every head set to zero: its share of the output projection, the MLP, all later layers."""
    total = 0.0
    for layer in range(widths.layers):
        read = 1 if layer == widths.layers - 1 else length
        share = 2 * read * widths.d_model * widths.d_model / widths.heads
        row = share + widths.mlp(read) + widths.after(layer, 0, length)
        total += widths.heads * row
    return total + forward(widths, length)


def trace(widths: Widths, length: int, samples: int, noised: int) -> float:
    """Every layer output restored at every position, for each sample; ``noised``: the first such."""
    cells = sum(
        widths.after(layer, position, length)
        for layer in range(widths.layers)
        for position in range(noised, length)
    )
    return samples * (cells + forward(widths, length)) + forward(widths, length)
