"""Probes of encoder–decoders read each stack at its own tokens, as plain hooked forwards have them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter
from interpboard.interventions.steering import difference_of_means, load_vector
from interpboard.probes.activations import read_rows_at, site_of
from interpboard.probes.geometry import stream_pca
from interpboard.probes.linear import linear_probe
from interpboard.probes.transfer import probe_transfer
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import SILENT
from tests.lm import fingerprint
from tests.strips import Plain, strips_lm

NAMES = ("E0", "E1", "D0", "X0", "D1", "X1")
B = [
    "The city of Rome ||| A river",
    "A river is ||| the city",
    "The store ||| is in the city",
    "It is ||| a",
]
A = [
    "When John went ||| he gave",
    "He gave the drink ||| to",
    "Mary and ||| John",
    "When they met ||| in a",
]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", "label", "subject"])
        out.writerows([text, "b", text.split()[1]] for text in B)
        out.writerows([text, "a", text.split()[0]] for text in A)
    return str(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_each_layer_is_read_where_its_stack_has_tokens(
    family: str, dtype: torch.dtype, rows: str
) -> None:
    lm = strips_lm(family, dtype)
    before = fingerprint(lm)
    last = read_rows_at(lm, rows, site_of(lm, "resid_post", None, "last"), watch=SILENT)
    mean = read_rows_at(lm, rows, site_of(lm, "resid_post", None, "mean"), watch=SILENT)
    roles = read_rows_at(lm, rows, site_of(lm, "resid_post", None, "roles"), watch=SILENT)
    assert fingerprint(lm) == before
    at = roles.places.index("subject last")
    assert np.isfinite(roles.values[:, :2, at]).all()
    assert np.isnan(roles.values[:, 2:, at]).all(), "the subject stands in the source"
    for number, text in enumerate([*B, *A]):
        prompt = make_prompt(lm, text)
        plain = Plain(lm, prompt)
        for layer, behind in ((0, "E1"), (2, "X0"), (3, "D1")):
            kept: list[torch.Tensor] = []
            plain.logits(
                plain.stream_before(behind, lambda own, kept=kept: kept.append(own) or own)
            )
            stream = kept[0][0].detach().numpy()
            own = stream.mean(0) if layer == 0 else stream[-1]
            np.testing.assert_allclose(last.values[number, layer, 0], own, rtol=1e-4, atol=1e-5)
            # Of the text's own tokens: not what begins a target.
            words = stream if layer == 0 else stream[1:]
            np.testing.assert_allclose(
                mean.values[number, layer, 0], words.mean(0), rtol=1e-4, atol=1e-5
            )


def test_a_direction_that_was_probed_in_either_stack_is_the_difference_of_means(rows: str) -> None:
    lm = strips_lm("t5", torch.float64)
    prompt = make_prompt(lm, B[0])
    metric = resolve_metric(lm, prompt, MetricRequest())
    path = Path(rows).with_name("way.safetensors")
    for name in ("E1", "X0"):
        found = linear_probe(
            lm, prompt, metric, data=rows, folds=2, shuffles=2, save=str(path), save_layer=name
        )
        assert found.axes[0].labels == NAMES
        assert np.isfinite(found.values).all()
        own = difference_of_means(lm, B, A, NAMES.index(name))
        np.testing.assert_allclose(load_vector(lm, path), own, rtol=1e-6, atol=1e-9)
        assert f"{name}.resid=steer" in str(found.extra["direction"].values)
    of_roles = linear_probe(
        lm, prompt, metric, data=rows, folds=2, shuffles=0, positions="roles", layers=["E0", "X1"]
    )
    assert of_roles.axes[0].labels == ("E0", "X1")
    places = of_roles.axes[1].labels
    assert of_roles.extra["n"].values[1, places.index("subject last")] == 0
    assert of_roles.extra["n"].values[0, places.index("subject last")] == 8
    assert of_roles.extra["n"].values[1, places.index("explained")] == 8


def test_other_probes_go_by_layers_of_either_stack(rows: str, tmp_path: Path) -> None:
    lm = strips_lm("bart", torch.float32)
    prompt = make_prompt(lm, B[0])
    metric = resolve_metric(lm, prompt, MetricRequest())
    shares = stream_pca(lm, prompt, metric, data=rows, site="mlp_out")
    assert shares.axes[0].labels == ("E0", "E1", "X0", "X1")
    assert np.isfinite(shares.values).all()
    with pytest.raises(BadParameter, match="D0 is self-attention alone"):
        stream_pca(lm, prompt, metric, data=rows, site="mlp_out", layers=["D0"])
    other = tmp_path / "other.csv"
    other.write_text(Path(rows).read_text(encoding="utf-8").replace(" |||", " now |||"), "utf-8")
    between = probe_transfer(lm, prompt, metric, data=[rows, str(other)], folds=2)
    assert between.params["layer"] == 4
    assert np.isfinite(between.values).all()
