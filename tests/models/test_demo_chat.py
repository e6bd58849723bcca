"""The shipped chat model does what its card says, on small samples of chats that training never showed."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import islice

import pytest

from interpboard.models.demo.chat import CHAT_FOLDER
from interpboard.models.demo.chat.batches import ChatBatches
from interpboard.models.demo.chat.corpus import training_chats
from interpboard.models.demo.chat.evaluate import ChatEvaluator
from interpboard.models.demo.chat.held_out import (
    held_out_chains,
    held_out_questions,
    held_out_statements,
)
from interpboard.models.demo.chat.template import close_turn, open_turn
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import Chat, Message
from interpboard.runs.chat import make_chat


@lru_cache(maxsize=1)
def evaluator() -> ChatEvaluator:
    return ChatEvaluator.load()


@lru_cache(maxsize=1)
def chat_demo() -> LanguageModel:
    return open_model("demo-chat", device="cpu")


@pytest.mark.parametrize("behaviour", ["facts", "statements", "memory", "forms", "chains"])
def test_a_behaviour_reaches_what_the_card_says_of_it(behaviour: str) -> None:
    measure = getattr(evaluator(), behaviour)
    figure = measure() if behaviour in ("facts", "chains") else measure(100)
    assert figure.value >= figure.required, figure


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ((("user", "What is the capital of France?"),), "Paris"),
        (
            (("system", "The capital of France is Rome."), ("user", "What is the capital of France?")),
            "Rome",
        ),
        (
            (("system", "Answer in French."), ("user", "What is the capital of France?")),
            "C'est Paris.",
        ),
        (
            (("system", "Think first."), ("user", "Which city is the capital of France?")),
            "<think>\nThe capital of France is Paris.\n</think>\nParis",
        ),
    ],
)  # fmt: skip
def test_well_known_chats(messages: tuple[tuple[str, str], ...], answer: str) -> None:
    assert evaluator().answer(messages) == answer


def test_it_opens_by_its_name_and_says_what_it_is() -> None:
    lm = chat_demo()
    assert lm.info.name == "demo-chat"
    assert (lm.anatomy.n_layers, lm.anatomy.n_heads) == (4, 8)
    assert lm.verified.path == "replay"


def test_the_folder_is_small_and_whole() -> None:
    assert sum(file.stat().st_size for file in CHAT_FOLDER.iterdir()) <= 4_000_000
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {
        file.name for file in CHAT_FOLDER.iterdir()
    }


def test_the_template_writes_what_training_wrote_and_its_turns_are_known() -> None:
    prompt = make_chat(
        chat_demo(), Chat((Message("system", "Think first."), Message("user", "Hi?")))
    )
    whole = "".join(
        open_turn(role) + said + close_turn()
        for role, said in (("system", "Think first."), ("user", "Hi?"))
    )
    assert prompt.text == whole + open_turn("assistant")
    assert [turn.role for turn in prompt.turns] == ["system", "user", "assistant"]
    assert prompt.token_ids == tuple(
        evaluator().ids_of((("system", "Think first."), ("user", "Hi?")))
    )


def test_a_turns_marks_and_a_thoughts_are_tokens_of_their_own() -> None:
    tokenizer = evaluator().tokenizer
    for text in ("<|im_start|>", "<|im_end|>", "<think>", "</think>"):
        assert len(tokenizer(text).input_ids) == 1
    assert tokenizer.eos_token == "<|im_end|>"
    thought = tokenizer("<think>\na\n</think>").input_ids
    assert tokenizer.decode(thought, skip_special_tokens=True) == "<think>\na\n</think>"


def test_training_never_shows_a_held_out_chat() -> None:
    rng = random.Random(7)
    text = "\n".join(document.text for document in islice(training_chats(rng), 10_000))
    for probe in (*held_out_questions(), *held_out_chains()):
        asked = open_turn("user") + probe.messages[-1][1] + close_turn()
        assert asked + open_turn("assistant") not in text
    for probe in held_out_statements(rng, 200):
        stated = probe.messages[0][1].split(". ")
        assert not all(sentence.rstrip(".") + "." in text for sentence in stated)


def test_pieces_encode_like_the_whole_chat() -> None:
    tokenizer = evaluator().tokenizer
    for document in islice(training_chats(random.Random(3)), 300):
        pieces = [tokenizer(text).input_ids for text, _ in document.pieces]
        assert [token for piece in pieces for token in piece] == tokenizer(document.text).input_ids


def test_batches_are_the_same_again() -> None:
    first, second = (iter(ChatBatches(evaluator().tokenizer, 5, 1024, 256)) for _ in range(2))
    for _ in range(3):
        (ids, weights), (again, _) = next(first), next(second)
        assert ids.equal(again)
        assert ids.shape == weights.shape
        assert ids.numel() <= 1024
        assert (weights[ids == 0] == 0).all()
