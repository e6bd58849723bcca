"""Path patching of encoder–decoders against a path patch written here: hooks alone, every other part held."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.patching.paths import path_patching
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strips import Plain, strips_lm

NAMES = ("E0", "E1", "D0", "X0", "D1", "X1")
CORRUPTED = "The old house Tower is in the ||| the city is"
CLEAN = "The Eiffel Tower Tower is in the ||| the city of"
MLP, EMBED = 2, 3
Hang = Any


class ByHand:
    """Clean, corrupted and path-patched runs of one pair of prompts."""

    def __init__(self, family: str, dtype: torch.dtype) -> None:
        self.lm = strips_lm(family, dtype)
        prompts = [make_prompt(self.lm, text) for text in (CLEAN, CORRUPTED)]
        self.prompt: PromptInfo = prompts[0]
        self.metric: Metric = resolve_metric(self.lm, self.prompt, MetricRequest())
        self.clean, self.corrupted = (Plain(self.lm, each) for each in prompts)
        self.kept = [self._all(plain) for plain in (self.clean, self.corrupted)]

    def _all(self, plain: Plain) -> dict[Any, torch.Tensor]:
        found: dict[Any, torch.Tensor] = {}

        def keep(key: Any) -> Any:
            def change(own: torch.Tensor) -> torch.Tensor:
                found[key] = own.clone()
                return own

            return change

        hooks = [plain.head(name, head, keep((name, head))) for name in NAMES for head in range(2)]
        hooks += [plain.mlp(name, keep((name, MLP))) for name in NAMES if name[0] != "D"]
        hooks += [
            plain.embedding(of_source, keep((of_source, EMBED))) for of_source in (True, False)
        ]
        plain.logits(*hooks)
        return found

    def logits(self, sender: tuple[str, int], receivers: str) -> torch.Tensor:
        """[pos, d_vocab]: the sender is as on the other prompt, all others are held, and what the receiver
        then does is put into the clean run. Several: one after the other is set free."""
        base, other = self.kept
        hold: list[Hang] = []
        for name in NAMES:
            for part in (0, 1, MLP):
                if (name, part) not in base:
                    continue
                value = (other if (name, part) == sender else base)[name, part]
                put = lambda _own, value=value: value  # noqa: E731
                hold.append(
                    self.clean.mlp(name, put) if part == MLP else self.clean.head(name, part, put)
                )
        if sender[1] == EMBED:
            of_source = sender[0][0] == "E"
            value = other[of_source, EMBED]
            hold.append(self.clean.embedding(of_source, lambda _own: value))
        if receivers == "output":
            return self.clean.logits(*hold)
        seen: dict[str, torch.Tensor] = {}

        def keep(key: str) -> Any:
            def change(own: torch.Tensor) -> torch.Tensor:
                seen[key] = own.clone()
                return own

            return change

        # Hung in first: it sees what the receiver does before that is held.
        self.clean.logits(*self._at(receivers, keep), *hold)
        return self.clean.logits(*self._at(receivers, lambda key: lambda _own: seen[key]))

    def _at(self, receiver: str, change: Any) -> list[Hang]:
        name, part, *site = receiver.split(".")
        if part == "mlp":
            return [self.clean.mlp(name, change("mlp"))]
        if site:
            return [self.clean.projected(name, site[0], int(part), change("in"))]
        return [self.clean.head(name, int(part), change("z"))]


@cache
def _by_hand(family: str, dtype: torch.dtype = torch.float64) -> ByHand:
    return ByHand(family, dtype)


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
    *(("t5", each) for each in RECEIVERS), *(("m2m_100", each) for each in RECEIVERS[2:]),
    *((family, each) for family in ("mt5", "mbart", "pegasus") for each in BOTH),
]  # fmt: skip


@pytest.mark.parametrize(("family", "receiver"), CASES)
def test_every_sender_reaches_the_receiver_as_by_hand(family: str, receiver: str) -> None:
    hand = _by_hand(family)
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
    hand = _by_hand("t5")
    for receiver, crosses in (
        ("X0.0.k", True), ("X0.0.v", True), ("X0.0.q", False), ("X0.mlp", False), ("D1.0.k", False),
        ("output", False),
    ):  # fmt: skip
        found = path_patching(
            hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver=receiver
        ).values
        assert bool(np.isnan(found[:2]).all()) != crosses, receiver
        assert bool(np.isnan(found[2:4, :2]).all()) == (receiver in ("X0.0.k", "X0.0.v")), receiver


@pytest.mark.parametrize("family", ["t5", "pegasus"])
def test_through_every_receiver_of_the_states_an_embedding_acts_as_if_patched(family: str) -> None:
    """All paths of the source's embedding, taken together, are the source exchanged."""
    hand = _by_hand(family)
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
    one, other = _by_hand("t5", torch.float32), _by_hand("t5")
    a, b = (
        path_patching(
            each.lm, each.prompt, each.metric, corrupted=CORRUPTED, receiver="X1.1"
        ).values
        for each in (one, other)
    )
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("family", ["bart", "marian"])
def test_where_sums_are_normed_there_are_no_paths_and_it_is_said_why(family: str) -> None:
    hand = _by_hand(family)
    with pytest.raises(
        Unsupported, match="E0 does not pass the residual stream on as it is: it norms"
    ):
        path_patching(hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver="X0.0.k")


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
    hand = _by_hand("t5")
    with pytest.raises(BadParameter, match=words):
        path_patching(hand.lm, hand.prompt, hand.metric, corrupted=CORRUPTED, receiver=receiver)
