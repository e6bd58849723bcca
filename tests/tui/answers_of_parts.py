"""Made-up answers about heads, neurons, edges, written tokens and methods."""

from __future__ import annotations

import numpy as np

from interpboard.results import (
    Axis,
    LabelledArray,
    layer_axis,
    text_array,
    token_axis,
)
from tests.tui import answers_vocabulary as vocabulary
from tests.tui.asked import Answered, Asked, numbered


def heads_answer(asked: Asked) -> Answered:
    """The head in the middle does most."""
    axes = asked.by_head()
    values = asked.random.normal(size=(asked.layers, asked.heads)) * 0.3
    values[asked.layers // 2, asked.heads // 2] = -4.21
    asked.estimates(axes, values)
    return axes, values


def experts_answer(asked: Asked) -> Answered:
    """Two of eight experts a token; nobody goes to the last, and the first layer has six."""
    experts = numbered("expert", 8)
    axes = (layer_axis(asked.layers), token_axis(asked.tokens), experts)
    values = np.zeros([len(axis.labels) for axis in axes])
    for layer in range(asked.layers):
        for token in range(len(asked.tokens)):
            first = (layer + token) % 4
            values[layer, token, first], values[layer, token, first + 2] = 0.7, 0.3
    values[0, :, 6:] = np.nan
    missing = np.isnan(values).all(1)
    counts, sums = (values > 0).sum(1).astype(float), np.nansum(values, 1)
    of_layer = (axes[0], experts)
    asked.extra["tokens"] = LabelledArray(of_layer, np.where(missing, np.nan, counts))
    share = sums / sums.sum(1, keepdims=True)
    asked.extra["share"] = LabelledArray(of_layer, np.where(missing, np.nan, share))
    asked.extra["entropy"] = LabelledArray(axes[:2], np.full(values.shape[:2], 0.61))
    return axes, values


def _components(asked: Asked) -> tuple[Axis, np.ndarray]:
    """Every head and MLP with what it writes; the head in the middle writes most."""
    layers, heads = asked.layers, asked.heads
    names = ["embed"]
    for layer in range(layers):
        names += [*(f"L{layer} H{head}" for head in range(heads)), f"L{layer} MLP"]
    values = asked.random.normal(size=len(names)) * 0.4
    values[1 + (heads + 1) * (layers // 2) + heads // 2] = 6.5
    return Axis("component", tuple(names)), values


def _accumulated(asked: Asked, axes: tuple[Axis, ...], values: np.ndarray) -> None:
    """What the layers add up to."""
    shape = (asked.layers, asked.heads + 1, -1)
    sums = np.stack([values[0].reshape(-1), *values[1:].reshape(shape).sum(1)])
    by_layer = (layer_axis(asked.layers, embed=True), *axes[1:])
    lengths = [len(axis.labels) for axis in by_layer]
    asked.extra["unexplained"] = LabelledArray(axes[1:], np.zeros(values.shape[1:]))
    asked.extra["accumulated"] = LabelledArray(by_layer, np.cumsum(sums, 0).reshape(lengths))


def logits_answer(asked: Asked) -> Answered:
    """What every head and MLP adds to the logit."""
    component, values = _components(asked)
    _accumulated(asked, (component,), values)
    of_layer, head = asked.by_head()
    parts = values[1:].reshape(asked.layers, asked.heads + 1)
    asked.extra["heads"] = LabelledArray((of_layer, head), parts[:, :-1])
    asked.extra["attention"] = LabelledArray((of_layer,), parts[:, :-1].sum(1))
    asked.extra["mlp"] = LabelledArray((of_layer,), parts[:, -1])
    return (component,), values


def edited_logits_answer(asked: Asked) -> Answered:
    """The strongest head is off, and the last MLP makes up for some of it."""
    component, clean = _components(asked)
    axes = (component, Axis("run", ("clean", "edited")))
    values = np.stack([clean, clean], axis=1)
    values[component.labels.index(f"L{asked.layers // 2} H{asked.heads // 2}"), 1] = 0.0
    values[-1, 1] += 4.0
    _accumulated(asked, axes, values)
    asked.extra["effect"] = LabelledArray((component,), values[:, 1] - values[:, 0])
    return axes, values


def collecting_answer(asked: Asked) -> Answered:
    """How active 16 neurons of each layer ever were."""
    axes = (layer_axis(asked.layers), numbered("neuron", 16))
    asked.extra["positive"] = LabelledArray(axes, np.full((asked.layers, 16), 0.5))
    return axes, asked.random.normal(size=(asked.layers, 16))


def attention_answer(asked: Asked) -> Answered:
    """One head; the further its number, the more it looks back."""
    extra, request, tokens = asked.extra, asked.request, asked.tokens
    (layer,), (head,) = request.params["layers"], request.params["heads"]
    one = (Axis("layer", (str(layer),)), Axis("head", (str(head),)))
    back = np.arange(len(tokens))[:, None] - np.arange(len(tokens))
    weights = np.where(back >= 0, np.exp(-np.abs(back - layer - head / 2.0)), 0.0)
    weights /= weights.sum(-1, keepdims=True)
    for name, value in (("entropy", 1.25), ("distance", 2.5), ("first", 0.3), ("sink", 0.0)):
        extra[name] = LabelledArray(one, np.array([[value]]))
    count = min(5, len(tokens) * (len(tokens) + 1) // 2)
    flat = np.argsort(-weights, axis=None)[:count]
    listed = (*one, Axis("pair", tuple(str(i + 1) for i in range(count))))
    ends = np.stack(np.unravel_index(flat, weights.shape), axis=-1)
    extra["top_pairs"] = LabelledArray((*listed, Axis("end", ("query", "key"))), ends[None, None])
    extra["top_probs"] = LabelledArray(listed, weights.reshape(-1)[flat][None, None])
    axes = (*one, Axis("query", tokens), Axis("key", tokens))
    return axes, weights[None, None]


def head_types_answer(asked: Asked) -> Answered:
    """The strongest head is for induction, the first one looks at the token before."""
    extra, layers, heads = asked.extra, asked.layers, asked.heads
    names = ("previous_token", "duplicate_token", "induction", "copying", "name_mover")
    own = asked.by_head()
    values = np.full((len(names), layers, heads), 0.05)
    label = np.full((layers, heads), "", dtype=object)
    values[2, layers // 2, heads // 2], label[layers // 2, heads // 2] = 0.87, "induction"
    values[0, 0, 0], label[0, 0] = 0.5, "previous_token"
    extra["label"] = LabelledArray(own, label)
    extra["copying_eigenvalue"] = LabelledArray(own, np.full((layers, heads), 0.1))
    axes = (Axis("score", names), *own)
    extra["null"] = LabelledArray(axes, np.full(values.shape, 0.04))
    extra["z"] = LabelledArray(axes, (values - 0.04) / 0.02)
    return axes, values


def neurons_answer(asked: Asked) -> Answered:
    """16 a layer; the strongest is 5 of layer 2. The chosen one promotes and suppresses tokens."""
    extra, request, layers = asked.extra, asked.request, asked.layers
    values = np.random.default_rng(11).normal(size=(layers, 16)) * 0.3
    values[2 % layers, 5] = 3.25
    rows = request.params.get("layers") or list(range(layers))
    axes = (Axis("layer", tuple(map(str, rows))), numbered("neuron", 16))
    extra["activation"] = LabelledArray(axes, values[rows] / 0.5)
    if request.params.get("neuron"):
        along = np.linspace(-0.1, 1.0, len(asked.tokens))
        extra["along"] = LabelledArray((token_axis(asked.tokens),), along)
        ranks = (numbered("rank", 10, first=1),)
        known = vocabulary.VOCABULARY
        ends = {"promoted": (known[:10], 1.0), "suppressed": (known[:1:-1], -1.0)}
        for name, (words, sign) in ends.items():
            extra[name] = LabelledArray(ranks, text_array(list(words)))
            extra[f"{name}_by"] = LabelledArray(ranks, sign * 0.5 * 0.8 ** np.arange(10))
    return axes, values[rows]


def circuit_answer(asked: Asked) -> Answered:
    """Every head hears the embedding and is heard by the output and the last MLP; sizes 0, 6, 12, all."""
    extra, layers, heads = asked.extra, asked.layers, asked.heads
    last = layers - 1
    names = [f"embed>{i}.{h}.v" for i in range(layers) for h in range(heads)]
    names += [f"{i}.{h}>output" for i in range(layers) for h in range(heads)]
    names += [f"{i}.{h}>{last}.mlp" for i in range(layers) for h in range(heads)]
    names += [f"{last}.mlp>output"]
    size = np.array([2.0 / (1 + at) for at in range(layers * heads)])
    scores = np.concatenate([size, -size * 0.9, size * 0.8, [1.5]])
    order = np.argsort(-np.abs(scores))
    enters = np.full(len(scores), float(len(scores)))
    for count in (12, 6):
        enters[order[:count]] = count
    edge, series = (
        (Axis("edge", tuple(names)),),
        (Axis("edges", ("0", "6", "12", str(len(names)))),),
    )
    extra["enters"] = LabelledArray(edge, enters)
    extra["in_circuit"] = LabelledArray(edge, (enters <= 12).astype(np.int64))
    extra["size"] = LabelledArray(series, np.array([0, 6, 12, len(names)]))
    extra["faithfulness"] = LabelledArray(series, np.array([0.0, 0.4, 0.9, 1.0]))
    extra["completeness"] = LabelledArray(series, np.array([0.0, 0.7, 1.05, 1.0]))
    nodes = [
        "embed",
        *(f"L{i} H{h}" for i in range(layers) for h in range(heads)),
        *(f"L{i} MLP" for i in range(layers)),
    ]
    node = (Axis("node", tuple(nodes)),)
    extra["nodes"] = LabelledArray(node, np.linspace(2.0, 0.1, len(nodes)))
    extra["node_in_circuit"] = LabelledArray(node, np.ones(len(nodes), dtype=np.int64))
    one = {
        "circuit_size": 12,
        "circuit_faithfulness": 0.9,
        "circuit_completeness": 1.05,
        "clean": 3.5,
        "corrupted": -1.25,
        "examples": 1,
        "cpr": 0.85,
        "cmd": 0.15,
    }
    extra.update({name: LabelledArray((), np.array(value)) for name, value in one.items()})
    return edge, scores


def continuation_answer(asked: Asked) -> Answered:
    extra, request, tokens = asked.extra, asked.request, asked.tokens
    written = vocabulary.VOCABULARY[: request.params.get("new_tokens", 8)]
    axes = (Axis("generated", written), Axis("source", (*tokens, *written[:-1])))
    values = np.random.default_rng(5).normal(size=(len(written), len(axes[1].labels)))
    if request.params.get("method") == "saliency":
        values = np.abs(values)
    for row in range(len(written)):
        values[row, len(tokens) + row :] = np.nan
    extra["metric"] = LabelledArray(axes[:1], 14.0 - np.arange(len(written)))
    so_far = ["".join(written[: row + 1]) for row in range(len(written))]
    extra["text"] = LabelledArray(axes[:1], text_array(so_far))
    return axes, values


def edited_continuation_answer(asked: Asked) -> Answered:
    """The clean run writes the vocabulary in its order; the edited one parts from it at the second token."""
    extra, count = asked.extra, asked.request.params.get("new_tokens", 20)
    clean = list(vocabulary.VOCABULARY[:count])
    rows = [clean, [clean[0], *reversed(clean[1:])]]
    if not asked.request.params.get("interventions"):
        rows = rows[:1]
    names = ("clean", "edited")[: len(rows)]
    axes = (Axis("run", names), Axis("step", tuple(map(str, range(len(clean))))))
    extra["token"] = LabelledArray(axes, np.stack([text_array(row) for row in rows]))
    extra["text"] = LabelledArray(axes[:1], text_array(["".join(row) for row in rows]))
    if len(rows) > 1:
        kl = np.where(np.arange(len(clean)) < 2, 0.25, np.nan)
        extra["kl"] = LabelledArray(axes[1:], kl)
        extra["parted"] = LabelledArray((), np.array(1.0))
    ids = [[vocabulary.VOCABULARY.index(token) for token in row] for row in rows]
    extra["token_ids"] = LabelledArray(axes, np.array(ids))
    return axes, np.linspace(0.9, 0.4, len(rows) * len(clean)).reshape(len(rows), -1)


def methods_answer(asked: Asked) -> Answered:
    extra, tokens = asked.extra, asked.tokens
    names = ("integrated_gradients", "occlusion", "attention_rollout")
    axes = (Axis("method", names), token_axis(tokens))
    scores = np.random.default_rng(3).normal(size=(3, len(tokens))) * np.array(
        [[2.0], [30.0], [1.0]]
    )
    scores[2] = np.abs(scores[2])
    extra["scores"] = LabelledArray(axes, scores)
    agreement = np.array([[1.0, 0.75, -0.25], [0.75, 1.0, 0.5], [-0.25, 0.5, 1.0]])
    extra["rank_agreement"] = LabelledArray((axes[0], axes[0]), agreement)
    return axes, scores / np.abs(scores).max(-1, keepdims=True)
