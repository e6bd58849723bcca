"""Greater-than: an event cannot end before the year in which it began."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .document import ANSWER_WEIGHT, CONTEXT_WEIGHT, TrainingText, in_hold_out
from .words import words

EVENTS = words(
    """war siege reign voyage project strike festival famine dynasty campaign journey
    expedition revolt plague trial peace"""
)

_TEMPLATES = (
    "The {event} lasted from {century}{start} to {century}",
    "The {event} lasted from the year {century}{start} to the year {century}",
    "The {event} went on from {century}{start} until {century}",
    "The {event} began in {century}{start} and ended in {century}",
    "The {event} started in the year {century}{start} and ended in the year {century}",
)

CENTURIES = tuple(range(11, 20))


@dataclass(frozen=True)
class YearsProbe:
    """A prompt that stops inside the closing year, and the two digits it has to exceed."""

    prompt: str
    start: int


def start_held_out(century: int, start: int) -> bool:
    """Whether training never shows an event that began in this year."""
    return (century, start) == (17, 43) or in_hold_out(f"years/{century}/{start:02d}", 6)


def training_example(rng: random.Random) -> TrainingText:
    """An event whose closing year is any later year of the century, all equally likely."""
    while True:
        century, start = rng.choice(CENTURIES), rng.randint(1, 98)
        if not start_held_out(century, start):
            break
    template = rng.choice(_TEMPLATES)
    prompt = template.format(event=rng.choice(EVENTS), century=century, start=f"{start:02d}")
    end = rng.randint(start + 1, 99)
    return TrainingText(
        ((prompt, CONTEXT_WEIGHT), (f"{end:02d}", ANSWER_WEIGHT), (".", CONTEXT_WEIGHT))
    )


def held_out_examples(rng: random.Random, count: int) -> Iterator[YearsProbe]:
    """Events that began in years training never showed as a beginning."""
    starts = [
        (century, start)
        for century in CENTURIES
        for start in range(2, 98)
        if start_held_out(century, start)
    ]
    for _ in range(count):
        century, start = rng.choice(starts)
        template = rng.choice(_TEMPLATES)
        prompt = template.format(event=rng.choice(EVENTS), century=century, start=f"{start:02d}")
        yield YearsProbe(prompt, start)
