"""Path patching of encoders that norm their sums, against path patches by hooks alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interpboard.errors import Unsupported
from interpboard.patching.paths import path_patching
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import fingerprint
from tests.masked import HEADS, LAYERS, OTHER, TEXT, masked_lm
from tests.row_paths import RowByHand

MLP, EMBED = HEADS, HEADS + 1


def _senders() -> list[tuple[tuple[int, int], str]]:
    """The cell of each, and its name."""
    heads = [((i, h), f"{i}.{h}") for i in range(LAYERS) for h in range(HEADS)]
    return [((0, EMBED), "embed"), *heads, *(((i, MLP), f"{i}.mlp") for i in range(LAYERS))]


def _moment(name: str) -> float:
    """When a sender writes, or a receiver reads: the heads of a layer before its MLP."""
    if name in ("embed", "output"):
        return -1 if name == "embed" else 2 * LAYERS
    layer, part = name.split(".")[:2]
    return 2 * int(layer) + (part == "mlp")


@pytest.mark.parametrize("receiver", ["0.mlp", "1.2.q", "1.3.k", "1.0.v", "1.mlp", "output"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "mpnet"])
def test_every_sender_reaches_the_receiver_as_by_hand(family: str, receiver: str) -> None:
    hand, lm = RowByHand(family), masked_lm(family)
    before = fingerprint(lm)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", "paris", "rome"))
    found = path_patching(lm, prompt, metric, corrupted=OTHER, receiver=receiver).extra["metric"]
    reached = 0
    for cell, sender in _senders():
        value, expected = found.values[cell], hand.without(sender, receiver)
        assert np.isnan(value) == (_moment(sender) >= _moment(receiver))
        if np.isnan(value):  # no path: by hand nothing comes of it
            assert expected == pytest.approx(metric.baseline, rel=1e-9)
            continue
        assert value == pytest.approx(expected, rel=1e-7, abs=1e-9)
        reached += abs(expected - metric.baseline) > 1e-7
    assert reached
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "albert"])
def test_all_paths_of_a_sender_together_are_the_sender_patched(family: str) -> None:
    lm = masked_lm(family)
    prompt, other = make_prompt(lm, TEXT), make_prompt(lm, OTHER)
    request = MetricRequest("logit_diff", "paris", "rome")
    metric, expected = (resolve_metric(lm, each, request) for each in (prompt, other))
    receivers = [f"{i}.{part}" for i in range(LAYERS) for part in ("attn", "mlp")]
    found = path_patching(lm, prompt, metric, corrupted=OTHER, receiver=[*receivers, "output"])
    assert found.extra["metric"].values[0, EMBED] == pytest.approx(expected.baseline, rel=1e-7)
    assert found.extra["share"].values[0, EMBED] == pytest.approx(1, rel=1e-7)
    source = record(lm, other, ("z", "mlp_out")).sites
    for layer in range(LAYERS):
        z, mlp = (source[site][layer][0] for site in ("z", "mlp_out"))
        edits = [Edit("z", layer, "patch", head, value=z[:, head]) for head in range(HEADS)]
        edits.append(Edit("mlp_out", layer, "patch", value=mlp))
        patched = evaluate(record(lm, prompt), [(edit,) for edit in edits], metric)
        own = found.extra["metric"].values[layer, : MLP + 1]
        np.testing.assert_allclose(own, patched, rtol=1e-7, atol=1e-9)


def test_layers_that_cannot_be_called_again_are_refused_by_that_reason() -> None:
    lm = masked_lm("bert")
    hooked = replace(lm, verified=replace(lm.verified, path="hooks"))
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", "paris"))
    with pytest.raises(Unsupported, match="calls layers again, which on this model is not exact"):
        path_patching(hooked, prompt, metric, corrupted=OTHER)
