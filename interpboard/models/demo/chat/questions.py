"""How the demo's facts are asked about in a chat, and how a sentence states them.

A statement ends with its answer, so that the same sentence can be the context, the reasoning or the answer.
"""

from dataclasses import dataclass

from ..corpus.document import capitalised
from ..facts import RELATIONS, Fact, Relation


@dataclass(frozen=True)
class Asked:
    """A relation, ``what`` its answers are of its subjects, and its ``questions``, ``{s}`` the subject."""

    relation: Relation
    what: str
    questions: tuple[str, ...]

    def state(self, subject: str, answer: str) -> str:
        """The sentence that says so: of one make for all relations, so that few heads can read it."""
        return f"The {self.what} of {subject} is {answer}."

    def ask(self, question: str, fact: Fact) -> str:
        """``question`` about ``fact``."""
        return capitalised(question.replace("{s}", fact.subject))

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer that a fact of the relation has, once."""
        return tuple(dict.fromkeys(fact.answer for fact in self.relation.facts))


_WORDS = {
    "landmark-city": (
        "city",
        ("Where is {s}?", "In which city is {s}?", "What city is {s} in?", "Where can I find {s}?"),
    ),
    "country-capital": (
        "capital",
        (
            "What is the capital of {s}?",
            "Which city is the capital of {s}?",
            "What is the capital city of {s}?",
            "Name the capital of {s}.",
        ),
    ),
    "country-language": (
        "language",
        (
            "What is the language of {s}?",
            "What language is spoken in {s}?",
            "Which language do people speak in {s}?",
            "What is the official language of {s}?",
        ),
    ),
    "country-currency": (
        "currency",
        (
            "What is the currency of {s}?",
            "Which currency is used in {s}?",
            "What money is used in {s}?",
            "Name the currency of {s}.",
        ),
    ),
    "country-continent": (
        "continent",
        (
            "What is the continent of {s}?",
            "On which continent is {s}?",
            "Which continent is {s} on?",
            "Name the continent of {s}.",
        ),
    ),
    "invention-inventor": (
        "inventor",
        (
            "Who invented {s}?",
            "Who was the inventor of {s}?",
            "Which person invented {s}?",
            "Who is famous for inventing {s}?",
        ),
    ),
    "discovery-discoverer": (
        "discoverer",
        (
            "Who discovered {s}?",
            "Who was the discoverer of {s}?",
            "Which person discovered {s}?",
            "Who is famous for discovering {s}?",
        ),
    ),
    "book-author": (
        "author",
        (
            "Who wrote {s}?",
            "Who is the author of {s}?",
            "Which writer wrote {s}?",
            "Who was the author of {s}?",
        ),
    ),
    "painting-painter": (
        "painter",
        (
            "Who painted {s}?",
            "Who is the painter of {s}?",
            "Which artist painted {s}?",
            "Who was the painter of {s}?",
        ),
    ),
    "opposite": (
        "opposite",
        (
            "What is the opposite of {s}?",
            "Which word is the opposite of {s}?",
            "What is the reverse of {s}?",
            "Name the opposite of {s}.",
        ),
    ),
}
"""Of each relation that chats are about, what its answers are, and the questions."""

ASKED_RELATIONS: tuple[Asked, ...] = tuple(
    Asked(relation, *_WORDS[relation.name]) for relation in RELATIONS if relation.name in _WORDS
)
ASKED_FACTS: tuple[tuple[Asked, Fact], ...] = tuple(
    (asked, fact) for asked in ASKED_RELATIONS for fact in asked.relation.facts
)
