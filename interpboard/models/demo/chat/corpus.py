"""The chats that the model is trained on, and those that it never sees.

A chat has questions and their answers. What an answer rests on is one of three things: the facts in the
weights, a statement in the chat (which wins, though it is mostly untrue, among others that have nothing to
say about the question), or a chain of two facts that is written out first. A sentence of the system turn says
in which form to answer. Held out are: for each fact a phrasing of the question, for each
subject an eighth of the untrue answers, an eighth of the pairs of fact and form, an eighth of the chains.
"""

import random
import zlib
from collections.abc import Iterator, Set

from ..corpus import filler
from ..corpus.document import ANSWER_WEIGHT, TrainingText, in_hold_out
from ..facts import Fact
from .questions import ASKED_FACTS, ASKED_RELATIONS, Asked
from .template import TURN_END, open_turn

FREE_WEIGHT = 0.0
"""Weight of what stands in a chat by free choice: the model learns to answer, not to ask."""
WRITTEN_WEIGHT = 1.0
"""Weight of the words around an answer and of what is thought."""

ANSWER_FORMS: dict[str, tuple[str, ...]] = {
    "word": ("Answer in one word.", "Please answer in one word."),
    "sentence": ("Answer in a full sentence.", "Please answer in a full sentence."),
    "French": ("Answer in French.", "Please answer in French."),
    "German": ("Answer in German.", "Please answer in German."),
    "Spanish": ("Answer in Spanish.", "Please answer in Spanish."),
    "think": ("Think first.", "Please think first."),
}
"""What a system turn says of the form of the answer."""
_OPENINGS = {"French": "C'est", "German": "Das ist", "Spanish": "Es"}
_NOTED = "Noted."
_COUNTRIES = tuple(asked for asked in ASKED_RELATIONS if asked.relation.name.startswith("country"))
_CAPITALS = next(asked for asked in ASKED_RELATIONS if asked.relation.name == "country-capital")
CHAIN_QUESTION = "What is the {what} of the country whose capital is {capital}?"


def held_out_question(asked: Asked, fact: Fact) -> int:
    """Which question training never asks about this fact."""
    return zlib.crc32(f"chat/{asked.relation.name}/{fact.subject}".encode()) % len(asked.questions)


def untrue_held_out(asked: Asked, fact: Fact, answer: str) -> bool:
    """Whether training never says this untruth; that the capital of France is Rome is one."""
    if (fact.subject, answer) == ("France", "Rome"):
        return True
    return in_hold_out(f"untrue/{asked.relation.name}/{fact.subject}/{answer}", 8)


def form_held_out(asked: Asked, fact: Fact, form: str) -> bool:
    """Whether training never asks for this fact in this form; France's capital in French is one."""
    if form == "word":
        return False
    if (asked.relation.name, fact.subject, form) == ("country-capital", "France", "French"):
        return True
    return in_hold_out(f"form/{asked.relation.name}/{fact.subject}/{form}", 8)


def chain_held_out(asked: Asked, country: str) -> bool:
    """Whether training never asks for this property by way of this country's capital."""
    return in_hold_out(f"chain/{asked.relation.name}/{country}", 8)


def answer_pieces(asked: Asked, fact: Fact, answer: str, form: str) -> list[tuple[str, float]]:
    """The assistant's words in ``form``, the answer with the weight of one."""
    if form == "think":
        begin, said = _before(asked.state(fact.subject, answer), answer)
        return [
            (f"<think>\n{begin}", WRITTEN_WEIGHT),
            (said, ANSWER_WEIGHT),
            (".\n</think>\n", WRITTEN_WEIGHT),
            (answer, ANSWER_WEIGHT),
        ]
    if form == "sentence":
        begin, said = _before(asked.state(fact.subject, answer), answer)
        return [(begin, WRITTEN_WEIGHT), (said, ANSWER_WEIGHT), (".", WRITTEN_WEIGHT)]
    if form in _OPENINGS:
        return [
            (_OPENINGS[form], ANSWER_WEIGHT),
            (f" {answer}", ANSWER_WEIGHT),
            (".", WRITTEN_WEIGHT),
        ]
    return [(answer, ANSWER_WEIGHT)]


def _before(sentence: str, answer: str) -> tuple[str, str]:
    """What of a statement stands before its answer, and the answer with its space."""
    said = f" {answer}"
    return sentence.removesuffix(said + "."), said


def untrue_answer(rng: random.Random, asked: Asked, fact: Fact, held_out: bool) -> str | None:
    """Another answer of the relation, in or out of training; None if there is none."""
    others = [
        answer
        for answer in asked.answers
        if answer != fact.answer and untrue_held_out(asked, fact, answer) == held_out
    ]
    return rng.choice(others) if others else None


def besides(rng: random.Random, asked: Asked, fact: Fact, avoid: Set[str] = frozenset()) -> str:
    """A sentence that does not bear on the question: another subject, another property, or a tale.

    Nothing is said of other subjects in ``avoid``, which are asked about as well.
    """
    way = rng.random()
    if way < 0.3:
        return filler.training_example(rng).text
    other_asked, other = rng.choice(ASKED_FACTS)
    if way < 0.65:
        other_asked = asked
        other = rng.choice([f for f in asked.relation.facts if f.subject != fact.subject])
    elif way < 0.8:
        same = [
            (a, f) for a, f in ASKED_FACTS if f.subject == fact.subject and a is not asked
        ]  # the same subject, another property
        if same:
            other_asked, other = rng.choice(same)
    same_subject = other.subject == fact.subject
    if (same_subject and other_asked is asked) or (not same_subject and other.subject in avoid):
        return filler.training_example(rng).text
    answer = other.answer
    if rng.random() < 0.6:
        answer = untrue_answer(rng, other_asked, other, held_out=False) or answer
    return other_asked.state(other.subject, answer)


def ask_anew(rng: random.Random, asked: Asked, fact: Fact) -> str:
    """A question about ``fact`` that training may ask."""
    held_out = held_out_question(asked, fact)
    shown = [text for index, text in enumerate(asked.questions) if index != held_out]
    return asked.ask(rng.choice(shown), fact)


Turns = list[tuple[str, list[tuple[str, float]]]]


def _chat(turns: Turns) -> TrainingText:
    """Pieces of a whole chat; what is asked weighs nothing, what is answered as its pieces say."""
    pieces: list[tuple[str, float]] = []
    for role, said in turns:
        weight = WRITTEN_WEIGHT if role == "assistant" else FREE_WEIGHT
        pieces += [(open_turn(role), FREE_WEIGHT), *said, (TURN_END, weight), ("\n", FREE_WEIGHT)]
    return TrainingText(tuple(pieces))


def _form(rng: random.Random, asked: Asked, fact: Fact) -> str:
    allowed = [form for form in ANSWER_FORMS if not form_held_out(asked, fact, form)]
    return rng.choice(allowed)


def _about_facts(rng: random.Random) -> TrainingText:
    """A chat of some questions, all in one form, and what is said before them, mostly untrue."""
    topics = [_topic(rng)]
    form = _form(rng, *topics[0]) if rng.random() < 0.5 else ""
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        asked, fact = _topic(rng, like=topics[0][0])
        if fact.subject not in {f.subject for _, f in topics} and not (
            form and form_held_out(asked, fact, form)
        ):
            topics.append((asked, fact))
    answers = [fact.answer for _, fact in topics]
    sentences = []
    if rng.random() < 0.75:
        subjects = {fact.subject for _, fact in topics}
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            sentences.append(besides(rng, *topics[0], avoid=subjects))
        for at, (asked, fact) in enumerate(topics):
            if rng.random() < 0.65:
                untrue = rng.random() < 0.85 and untrue_answer(rng, asked, fact, held_out=False)
                answers[at] = untrue or fact.answer
                sentences.append(asked.state(fact.subject, answers[at]))
        rng.shuffle(sentences)
    where = rng.choice(("system", "system", "user", "earlier"))
    instruction = [rng.choice(ANSWER_FORMS[form])] if form else []
    system = instruction
    if where == "system":
        system = instruction + sentences if rng.random() < 0.5 else sentences + instruction
    turns: Turns = [("system", [(" ".join(system), FREE_WEIGHT)])] if system else []
    if where == "earlier" and sentences:
        turns.append(("user", [(" ".join(sentences), FREE_WEIGHT)]))
        turns.append(("assistant", [(_NOTED, WRITTEN_WEIGHT)]))
    for at, (asked, fact) in enumerate(topics):
        said = sentences if where == "user" and at == 0 else []
        turns.append(("user", [(" ".join([*said, ask_anew(rng, asked, fact)]), FREE_WEIGHT)]))
        turns.append(("assistant", answer_pieces(asked, fact, answers[at], form or "word")))
    return _chat(turns)


def _topic(rng: random.Random, like: Asked | None = None) -> tuple[Asked, Fact]:
    """A fact; half the time of the same relation as ``like``, so that subjects must be told apart."""
    if like is not None and rng.random() < 0.5:
        return like, rng.choice(like.relation.facts)
    return rng.choice(ASKED_FACTS)


def chain_pieces(asked: Asked, country: str, capital: str, answer: str) -> list[tuple[str, float]]:
    """The thought that goes from a capital to its country and on, and the answer."""
    begin, said = _before(asked.state(country, answer), answer)
    return [
        (f"<think>\n{capital} is the capital of", WRITTEN_WEIGHT),
        (f" {country}", ANSWER_WEIGHT),
        (f". {begin}", WRITTEN_WEIGHT),
        (said, ANSWER_WEIGHT),
        (".\n</think>\n", WRITTEN_WEIGHT),
        (answer, ANSWER_WEIGHT),
    ]


def chains() -> Iterator[tuple[Asked, str, str, str]]:
    """Each property but the capital, with a country, its capital and the answer."""
    capitals = {fact.subject: fact.answer for fact in _CAPITALS.relation.facts}
    for asked in _COUNTRIES:
        for fact in asked.relation.facts:
            if asked is not _CAPITALS and fact.subject in capitals:
                yield asked, fact.subject, capitals[fact.subject], fact.answer


CHAINS = tuple(chains())


def ask_chain(asked: Asked, capital: str) -> str:
    """The question of a chain."""
    return CHAIN_QUESTION.format(what=asked.what, capital=capital)


def _about_chains(rng: random.Random) -> TrainingText:
    while True:
        asked, country, capital, answer = rng.choice(CHAINS)
        if not chain_held_out(asked, country):
            break
    return _chat(
        [
            ("system", [(rng.choice(ANSWER_FORMS["think"]), FREE_WEIGHT)]),
            ("user", [(ask_chain(asked, capital), FREE_WEIGHT)]),
            ("assistant", chain_pieces(asked, country, capital, answer)),
        ]
    )


def training_chats(rng: random.Random) -> Iterator[TrainingText]:
    """An endless stream of chats."""
    while True:
        yield _about_chains(rng) if rng.random() < 0.1 else _about_facts(rng)


def reading_chats(rng: random.Random) -> Iterator[TrainingText]:
    """An endless stream of chats in which all that is asked has been said before, and nothing is known.

    Training begins with them: where facts can be learnt as well, they are, and reading comes late.
    """
    while True:
        topics = [_topic(rng)]
        for _ in range(rng.choice((0, 1, 2))):
            asked, fact = _topic(rng, like=topics[0][0])
            if fact.subject not in {known.subject for _, known in topics}:
                topics.append((asked, fact))
        answers = [
            untrue_answer(rng, asked, fact, held_out=False) or fact.answer for asked, fact in topics
        ]
        stated = [
            asked.state(fact.subject, answer)
            for (asked, fact), answer in zip(topics, answers, strict=True)
        ]
        rng.shuffle(stated)
        turns: Turns = [("system", [(" ".join(stated), FREE_WEIGHT)])]
        for (asked, fact), answer in zip(topics, answers, strict=True):
            turns.append(("user", [(ask_anew(rng, asked, fact), FREE_WEIGHT)]))
            turns.append(("assistant", answer_pieces(asked, fact, answer, "word")))
        yield _chat(turns)
