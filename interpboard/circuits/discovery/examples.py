"""The data of a circuit: clean prompts with their answers, each with a corrupted partner as long.

A line of text is one example::

    The capital of France is => The capital of Italy is | Paris | Rome

clean prompt, corrupted partner, target, foil; all but the first may be left out. Several targets or
foils stand with slashes between them. They are taken with a space in front, as words in a text have it;
in quotes, ``'62'``, as they stand; ``#161`` is a token by its id. A prompt that holds ``=>`` or `` | `` has
them with a backslash, ``\\=>`` and `` \\| ``. A line may also be JSON, in which every text stands as it is::

    {"clean": "2 => 3, 4 =>", "corrupted": "2 => 3, 5 =>", "target": [" 5"], "foil": " 6"}
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpboard.datasets.pair_lines import ARROW, json_line, lines_of, unescaped
from interpboard.errors import BadParameter
from interpboard.runs.references import named_id
from interpboard.runs.token_texts import shortened

_FIELDS = ("clean", "corrupted", "target", "foil", "subject")


@dataclass(frozen=True)
class Example:
    """A clean prompt as given. ``target``, ``foil``: one token each or several; None: to be found.

    ``subject``: the words of ``clean`` that are swapped to make a corrupted partner.
    """

    clean: str
    corrupted: str | None = None
    target: tuple[str, ...] | None = None
    foil: tuple[str, ...] | None = None
    subject: str | None = None


def read_examples(dataset: str | Iterable[Any]) -> list[Example]:
    """Examples from lines (or a file of lines), or from strings, (clean, corrupted) pairs or mappings.

    Raises ``BadParameter`` for anything else, and for a file that cannot be read.
    """
    if isinstance(dataset, str):
        text = dataset
        if "\n" not in text and len(text) < 1024 and os.path.isfile(text.strip()):
            text = _read(Path(text.strip()))
        examples = [_of_line(line) for line in lines_of(text) if line.strip()]
    else:
        examples = [_of_item(item) for item in dataset]
    if not examples:
        raise BadParameter("The dataset is empty.", "Give prompts, one a line: clean => corrupted.")
    return examples


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadParameter(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise BadParameter(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None


def _of_line(line: str) -> Example:
    found = json_line(line, _FIELDS)
    if found is not None:
        return _of_item(found)
    prompts, *answers = line.split(" | ")
    both = ARROW.split(prompts)
    if len(answers) > 2 or len(both) > 2 or (len(both) == 2 and not both[1].strip()):
        raise BadParameter(
            f"This is no example: {shortened(line)!r}.",
            "Write: clean => corrupted | target | foil. In a prompt, \\=> and \\| are themselves.",
        )
    clean, *corrupted = (unescaped(text.strip()) for text in both)
    words = [tuple(map(_answer, part.split("/"))) for part in answers] + [None, None]
    return Example(clean, corrupted[0] if corrupted else None, words[0], words[1])


def _answer(text: str) -> str:
    word = unescaped(text.strip())
    if named_id(word) is not None:
        return word
    quoted = len(word) > 2 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else " " + word


def _of_item(item: Any) -> Example:
    if isinstance(item, Example):
        return item
    if isinstance(item, str):
        return _of_line(item)
    if isinstance(item, Mapping):
        for name in ("corrupted", "subject"):
            if not isinstance(item.get(name, ""), str | None):
                raise BadParameter(f"The {name} of an example is a text, not {item[name]!r:.60}.")
        unknown = [key for key in item if key not in _FIELDS]
        if unknown or not isinstance(item.get("clean"), str):
            raise BadParameter(
                f"An example has the fields {', '.join(_FIELDS)}; {', '.join(item)} was given."
            )
        return Example(
            item["clean"],
            item.get("corrupted"),
            _words(item.get("target")),
            _words(item.get("foil")),
            item.get("subject"),
        )
    if isinstance(item, Sequence) and len(item) == 2 and all(isinstance(i, str) for i in item):
        return Example(item[0], item[1])
    raise BadParameter(
        f"This is no example: {item!r}.", "Give a prompt or a (clean, corrupted) pair."
    )


def _words(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    whole = isinstance(given, str) or not isinstance(given, Sequence)
    words: tuple[Any, ...] = (given,) if whole else tuple(given)
    if not words or not all(isinstance(word, str) for word in words):
        raise BadParameter(
            "A target or foil is a text, or a list of texts.", "Leave it out instead."
        )
    return words
