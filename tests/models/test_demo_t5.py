"""The shipped encoder–decoder does what its card says, and is looked into as any other."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.models.demo.corpus.recall import held_out_phrasing, prompt_for
from interpboard.models.demo.facts import RELATIONS
from interpboard.models.demo.restating import T5_FOLDER
from interpboard.models.demo.restating.evaluate import RestatingEvaluator
from interpboard.models.demo.restating.pairs import training_pairs
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt

_MOST_BYTES = 3 << 20


@lru_cache(maxsize=1)
def t5_demo() -> LanguageModel:
    return open_model("demo-t5", device="cpu")


@pytest.mark.parametrize("behaviour", ["recall", "restating"])
def test_a_behaviour_reaches_what_the_card_says_of_it(behaviour: str) -> None:
    figure = getattr(RestatingEvaluator.load(), behaviour)()
    assert figure.value >= figure.required, figure


def test_training_shows_no_fact_in_its_held_out_phrasing() -> None:
    held_out = {
        prompt_for(relation.phrasings[held_out_phrasing(relation, fact)], fact)
        for relation in RELATIONS
        for fact in relation.facts
    }
    for pair in islice(training_pairs(random.Random(5)), 2000):
        assert pair.source not in held_out
        assert pair.before not in held_out


def test_the_files_are_small() -> None:
    assert sum(file.stat().st_size for file in T5_FOLDER.iterdir()) <= _MOST_BYTES


def test_what_the_source_says_wins_over_what_was_learnt_and_cross_attention_fetches_it() -> None:
    lm = t5_demo()
    recalled = make_prompt(lm, "The Eiffel Tower is located in the city of")
    assert resolve_metric(lm, recalled, MetricRequest()).info.target.token == " Paris"
    told = make_prompt(
        lm,
        "The Eiffel Tower is located in the city of Rome.",
        decoder_text="The Eiffel Tower is in",
    )
    metric = resolve_metric(lm, told, MetricRequest())
    assert metric.info.target.token == " Rome"
    effects = head_ablation(lm, told, metric)
    crosses = [name.startswith("X") for name in effects.axes[0].labels]
    strongest = np.unravel_index(np.argmin(effects.values), effects.values.shape)
    assert crosses[strongest[0]]


def test_a_subject_of_the_source_is_found_in_the_encoder_and_then_in_the_decoder() -> None:
    lm = t5_demo()
    prompt = make_prompt(lm, "The Eiffel Tower is located in the city of")
    metric = resolve_metric(lm, prompt, MetricRequest())
    found = causal_trace(lm, prompt, metric, subject="Eiffel Tower", samples=4)
    assert found.extra["total_effect"].values > 1
    shares = found.extra["recovered"].values
    assert np.nanmax(shares[found.axes[0].labels.index("X1")]) == pytest.approx(1, abs=1e-3)
    assert np.nanmax(shares[0]) > 0.1
