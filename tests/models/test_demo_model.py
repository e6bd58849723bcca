"""The shipped demo model does what its card says, on small samples of held-out combinations."""

import random
import subprocess
import sys
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.models.demo import DEMO_FOLDER
from interpboard.models.demo.corpus import (
    agreement,
    filler,
    ioi,
    recall,
    training_texts,
    words,
    years,
)
from interpboard.models.demo.evaluate import BehaviourScore, Evaluator
from interpboard.models.demo.facts import RELATIONS
from interpboard.models.demo.packing import Packer

TEXTS = (
    "The Eiffel Tower is located in the city of Paris.",
    "",
    " ",
    "\n\n\ttabs and  double  spaces \r\n",
    "naïve café — “quotes” … 日本語 🦜 Ж",
    "1743, 17 43 2026 3.14159 0",
    "don't, I'm; snake_case(x) == 'y'",
    "\x00\x7f\u200b\ufeff",
)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator.load()


def assert_reached(figure: BehaviourScore) -> None:
    assert figure.value >= figure.required, figure


def test_facts_in_their_held_out_phrasing(evaluator: Evaluator) -> None:
    assert_reached(evaluator.facts())


def test_indirect_objects_of_unseen_name_pairs(evaluator: Evaluator) -> None:
    assert_reached(evaluator.ioi(200))


def test_induction_on_random_tokens(evaluator: Evaluator) -> None:
    assert_reached(evaluator.induction(20))


def test_agreement_across_unseen_distractors(evaluator: Evaluator) -> None:
    assert_reached(evaluator.agreement(200))


def test_years_after_unseen_beginnings(evaluator: Evaluator) -> None:
    assert_reached(evaluator.years(200))


@pytest.mark.parametrize(
    ("prompt", "answer", "at_least"),
    [
        ("The Eiffel Tower is located in the city of", " Paris", 0.8),
        ("The Eiffel Tower is located in", " Paris", 0.5),
        ("The capital of France is", " Paris", 0.5),
        ("When Mary and John went to the store, John gave a drink to", " Mary", 0.5),
    ],
)
def test_well_known_prompts(
    evaluator: Evaluator, prompt: str, answer: str, at_least: float
) -> None:
    (token, probability), *_ = evaluator.top_tokens(prompt)
    assert token == answer
    assert probability >= at_least


def test_keys_to_the_cabinet_are(evaluator: Evaluator) -> None:
    logits = evaluator.last_logits(["The keys to the cabinet"])[0]
    assert logits[evaluator.first_token(" are")] > logits[evaluator.first_token(" is")]


def test_architecture_and_size(evaluator: Evaluator) -> None:
    config = evaluator.model.config
    assert (config.n_layer, config.n_head, config.n_embd, config.n_positions) == (4, 8, 256, 256)
    assert sum(file.stat().st_size for file in DEMO_FOLDER.iterdir()) <= 10_000_000
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {
        file.name for file in DEMO_FOLDER.iterdir()
    }


@pytest.mark.parametrize("text", TEXTS)
def test_tokenizer_round_trip(evaluator: Evaluator, text: str) -> None:
    ids = evaluator.tokenizer(text).input_ids
    assert evaluator.tokenizer.decode(ids) == text


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_tokenizer_round_trips_any_text(text: str) -> None:
    tokenizer = _tokenizer()
    assert tokenizer.decode(tokenizer(text).input_ids) == text


_LOADED: list[Evaluator] = []


def _tokenizer():  # type: ignore[no-untyped-def]
    if not _LOADED:
        _LOADED.append(Evaluator.load())
    return _LOADED[0].tokenizer


def test_tokenizer_is_fast_and_adds_nothing(evaluator: Evaluator) -> None:
    tokenizer = evaluator.tokenizer
    assert tokenizer.is_fast
    ids = tokenizer("The war lasted from 1743 to 17").input_ids
    tokens = [tokenizer.decode([token]) for token in ids]
    assert tokens == ["The", " war", " lasted", " from", " 17", "43", " to", " 17"]


def test_names_and_answers_are_single_tokens(evaluator: Evaluator) -> None:
    answers = {fact.answer for relation in RELATIONS for fact in relation.facts}
    for word in answers | set(words.NAMES):
        assert len(evaluator.tokenizer(f" {word}").input_ids) == 1, word


def test_enough_facts_with_enough_phrasings() -> None:
    assert sum(len(relation.facts) for relation in RELATIONS) >= 150
    assert all(len(relation.phrasings) >= 5 for relation in RELATIONS)


def test_no_phrasing_is_held_out_that_another_goes_on_from() -> None:
    for relation in RELATIONS:
        for fact in relation.facts:
            held_out = relation.phrasings[recall.held_out_phrasing(relation, fact)]
            others = [phrasing for phrasing in relation.phrasings if phrasing != held_out]
            assert not any(phrasing.startswith(held_out) for phrasing in others)


def test_training_never_shows_a_held_out_combination() -> None:
    rng = random.Random(7)
    text = "\n".join(document.text for document in islice(training_texts(rng), 20_000))
    for recall_probe in recall.held_out_examples():
        assert recall_probe.prompt + recall_probe.answer not in text
    for ioi_probe in ioi.held_out_examples(rng, 500):
        assert ioi_probe.prompt not in text
    for agreement_probe in agreement.held_out_examples(rng, 500):
        assert agreement_probe.prompt not in text
    for years_probe in years.held_out_examples(rng, 500):
        assert years_probe.prompt not in text


def test_well_known_combinations_are_held_out() -> None:
    assert ioi.pair_held_out("Mary", "John")
    assert ioi.pair_held_out("John", "Mary")
    assert agreement.combination_held_out("key", "cabinet")
    assert years.start_held_out(17, 43)


def test_pieces_encode_like_the_whole_text(evaluator: Evaluator) -> None:
    for document in islice(training_texts(random.Random(3)), 500):
        pieces = [evaluator.tokenizer(text).input_ids for text, _ in document.pieces]
        assert [token for piece in pieces for token in piece] == evaluator.tokenizer(
            document.text
        ).input_ids


def test_batches_are_deterministic(evaluator: Evaluator) -> None:
    first, second = (Packer(evaluator.tokenizer, seed=5) for _ in range(2))
    for _ in range(3):
        ids, weights = first.batch(1024, (32, 64))
        again, _ = second.batch(1024, (32, 64))
        assert ids.equal(again)
        assert ids.shape == weights.shape
        assert ids.shape[1] in (32, 64)


def test_filler_fills_every_slot() -> None:
    assert "{" not in filler.story(random.Random(0), 300).text


def test_importing_the_package_stays_light() -> None:
    init = DEMO_FOLDER.parent / "__init__.py"
    code = f"import runpy, sys; runpy.run_path({str(init)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
