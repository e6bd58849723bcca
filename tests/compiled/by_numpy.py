"""GPT-2 with only some edges live, in numpy, from the weights alone: nothing of the library is in it.

Written for one layer and many sets of edges at once. Each part reads its own stream: the reference's,
plus what each sender on a live edge writes less what it writes in the reference. The norms are left out,
since a compiled norm is the identity.
"""

from __future__ import annotations

import numpy as np

from tests.compiled.compiler import D_HEAD, Weights
from tests.compiled.language import BEGIN, TOKENS

Edge = tuple[str, str]  # sender, receiver, as the diagram names them


def token_ids(text: str) -> list[int]:
    """``text`` as the compiled tokenizer has it, ``<s>`` in front."""
    return [[BEGIN, *TOKENS].index(token) for token in [BEGIN, *text]]


def logits_of_one_layer(
    weights: Weights, n_heads: int, clean: str, other: str, live: dict[Edge, np.ndarray]
) -> np.ndarray:
    """Logits at the last token [set, vocabulary]; ``live`` says of every edge in which sets it is."""
    streams = [_embedded(weights, text) for text in (other, clean)]
    reference, embedded = streams[0], streams[1] - streams[0]
    layer = _OneLayer(weights, n_heads)
    alone = dict.fromkeys(layer.receivers, reference)
    written = layer.heads(alone)  # by the reference
    changes = {"embed": embedded[None]}
    inputs = {r: _mixed(reference, changes, live, r) for r in layer.receivers}
    for name, now in layer.heads(inputs).items():
        changes[name] = now - written[name]
    middle = reference + sum(written.values())
    read = _mixed(middle, changes, live, "0.mlp")
    changes["0.mlp"] = layer.mlp(read) - layer.mlp(middle)
    end = middle + layer.mlp(middle)
    final: np.ndarray = _mixed(end, changes, live, "output")[:, -1] @ weights["lm_head.weight"].T
    return final


def _embedded(weights: Weights, text: str) -> np.ndarray:
    ids = token_ids(text)
    stream: np.ndarray = weights["transformer.wte.weight"][ids]
    return stream + weights["transformer.wpe.weight"][: len(ids)]


def _mixed(
    base: np.ndarray, changes: dict[str, np.ndarray], live: dict[Edge, np.ndarray], receiver: str
) -> np.ndarray:
    """What ``receiver`` reads [set, pos, d_model]."""
    sums = [live[sender, receiver][:, None, None] * change for sender, change in changes.items()]
    read: np.ndarray = base + sum(sums)
    return read


class _OneLayer:
    def __init__(self, weights: Weights, n_heads: int) -> None:
        self.weights = {
            name.removeprefix("transformer.h.0."): weight for name, weight in weights.items()
        }
        self.numbers = range(n_heads)
        self.receivers = [f"0.{head}.{part}" for part in "qkv" for head in self.numbers]

    def heads(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What each head adds [..., pos, d_model], each of its inputs from a stream of its own."""
        projected = self.weights["attn.c_attn.weight"]
        width, added = projected.shape[0], {}
        for head in self.numbers:
            own = slice(head * D_HEAD, (head + 1) * D_HEAD)
            query, key, value = (
                inputs[f"0.{head}.{part}"]
                @ projected[:, begin * width : (begin + 1) * width][:, own]
                for begin, part in enumerate("qkv")
            )
            scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(D_HEAD)
            ahead = np.triu(np.ones(scores.shape[-2:], dtype=bool), 1)
            scores = np.where(ahead, -np.inf, scores)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            z = shares / shares.sum(-1, keepdims=True) @ value
            added[f"0.{head}"] = z @ self.weights["attn.c_proj.weight"][own]
        return added

    def mlp(self, stream: np.ndarray) -> np.ndarray:
        """What the MLP adds."""
        x = stream @ self.weights["mlp.c_fc.weight"] + self.weights["mlp.c_fc.bias"]
        gelu = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        out: np.ndarray = gelu @ self.weights["mlp.c_proj.weight"] + self.weights["mlp.c_proj.bias"]
        return out
