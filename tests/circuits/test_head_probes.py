"""What heads look at, counted entry by entry and on patterns made by hand; when that makes a type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.heads import probes as head_probes
from interpboard.circuits.heads.probes import (
    Probe,
    attention_probes,
    random_repeats,
)
from interpboard.circuits.heads.types import SCORES, above_chance, labels_of
from interpboard.runs.watch import SILENT
from tests.circuits.eager import eager_patterns
from tests.lm import fingerprint, tiny_lm


def test_the_second_segment_repeats_the_first_or_is_shuffled_without_a_fixed_place() -> None:
    lm = tiny_lm("llama")
    repeats = random_repeats(lm, samples=5, length=9, seed=3)
    assert repeats.ids.shape == (5, 2, repeats.offset + 18)
    for repeated, shuffled in repeats.ids[:, :, repeats.offset :]:
        assert len(set(repeated[:9].tolist())) == 9
        assert repeated[9:].tolist() == repeated[:9].tolist() == shuffled[:9].tolist()
        assert sorted(shuffled[9:].tolist()) == sorted(shuffled[:9].tolist())
        assert (shuffled[9:] != shuffled[:9]).all()
    again = random_repeats(lm, samples=5, length=9, seed=3)
    assert torch.equal(repeats.ids, again.ids)
    assert not torch.equal(repeats.ids, random_repeats(lm, 5, 9, seed=4).ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
def test_attention_scores_are_pattern_entries_counted_one_by_one(
    family: str, dtype: torch.dtype
) -> None:
    lm = tiny_lm(family, dtype)
    before = fingerprint(lm)
    repeats = random_repeats(lm, samples=2, length=6, seed=1)
    probes = attention_probes(lm, repeats, seed=1, watch=SILENT)
    assert fingerprint(lm) == before
    for sample, ids in enumerate(repeats.ids):
        patterns = eager_patterns(lm, ids)
        for layer in range(3):
            for head in range(4):
                repeated, shuffled = patterns[layer, :, head]
                expected = {
                    "previous_token": [np.mean([repeated[q, q - 1] for q in range(1, 12)]), None],
                    "duplicate_token": [
                        np.mean([p[q, q - 6] for q in range(6, 12)]) for p in (repeated, shuffled)
                    ],
                    "induction": [
                        np.mean([p[q, q - 5] for q in range(6, 12)]) for p in (repeated, shuffled)
                    ],
                }
                for name, (value, null) in expected.items():
                    found = probes[name]
                    assert found.values[sample, layer, head] == pytest.approx(value, abs=1e-6)
                    if null is not None:
                        assert found.null[sample, layer, head] == pytest.approx(null, abs=1e-6)


def test_heads_made_by_hand_get_the_whole_score_of_their_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, length = tiny_lm("gpt2"), 8
    n_pos = 2 * length

    def by_hand(_lm: Any, ids: torch.Tensor, _layers: Any, hear: Any) -> None:
        patterns = torch.zeros(2, n_pos, 4, n_pos)
        for row, tokens in enumerate(ids.tolist()):
            for query, token in enumerate(tokens):
                patterns[row, query, 0, max(query - 1, 0)] = 1
                earlier = [k for k in range(query) if tokens[k] == token]
                patterns[row, query, 1, earlier[0] if earlier else 0] = 1
                patterns[row, query, 2, earlier[0] + 1 if earlier else 0] = 1
                patterns[row, query, 3, max(query - length + 1, 0)] = 1  # by position alone
        hear(0, patterns)

    monkeypatch.setattr(head_probes, "each_pattern", by_hand)
    probes = attention_probes(lm, random_repeats(lm, 6, length, 0), 0, SILENT)
    means = {name: probe.values.mean(0)[0] for name, probe in probes.items()}
    np.testing.assert_allclose(means["previous_token"], [1, *means["previous_token"][1:]])
    np.testing.assert_allclose(means["duplicate_token"][:3], [0, 1, 0])
    # The first of the second segment comes right behind the first segment: q − length + 1 is not q − 1.
    np.testing.assert_allclose(means["induction"], [0, 0, 1, 1])
    z = {name: above_chance(probe)[0] for name, probe in probes.items()}
    assert z["induction"][2] > 3
    assert z["induction"][3] == 0  # it looks there also where nothing repeats
    assert z["duplicate_token"][1] > 3
    assert z["previous_token"][0] > 3


def test_distance_above_chance_is_known_by_hand() -> None:
    values = np.array([0.4, 0.6])[:, None, None]
    null = np.array([0.1, 0.2, 0.3])[:, None, None]
    expected = (0.5 - 0.2) / np.sqrt(0.02 / 2 + 0.01 / 3)
    assert above_chance(Probe(values, null))[0, 0] == pytest.approx(expected)
    one = Probe(values[:1], null)  # a single score against the spread of the others
    assert above_chance(one)[0, 0] == pytest.approx((0.4 - 0.2) / 0.1)
    assert np.isnan(above_chance(Probe(values[:1], null[:1]))[0, 0])
    sure = Probe(np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
    assert above_chance(sure)[0, 0] == pytest.approx(1000)


def test_a_label_needs_size_and_certainty_and_prefers_what_a_head_looks_at() -> None:
    scores = np.zeros((5, 1, 5))
    z = np.full((5, 1, 5), 10.0)
    scores[SCORES.index("induction"), 0, 0] = 0.5
    scores[SCORES.index("copying"), 0, 0] = 0.9
    scores[SCORES.index("copying"), 0, 1] = 0.9
    scores[SCORES.index("induction"), 0, 2] = 0.1
    scores[SCORES.index("previous_token"), 0, 3] = 0.5
    z[SCORES.index("previous_token"), 0, 3] = 2.9
    scores[SCORES.index("name_mover"), 0, 4] = z[SCORES.index("name_mover"), 0, 4] = np.nan
    labels = labels_of(scores, np.zeros_like(scores), z)
    assert labels[0].tolist() == ["induction", "copying", "", "", ""]
