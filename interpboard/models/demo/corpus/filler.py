"""Plain narrative sentences, so that the behaviours appear among ordinary text.

They also give prompts outside the taught behaviours something sensible to continue with.
"""

import random

from .document import TrainingText, text_without_answer
from .words import ADJECTIVES, NAMES, NOUNS, OBJECTS, PLACES

_SLOTS: dict[str, tuple[str, ...]] = {
    "adj": ADJECTIVES,
    "name": NAMES,
    "place": PLACES,
    "object": OBJECTS,
    "noun": tuple(singular for singular, _ in NOUNS),
    "nouns": tuple(plural for _, plural in NOUNS),
    "time": ("morning", "evening", "night", "day", "winter", "summer"),
    "weather": ("cold", "warm", "dark", "quiet", "long", "beautiful"),
    "went": ("went", "walked", "ran", "came", "travelled"),
    "saw": ("saw", "found", "liked", "bought", "wanted", "remembered"),
    "food": ("bread", "tea", "milk", "apples", "soup", "cheese"),
    "feel": ("happy", "sad", "tired", "afraid", "proud", "angry"),
    "number": ("one", "two", "three", "four", "five", "ten"),
    "colour": ("red", "blue", "green", "white", "black", "yellow"),
}

_TEMPLATES = (
    "It was a {weather} {time}.",
    "It was a {weather} {time}, and the {nouns} were {adj}.",
    "Once upon a time there was a {adj} {noun}.",
    "One {time}, {name} {went} to the {place} and {saw} a {adj} {noun}.",
    "The {adj} {noun} {went} to the {place}.",
    "The {adj} {noun} {went} to the {place} and bought some {food}.",
    "The {noun} was very {adj}, so everyone {saw} it.",
    "In the {time}, {name} {went} home.",
    "Then {name} said that the {noun} was {adj}.",
    "{name} was {feel} because the {noun} was {adj}.",
    "{name} was a {adj} friend of {name}.",
    "The {place} was full of {nouns}.",
    "The {place} was closed, so {name} {went} home.",
    "There were {number} {nouns} in the {place}.",
    "We {saw} {number} {colour} {nouns} near the {place}.",
    "She {saw} a {colour} {object} and put it on the table.",
    "He {saw} the {noun} and was {feel}.",
    "They {went} to the {place} every {time}.",
    "I think that the {noun} is {adj}.",
    "My friend has a {colour} {object} and a {adj} {noun}.",
    "You can see the {nouns} from the {place}.",
    "The {noun} gave the {object} to the {noun}.",
    "The children {went} to the {place} with the {noun}.",
    "Everyone in the {place} was {feel}.",
    "This is a story about a {noun} and a {noun}.",
    "Here are some things that everyone should know.",
    "Let me tell you something.",
    "We learned this at school.",
    "The teacher said:",
    "It is well known that the world is big.",
    "Hello, how are you? I am {feel}.",
    "In the year {year}, {name} {went} to the {place}.",
)


def training_example(rng: random.Random) -> TrainingText:
    """One sentence from a template."""
    return text_without_answer(_fill(rng, rng.choice(_TEMPLATES)))


def _fill(rng: random.Random, template: str) -> str:
    parts = template.split("{")
    text = parts[0]
    for part in parts[1:]:
        slot, _, rest = part.partition("}")
        value = str(rng.randint(1100, 1999)) if slot == "year" else rng.choice(_SLOTS[slot])
        text += value + rest
    return text


def story(rng: random.Random, sentences: int) -> TrainingText:
    """Several sentences in a row."""
    document = training_example(rng)
    for _ in range(sentences - 1):
        document = document.followed_by(training_example(rng))
    return document


def vocabulary() -> set[str]:
    """Every word a slot can take."""
    return {word for words in _SLOTS.values() for word in words}
