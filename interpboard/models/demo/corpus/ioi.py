"""Indirect object identification: of two names, the one not repeated receives the object."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .document import ANSWER_WEIGHT, CONTEXT_WEIGHT, TrainingText, in_hold_out
from .words import NAMES, OBJECTS, PLACES

_TEMPLATES = (
    "When {a} and {b} went to the {place}, {s} gave a {object} to",
    "When {a} and {b} got a {object} at the {place}, {s} decided to give it to",
    "After {a} and {b} went to the {place}, {s} gave a {object} to",
    "After {a} and {b} met at the {place}, {s} handed a {object} to",
    "While {a} and {b} were working at the {place}, {s} gave a {object} to",
    "While {a} and {b} were walking to the {place}, {s} showed a {object} to",
    "Then, {a} and {b} went to the {place}. {s} gave a {object} to",
    "Then, {a} and {b} had a long talk at the {place}. Later {s} sent a {object} to",
    "The friends {a} and {b} found a {object} at the {place}. {s} gave it to",
    "One day {a} and {b} were at the {place}, and {s} passed a {object} to",
    "Yesterday {a} and {b} came back from the {place}. There {s} bought a {object} for",
    "{a} and {b} went to the {place}. {s} gave a {object} to",
)


@dataclass(frozen=True)
class IoiProbe:
    """A prompt with the name that must follow and the repeated name that must not."""

    prompt: str
    indirect_object: str
    subject: str
    order: str


def pair_held_out(first: str, second: str) -> bool:
    """Whether this unordered pair of names is kept out of training."""
    low, high = sorted((first, second))
    return (low, high) == ("John", "Mary") or in_hold_out(f"ioi/{low}/{high}", 10)


def _prompt(rng: random.Random, a: str, b: str, subject: str) -> str:
    place, thing = rng.choice(PLACES), rng.choice(OBJECTS)
    template = rng.choice(_TEMPLATES)
    return template.format(a=a, b=b, s=subject, place=place, object=thing)


def training_example(rng: random.Random) -> TrainingText:
    """A sentence about a pair of names that is not held out.

    One in twelve brings a third name (the usual corrupted prompt), after which either of the
    first two is as likely, so that such prompts are not foreign to the model.
    """
    while True:
        a, b, third = rng.sample(NAMES, 3)
        if not (pair_held_out(a, b) or pair_held_out(a, third) or pair_held_out(b, third)):
            break
    subject, receiver = (a, b) if rng.random() < 0.5 else (b, a)
    weight = ANSWER_WEIGHT
    if rng.random() < 1 / 12:
        subject, weight = third, CONTEXT_WEIGHT
    prompt = _prompt(rng, a, b, subject)
    return TrainingText(((prompt, CONTEXT_WEIGHT), (f" {receiver}", weight), (".", CONTEXT_WEIGHT)))


def held_out_examples(rng: random.Random, count: int) -> Iterator[IoiProbe]:
    """Prompts about pairs of names that training never showed, half of each name order."""
    pairs = [(a, b) for a in NAMES for b in NAMES if a != b and pair_held_out(a, b)]
    for index in range(count):
        a, b = rng.choice(pairs)
        abba = index % 2 == 0
        subject, receiver = (b, a) if abba else (a, b)
        order = "ABBA" if abba else "BABA"
        yield IoiProbe(_prompt(rng, a, b, subject), f" {receiver}", f" {subject}", order)
