"""Subject-verb agreement: the verb follows the head noun's number, not the nearer noun's."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .document import ANSWER_WEIGHT, CONTEXT_WEIGHT, TrainingText, in_hold_out
from .words import ADJECTIVES, NOUNS

PREPOSITIONS = ("to", "near", "behind", "beside", "with", "of", "by", "next to", "under")

VERBS = (
    ("is", "are"),
    ("was", "were"),
    ("has", "have"),
    ("looks", "look"),
    ("seems", "seem"),
    ("needs", "need"),
)

_ENDINGS = {
    "has": ("been {adjective}.", "a {adjective} colour."),
    "needs": ("help.", "to be {adjective}."),
}


@dataclass(frozen=True)
class AgreementProbe:
    """A prompt up to the verb, with the right and the wrong form of one verb."""

    prompt: str
    right: str
    wrong: str


def combination_held_out(head: str, distractor: str) -> bool:
    """Whether this head and distractor (singular forms) are kept out of training together."""
    return (head, distractor) == ("key", "cabinet") or in_hold_out(f"sva/{head}/{distractor}", 8)


def _subject(rng: random.Random, head: str, distractor: str) -> str:
    return f"The {head} {rng.choice(PREPOSITIONS)} the {distractor}"


def training_example(rng: random.Random) -> TrainingText:
    """A sentence with a distractor in half of the cases of the other number."""
    while True:
        head, distractor = rng.sample(NOUNS, 2)
        if not combination_held_out(head[0], distractor[0]):
            break
    plural = rng.random() < 0.5
    subject = f"The {head[plural]}"
    if rng.random() < 0.85:
        subject = _subject(rng, head[plural], distractor[rng.random() < 0.5])
    verb = rng.choice(VERBS)
    ending = rng.choice(_ENDINGS.get(verb[0], ("{adjective}.", "very {adjective}.")))
    ending = " " + ending.format(adjective=rng.choice(ADJECTIVES))
    return TrainingText(
        ((subject, CONTEXT_WEIGHT), (f" {verb[plural]}", ANSWER_WEIGHT), (ending, CONTEXT_WEIGHT))
    )


def held_out_examples(rng: random.Random, count: int) -> Iterator[AgreementProbe]:
    """Unseen noun combinations in which the distractor always has the other number."""
    combinations = [
        (head, distractor)
        for head in NOUNS
        for distractor in NOUNS
        if head != distractor and combination_held_out(head[0], distractor[0])
    ]
    for index in range(count):
        head, distractor = rng.choice(combinations)
        plural = index % 2
        verb = rng.choice(VERBS)
        prompt = _subject(rng, head[plural], distractor[1 - plural])
        yield AgreementProbe(prompt, f" {verb[plural]}", f" {verb[1 - plural]}")
