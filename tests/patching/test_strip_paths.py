"""Path patching of encoder–decoders against a path patch by hooks alone, every other part held."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.patching.paths import path_patching
from tests.strip_paths import CORRUPTED, EMBED, MLP, NAMES, by_hand

RECEIVERS = (
    "E1.0.k",
    "E1.mlp",
    "D1.1.q",
    "D1.0.v",
    "X0.1.q",
    "X1.0.k",
    "X0.1.v",
    "X1.1",
    "X0.mlp",
    "output",
)
BOTH = ("X1.0.k", "X0.1.q", "output")
CASES = [
    *(("t5", each) for each in RECEIVERS),
    *(("bart", each) for each in RECEIVERS[1::2]),
    *((family, each) for family in ("mt5", "mbart", "pegasus", "marian", "m2m_100") for each in BOTH[1:]),
]  # fmt: skip


@pytest.mark.parametrize(("family", "receiver"), CASES)
def test_every_sender_reaches_the_receiver_asby_hand(family: str, receiver: str) -> None:
    hand = by_hand(family)
    metric = hand.metric
    found = path_patching(hand.lm, hand.prompt, metric, corrupted=CORRUPTED, receiver=receiver)
    assert found.axes[0].labels == NAMES
    reached = 0
    for row, name in enumerate(NAMES):
        for column, part in enumerate((0, 1, MLP, EMBED)):
            value = found.extra["metric"].values[row, column]
            there = (name, part) in hand.kept[0] or (part == EMBED and name in ("E0", "D0"))
            if not there:
                assert np.isnan(value)
                continue
            expected = float(hand.logits((name, part), receiver)[-1, metric.target_id])
            if np.isnan(value):  # no path: by hand nothing comes of it
                assert expected == pytest.approx(metric.baseline, rel=1e-9)
                continue
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-8)
            reached += abs(expected - metric.baseline) > 1e-7
    assert reached


def test_what_crosses_the_border_goes_by_keys_and_values_alone() -> None:
    hand = by_hand("t5")
    for receiver, crosses in (
        ("X0.0.k", True), ("X0.0.v", True), ("X0.0.q", False), ("X0.mlp", False), ("D1.0.k", False),
        ("output", False),
    ):  # fmt: skip
        found = path_patching(
            hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver=receiver
        ).values
        assert bool(np.isnan(found[:2]).all()) != crosses, receiver
        assert bool(np.isnan(found[2:4, :2]).all()) == (receiver in ("X0.0.k", "X0.0.v")), receiver


@pytest.mark.parametrize("family", ["t5", "pegasus", "bart"])
def test_through_every_receiver_of_the_states_an_embedding_acts_as_if_patched(family: str) -> None:
    """All paths of the source's embedding, taken together, are the source exchanged."""
    hand = by_hand(family)
    every = [f"{name}.{part}" for name in NAMES for part in (0, 1, "mlp")]
    receivers = [each for each in every if not (each[0] == "D" and each.endswith("mlp"))]
    found = path_patching(
        hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver=[*receivers, "output"]
    )
    value = hand.kept[1][True, EMBED]
    logits = hand.clean.logits(hand.clean.embedding(True, lambda _own: value))
    expected = float(logits[-1, hand.metric.target_id])
    assert found.extra["metric"].values[0, EMBED] == pytest.approx(expected, rel=1e-6)
    assert abs(expected - hand.metric.baseline) > 1e-3


def test_float32_is_as_exact_as_it_can_be() -> None:
    one, other = by_hand("t5", torch.float32), by_hand("t5")
    a, b = (
        path_patching(
            each.lm, each.prompt, each.metric, corrupted=CORRUPTED, receiver="X1.1"
        ).values
        for each in (one, other)
    )
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_layer_that_does_more_than_its_parts_is_refused() -> None:
    hand = by_hand("bart")
    handle = hand.lm.anatomy.layers[1].register_forward_hook(lambda _m, _a, out: out * 1.01)
    try:
        with pytest.raises(Unsupported, match="Layer E1 does not pass on its norms of what"):
            path_patching(hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED)
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        ("1.0.q", "no layer 1"),
        ("D0.mlp", "self-attention alone"),
        ("X7.0", "no layer X7"),
        ("X0.9.k", "no key/value head 9"),
    ],
)
def test_receivers_that_are_not_there_are_named(receiver: str, words: str) -> None:
    hand = by_hand("t5")
    with pytest.raises(BadParameter, match=words):
        path_patching(hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver=receiver)
