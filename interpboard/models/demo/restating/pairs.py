"""What the encoder–decoder is trained on: sources with their targets, made of the demo's facts.

*Recall*: a sentence up to its answer, and the answer. *Restating*: a whole sentence, and the same fact in
another phrasing. There the answer is mostly another fact's, so that it can only be read in the source. Each
fact has one phrasing that training never shows for it, as in the other demo models.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..corpus.recall import held_out_phrasing, prompt_for
from ..facts import RELATIONS, Fact, Relation

_ALL = [(relation, fact) for relation in RELATIONS for fact in relation.facts]
_OTHER_ANSWER = 0.7
"""Share of the sentences to restate whose answer is another fact's."""
RECALL = 0.5


@dataclass(frozen=True)
class SourceAndTarget:
    """``source``; of the target, what stands before the answer, the ``answer``, and what ends it."""

    source: str
    before: str
    answer: str
    end: str = "."


def recall_pair(relation: Relation, fact: Fact, phrasing: int) -> SourceAndTarget:
    """A sentence up to its answer, and the answer."""
    source = prompt_for(relation.phrasings[phrasing], fact)
    return SourceAndTarget(source, "", f" {fact.answer}", "")


def restating_pair(
    relation: Relation, fact: Fact, answer: str, phrasings: tuple[int, int]
) -> SourceAndTarget:
    """A whole sentence that says ``answer``, and the same in another phrasing."""
    said, again = (prompt_for(relation.phrasings[each], fact) for each in phrasings)
    return SourceAndTarget(f"{said} {answer}.", again, f" {answer}")


def training_pairs(rng: random.Random) -> Iterator[SourceAndTarget]:
    """Pairs without end, none in a fact's held-out phrasing."""
    while True:
        relation, fact = rng.choice(_ALL)
        held_out = held_out_phrasing(relation, fact)
        shown = [i for i in range(len(relation.phrasings)) if i != held_out]
        if rng.random() < RECALL:
            yield recall_pair(relation, fact, rng.choice(shown))
            continue
        answer = fact.answer
        if rng.random() < _OTHER_ANSWER:
            answer = rng.choice(relation.facts).answer
        yield restating_pair(relation, fact, answer, (rng.choice(shown), rng.choice(shown)))


def held_out_recall() -> Iterator[SourceAndTarget]:
    """Every fact once, in the phrasing kept out of training."""
    for relation, fact in _ALL:
        yield recall_pair(relation, fact, held_out_phrasing(relation, fact))


def held_out_restating(rng: random.Random, count: int) -> Iterator[SourceAndTarget]:
    """Sentences in the held-out phrasing, with another fact's answer, to be said again in one shown."""
    for _ in range(count):
        relation, fact = rng.choice(_ALL)
        held_out = held_out_phrasing(relation, fact)
        again = rng.choice([i for i in range(len(relation.phrasings)) if i != held_out])
        others = [each.answer for each in relation.facts if each.answer != fact.answer]
        if others:
            yield restating_pair(relation, fact, rng.choice(others), (held_out, again))
