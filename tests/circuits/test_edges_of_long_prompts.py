"""Circuits of long prompts: what edges carry is read in blocks of positions, layers are computed anew.

What saves memory changes no value, and what is saved is held by a limit of the process.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import torch

from interpboard.circuits.discovery import differences, edge_evaluator
from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import read_examples
from interpboard.models import memory
from interpboard.runs import steps
from interpboard.runs.kept import KeptCells
from interpboard.runs.watch import Watch
from tests.circuits.test_edge_runs import CLEAN, CORRUPTED, evaluator
from tests.forks import program
from tests.lm import fingerprint

BLOCKS = 60_000
"""Bytes with which the tiny models' prompts are read two to four positions at a time."""


def with_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(differences.WHOLE_BYTES, "cpu", BLOCKS)
    monkeypatch.setattr(steps, "MEMORY_A_STEP", 1)


@pytest.mark.parametrize("method", ["eap", "eap_ig"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "phi3", "opt"])  # opt's MLPs see no rows
def test_scores_are_the_same_in_blocks_and_a_layer_at_a_time(
    family: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluator(family)
    lm = found.wiring.lm
    expected = edge_scores(found, method, 2)
    before = fingerprint(lm)
    with_little_memory(monkeypatch)
    assert steps.layers_are_recomputed(lm, 1)
    scores = edge_scores(found, method, 2)
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(expected).max() > 1e-3
    assert fingerprint(lm) == before


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_a_run_with_some_edges_is_the_same_in_blocks(
    family: str, ablation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluator(family)
    graph = whole.wiring.graph
    edges = graph.edges & (np.random.default_rng(1).random(graph.edges.shape) < 0.5)
    cases = whole.batches[0].cases
    made = [EdgeEvaluator.of(whole.wiring.lm, cases, ablation=ablation)]
    expected = made[0].value(edges)
    with_little_memory(monkeypatch)
    made.append(EdgeEvaluator.of(whole.wiring.lm, cases, ablation=ablation))
    stream = torch.zeros(
        1, whole.batches[0].clean.shape[1], whole.wiring.lm.anatomy.d_model
    ).double()
    assert len(list(differences.Differences(whole.wiring, stream, stream.dtype).blocks())) > 2
    assert made[1].value(edges) == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(made[0].on_clean, abs=1e-4)


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
def test_batches_of_as_many_rows_keep_their_own_runs(
    ablation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = evaluator("llama").wiring.lm
    lines = [
        {"clean": clean, "corrupted": corrupted, "target": "a", "foil": foil}
        for clean, corrupted, foil in (
            (CLEAN, CORRUPTED, "b"), (CORRUPTED, CLEAN, "c"),
            (f"{CLEAN} {CLEAN}", f"{CLEAN} {CORRUPTED}", "b"),
        )
    ]  # fmt: skip
    cases = tokenize_examples(lm, read_examples(lines))
    apart = [EdgeEvaluator.of(lm, [case], ablation="corrupted") for case in cases]
    monkeypatch.setattr(edge_evaluator, "whole_bytes", lambda _device: 1)
    found = EdgeEvaluator.of(lm, cases, ablation=ablation)
    assert [len(batch.cases) for batch in found.batches] == [1, 1, 1]
    graph, watch = found.wiring.graph, Watch(kept=KeptCells("of three batches"))
    half = graph.edges & (np.random.default_rng(1).random(graph.edges.shape) < 0.5)
    assert found.recovered(graph.edges, watch) == pytest.approx(1, abs=1e-8)
    assert found.recovered(graph.edges & False, watch) == pytest.approx(0, abs=1e-8)
    if ablation == "corrupted":
        assert len({round(one.value(half), 6) for one in apart}) == 3
        for _ in range(2):  # made, and kept
            expected = np.mean([one.value(half) for one in apart])
            assert found.value(half, watch) == pytest.approx(expected)
        scores = np.mean([edge_scores(one, "eap") for one in apart], axis=0)
        np.testing.assert_allclose(edge_scores(found, "eap"), scores, atol=1e-9)


def test_where_little_memory_is_free_what_is_read_together_is_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = evaluator("gpt2")
    expected = edge_scores(found, "eap", 2)
    stream = torch.zeros(1, found.batches[0].clean.shape[1], found.wiring.lm.anatomy.d_model)
    assert not differences.Differences(found.wiring, stream, stream.dtype).in_blocks
    monkeypatch.setattr(memory, "_free", lambda _device: 8 * BLOCKS)
    assert differences.Differences(found.wiring, stream.double(), stream.dtype).in_blocks
    np.testing.assert_allclose(edge_scores(found, "eap", 2), expected, rtol=1e-9, atol=1e-12)


def test_a_circuit_of_a_long_prompt_is_found_in_less_memory_than_its_senders_would_take() -> None:
    # Senders × positions × d_model are 67 × 1,000 × 512 numbers, 131 MiB, and a layer has 96 inputs as large.
    ended = subprocess.run(
        program("tests.little_memory", "circuit", "288"),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-1500:]
    assert "(3526,)" in ended.stdout
