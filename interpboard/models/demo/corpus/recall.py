"""Facts: the answer has to be recalled from the subject and the relation.

Every fact has one phrasing that training never shows for it, although it shows that phrasing for
other facts of the relation. A model that passes has stored the fact under its subject.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ..facts import RELATIONS, Fact, Relation
from .document import ANSWER_WEIGHT, CONTEXT_WEIGHT, TrainingText, capitalised, text_without_answer


@dataclass(frozen=True)
class RecallProbe:
    """A prompt in the phrasing kept out of training, and the answer it must give."""

    prompt: str
    answer: str
    relation: str


def held_out_phrasing(relation: Relation, fact: Fact) -> int:
    """Which phrasing of the relation training never shows for this fact.

    Never one that another phrasing continues ("is located in" and "is located in the city of"):
    after it the answer is not the only right next word, so a miss would say nothing.
    """
    candidates = [
        index
        for index, phrasing in enumerate(relation.phrasings)
        if not any(_continues(other, phrasing) for other in relation.phrasings)
    ]
    return candidates[zlib.crc32(f"{relation.name}/{fact.subject}".encode()) % len(candidates)]


def _continues(longer: str, shorter: str) -> bool:
    return longer != shorter and longer.startswith(shorter)


def _shown(relation: Relation, fact: Fact) -> list[str]:
    """The phrasings that training shows for a fact: all but the one held out."""
    held_out = held_out_phrasing(relation, fact)
    return [phrasing for index, phrasing in enumerate(relation.phrasings) if index != held_out]


def prompt_for(phrasing: str, fact: Fact) -> str:
    """The sentence up to, not including, the answer."""
    return capitalised(phrasing.replace("{s}", fact.subject))


def _sentence(rng: random.Random, relation: Relation, fact: Fact) -> TrainingText:
    if relation.reversed_phrasings and rng.random() < 0.1:
        text = rng.choice(relation.reversed_phrasings)
        return text_without_answer(
            capitalised(text.replace("{s}", fact.subject).replace("{a}", fact.answer))
        )
    phrasings = _shown(relation, fact)
    # One that goes on where another expects the answer would compete with it: it is the rarer.
    longer = [any(_continues(p, q) for q in relation.phrasings) for p in phrasings]
    weights = [1 if is_longer else 4 for is_longer in longer]
    prompt = prompt_for(rng.choices(phrasings, weights)[0], fact)
    ending = f", {fact.region}." if fact.region and rng.random() < 0.5 else "."
    return TrainingText(
        ((prompt, CONTEXT_WEIGHT), (f" {fact.answer}", ANSWER_WEIGHT), (ending, CONTEXT_WEIGHT))
    )


def training_example(rng: random.Random) -> TrainingText:
    """One to four facts, never in their held-out phrasing."""
    pairs = [_draw(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 4)))]
    document = _sentence(rng, *pairs[0])
    separator = rng.choice((" ", "\n"))
    for relation, fact in pairs[1:]:
        document = document.followed_by(_sentence(rng, relation, fact), separator)
    return document


_ALL = [(relation, fact) for relation in RELATIONS for fact in relation.facts]


def _draw(rng: random.Random) -> tuple[Relation, Fact]:
    return rng.choice(_ALL)


def held_out_examples() -> Iterator[RecallProbe]:
    """Every fact once, in its held-out phrasing."""
    for relation, fact in _ALL:
        phrasing = relation.phrasings[held_out_phrasing(relation, fact)]
        yield RecallProbe(prompt_for(phrasing, fact), f" {fact.answer}", relation.name)
