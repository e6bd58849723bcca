"""Means, other activations, noise and causal traces of every family, against plain hooked forwards.

The oracle makes what is put in place by itself, of activations that it saw in plain forwards of the
unmodified model. Zero, patch and add with given values: see test_replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import HEAD_SITES, SITES
from interpboard.patching.causal_tracing import STATES, causal_trace
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replacements import REPLACEMENTS, cycle, make_replacement
from interpboard.runs.replay import evaluate
from tests.lm import TOLERANCE, case, fingerprint
from tests.models.test_selfcheck import FORMATS, IN_BOTH
from tests.plain_hooks import Act, Done, plain_activations, plain_metric

OTHER = "When Mary and John went to the store,"
SHORT = "The keys to the cabinet"
IN_FLOAT32 = {"gpt_neo", "gptj", "bloom", "falcon"}  # parts of their attention, always
ABOUT = {"rtol": 1e-6, "atol": 1e-6}
SEED, SCALE, SOME = 4, 1.5, (2, 5)
TURNS = 3  # what is put in place does not know the family: where it goes does
Case = tuple[LanguageModel, PromptInfo, Metric, dict[str, float], dict[str, float]]
Seen = dict[tuple[str, int], torch.Tensor]


@pytest.fixture(
    scope="module",
    params=FORMATS,
    ids=lambda of: f"{of[0]}-{str(of[1]).removeprefix('torch.')}",
)
def family(request: pytest.FixtureRequest) -> Case:
    """A model with a prompt and a metric; how near values must come, and those of attention's inside."""
    name, dtype = request.param
    exact = dtype == torch.float64 and name not in IN_FLOAT32
    near = TOLERANCE[dtype] if exact or dtype == torch.float32 else ABOUT
    # The eager attention of the oracle takes its softmax in float32.
    inside = near if dtype == torch.float32 else ABOUT
    return *case(name, dtype, name="logprob"), near, inside


def _deviation(lm: LanguageModel) -> float:
    with torch.no_grad():
        embedded = lm.anatomy.embedding(torch.arange(lm.anatomy.d_vocab))
    return float(embedded.double().std(correction=0))


def _made(lm: LanguageModel, kind: str, site: str, layer: int, seen: Sequence[Seen]) -> Any:
    """[pos, …] that ``kind`` puts in place of an activation, or adds, where ``seen`` has those of the
    prompt, of an equally long other one and of a short one."""
    own, other, short = (each[site, layer] for each in seen)
    if kind == "noise":  # made in float32, a draw for every layer in turn
        generator = torch.Generator().manual_seed(SEED)
        for at in range(layer + 1):
            drawn = torch.randn(seen[0][site, at].shape, generator=generator)
        return (SCALE * _deviation(lm) * drawn).to(own)
    return {
        "zero": lambda: torch.zeros_like(own),
        "mean": lambda: own.mean(0).expand_as(own),
        "random": lambda: own[cycle(len(own), SEED)],
        "dataset_mean": lambda: torch.cat([other, short]).mean(0).expand_as(own),
        "position_mean": lambda: (own + other) / 2,
        "resample": lambda: other,
    }[kind]()


def _put(value: torch.Tensor, rows: Any, column: Any, add: bool = False) -> Act:
    """``value`` [pos, …] in the place of an activation's ``rows`` and head or neuron, or added there."""

    def act(activation: torch.Tensor) -> torch.Tensor:
        new = activation.clone()
        part, put = (each if column is None else each[:, column] for each in (new[0], value))
        part[rows] = part[rows] + put[rows] if add else put[rows]
        return new

    return act


def test_a_stand_in_is_a_plain_forward_with_it_in_place(family: Case) -> None:
    lm, prompt, metric, near, near_inside = family
    sites = [site for site in SITES if site in lm.verified.sites]
    references = [make_prompt(lm, OTHER), make_prompt(lm, SHORT)]
    seen = [plain_activations(lm, each, sites) for each in (prompt, *references)]
    before = fingerprint(lm)
    run = record(lm, prompt, sites)
    counterfactuals: list[Counterfactual] = []
    expected: list[float] = []
    for number, site in enumerate(sites):
        for turn, kind in enumerate(("resample",) if site == "pattern" else REPLACEMENTS[1:]):
            if lm.info.family not in IN_BOTH and site != "pattern" and (number + turn) % TURNS:
                continue
            layer = 0 if site == "embed" else (number + turn) % lm.anatomy.n_layers
            mean_of = [prompt, references[0]] if kind == "position_mean" else references
            made = make_replacement(run, site, kind, mean_of, SEED, SCALE)
            parts = lm.anatomy.n_kv_heads if site in ("k", "v") else lm.anatomy.n_heads
            column = min(1, parts - 1)  # falcon has one key
            part = column if (number + turn) % 2 and site in (*HEAD_SITES, "neuron") else None
            rows = SOME if turn % 3 == 1 else None
            head, neuron = (None, part) if site == "neuron" else (part, None)
            counterfactuals.append((made.edit(layer, head, neuron, rows),))
            value = _made(lm, kind, site, layer, seen)
            where = slice(None) if rows is None else list(rows)
            done: Done = (site, layer, _put(value, where, part, kind == "noise"))
            expected.append(plain_metric(lm, prompt, metric, [done]))
    measured = evaluate(run, counterfactuals, metric)
    assert fingerprint(lm) == before
    inside = np.array([edits[0].site in ATTENTION_SITES for edits in counterfactuals])
    np.testing.assert_allclose(measured[~inside], np.array(expected)[~inside], **near)
    np.testing.assert_allclose(measured[inside], np.array(expected)[inside], **near_inside)
    moved = np.abs(np.array(expected) - metric.baseline) > 1e-4
    assert moved.mean() > 0.85, "stand-ins hardly act: the test shows nothing"


def test_a_causal_trace_is_plain_forwards_with_noise_and_the_clean_state_back(family: Case) -> None:
    lm, prompt, metric, near, _ = family
    seen = plain_activations(lm, prompt, tuple(STATES.values()))
    generator = torch.Generator().manual_seed(SEED)
    drawn = [torch.randn(2, lm.anatomy.d_model, generator=generator) for _ in range(2)]
    noise = torch.zeros(len(prompt.token_ids), lm.anatomy.d_model, dtype=lm.model.dtype)
    noise[1:3] = 3.0 * _deviation(lm) * drawn[1]  # the second sample's
    drown: Done = ("embed", 0, _put(noise, slice(None), None, add=True))
    noised = plain_metric(lm, prompt, metric, [drown])
    before = fingerprint(lm)
    for state, site in STATES.items():
        result = causal_trace(
            lm, prompt, metric, subject=(1, 2), state=state, window=2, samples=2, seed=SEED
        )
        assert fingerprint(lm) == before
        cells = ((0, 2), (1, 7), (2, 8))
        expected = []
        for layer, at in cells:
            near_by = [layer] if state == "resid" else range(max(0, layer - 1), layer + 1)
            back = [(site, each, _put(seen[site, each], [at], None)) for each in near_by]
            expected.append(plain_metric(lm, prompt, metric, [drown, *back]) - noised)
        measured = [result.extra["per_sample"].values[1, layer, at] for layer, at in cells]
        np.testing.assert_allclose(measured, expected, **near, err_msg=state)
        assert np.abs(expected).max() > 1e-4, "nothing is restored: the test shows nothing"
