"""Exact maximum flow through a stack of layers, from a node on top to one at the bottom."""

from __future__ import annotations

import itertools

import numpy as np

_SMALL = 1e-12


def max_flow(layers: np.ndarray, top: int, bottom: int) -> float:
    """Maximum flow between node ``top`` above the last layer and node ``bottom`` below the first.

    ``layers`` [layer, query, key] are the edges' capacities, at least 0, the lowest layer first. Dinic
    1970: shortest augmenting paths, all of one length before any longer one. NaN if a capacity is.
    """
    depth, size, _ = layers.shape
    if not np.isfinite(layers).all():  # compared with anything, NaN would pass for no capacity
        return float("nan")
    left = _between(layers, top, bottom)
    if left is None:
        return 0.0
    back = np.zeros_like(left)
    total = 0.0
    while True:
        level = _levels(left, back, top, depth, size)
        if level[0, bottom] < 0:
            return total
        total += _blocking_flow(left, back, level, top, bottom)


def _between(layers: np.ndarray, top: int, bottom: int) -> np.ndarray | None:
    """Capacities with all edges left out that lie on no path from ``top`` to ``bottom``."""
    depth, size, _ = layers.shape
    above, below = np.zeros((depth + 1, size), bool), np.zeros((depth + 1, size), bool)
    above[depth, top], below[0, bottom] = True, True
    for layer in range(depth):
        below[layer + 1] = (layers[layer][:, below[layer]] > _SMALL).any(1)
    for layer in reversed(range(depth)):
        above[layer] = (layers[layer][above[layer + 1]] > _SMALL).any(0)
    if not above[0, bottom]:
        return None
    used = above & below
    left: np.ndarray = layers * (used[1:, :, None] & used[:-1, None, :])
    return left


def _levels(left: np.ndarray, back: np.ndarray, top: int, depth: int, size: int) -> np.ndarray:
    """Steps from the top to each node [layer, node] over edges with something left; −1: not reached."""
    level = np.full((depth + 1, size), -1)
    level[depth, top] = 0
    front = {depth: np.array([top])}
    step = 0
    while front:
        step += 1
        reached: dict[int, np.ndarray] = {}
        for layer, nodes in front.items():
            for other, open_edges in _neighbours(left, back, layer, depth):
                new = (open_edges[nodes] > _SMALL).any(0) & (level[other] < 0)
                if new.any():
                    reached[other] = reached.get(other, np.zeros(size, bool)) | new
        for layer, new in reached.items():
            level[layer, new] = step
        front = {layer: np.flatnonzero(new) for layer, new in reached.items()}
    return level


def _neighbours(
    left: np.ndarray, back: np.ndarray, layer: int, depth: int
) -> list[tuple[int, np.ndarray]]:
    """Levels next to ``layer`` with what may still flow [node here, node there]."""
    found = []
    if layer > 0:
        found.append((layer - 1, left[layer - 1]))
    if layer < depth:
        found.append((layer + 1, back[layer].T))
    return found


def _blocking_flow(
    left: np.ndarray, back: np.ndarray, level: np.ndarray, top: int, bottom: int
) -> float:
    """Send flow along shortest paths until none is left; depth first, dead ends struck off."""
    depth = len(left)
    dead = np.zeros(level.shape, bool)
    total = 0.0
    path: list[tuple[int, int]] = [(depth, top)]
    while path:
        layer, node = path[-1]
        if (layer, node) == (0, bottom):
            total += _send(left, back, path)
            path = path[:1]  # begin again: edges on the path are full now
            continue
        step = level[layer, node] + 1
        follow = None
        for other, open_edges in _neighbours(left, back, layer, depth):
            fits = (open_edges[node] > _SMALL) & (level[other] == step) & ~dead[other]
            if fits.any():
                follow = (other, int(np.argmax(np.where(fits, open_edges[node], 0))))
                break
        if follow is not None:
            path.append(follow)
        else:
            dead[layer, node] = True
            path.pop()
    return total


def _send(left: np.ndarray, back: np.ndarray, path: list[tuple[int, int]]) -> float:
    edges = []
    for (layer, node), (other, next_node) in itertools.pairwise(path):
        down = other < layer
        index = (other, node, next_node) if down else (layer, next_node, node)
        edges.append((down, index))
    amount = min(float((left if down else back)[index]) for down, index in edges)
    for down, index in edges:
        (left if down else back)[index] -= amount
        (back if down else left)[index] += amount
    return amount
