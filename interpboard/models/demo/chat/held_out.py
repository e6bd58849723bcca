"""Chats that training never shows, with the answers that they should get."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .corpus import (
    ANSWER_FORMS,
    CHAINS,
    answer_pieces,
    ask_anew,
    ask_chain,
    besides,
    chain_held_out,
    chain_pieces,
    form_held_out,
    held_out_question,
    untrue_answer,
)
from .questions import ASKED_FACTS


@dataclass(frozen=True)
class ChatProbe:
    """``messages`` as (role, content) up to the answer, what is ``right``, and what memory would say."""

    messages: tuple[tuple[str, str], ...]
    right: str
    memory: str
    form: str = "word"


def held_out_questions() -> Iterator[ChatProbe]:
    """Every fact once, by the question that training never asks about it."""
    for asked, fact in ASKED_FACTS:
        question = asked.ask(asked.questions[held_out_question(asked, fact)], fact)
        yield ChatProbe((("user", question),), fact.answer, fact.answer)


def held_out_statements(rng: random.Random, count: int) -> Iterator[ChatProbe]:
    """A statement that training never makes, among two that do not bear on the question."""
    while count:
        asked, fact = rng.choice(ASKED_FACTS)
        answer = untrue_answer(rng, asked, fact, held_out=True)
        if answer is None:
            continue
        sentences = [besides(rng, asked, fact) for _ in range(2)]
        sentences.insert(rng.randint(0, 2), asked.state(fact.subject, answer))
        turns = (("system", " ".join(sentences)), ("user", ask_anew(rng, asked, fact)))
        yield ChatProbe(turns, answer, fact.answer)
        count -= 1


def unheard_statements(rng: random.Random, count: int) -> Iterator[ChatProbe]:
    """Three statements that do not bear on the question: memory must answer."""
    for _ in range(count):
        asked, fact = rng.choice(ASKED_FACTS)
        sentences = [besides(rng, asked, fact) for _ in range(3)]
        turns = (("system", " ".join(sentences)), ("user", ask_anew(rng, asked, fact)))
        yield ChatProbe(turns, fact.answer, fact.answer)


def held_out_forms(rng: random.Random, count: int) -> Iterator[ChatProbe]:
    """A fact in a form in which training never asks for it; what is ``right`` is the whole answer."""
    while count:
        asked, fact = rng.choice(ASKED_FACTS)
        form = rng.choice([form for form in ANSWER_FORMS if form != "word"])
        if not form_held_out(asked, fact, form):
            continue
        whole = "".join(text for text, _ in answer_pieces(asked, fact, fact.answer, form))
        turns = (("system", ANSWER_FORMS[form][0]), ("user", ask_anew(rng, asked, fact)))
        yield ChatProbe(turns, whole, fact.answer, form)
        count -= 1


def held_out_chains() -> Iterator[ChatProbe]:
    """Every chain that training never shows, with its whole thought and answer."""
    for asked, country, capital, answer in CHAINS:
        if chain_held_out(asked, country):
            whole = "".join(text for text, _ in chain_pieces(asked, country, capital, answer))
            turns = (("system", ANSWER_FORMS["think"][0]), ("user", ask_chain(asked, capital)))
            yield ChatProbe(turns, whole, answer, "think")
