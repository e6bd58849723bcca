"""Making a corrupted prompt: the clean one with a few tokens exchanged, and every other left in place.

Noise on a subject's embeddings needs no second prompt; see ``pair.make_noised_pair``, ``causal_tracing``.
"""

from __future__ import annotations

from interpboard.errors import BadParameter, BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.patching.pair import equally_long
from interpboard.results import PromptInfo
from interpboard.runs.prompt import make_prompt, show_tokens


def swap_span(
    lm: LanguageModel, text: str, span: str, other: str, *, occurrence: int | None = -1
) -> str:
    """``text`` with ``span`` exchanged for ``other``, as many tokens long and different only there.

    Spaces around both are ignored. ``occurrence`` counts from 0, negative from the end (the last, unless
    given); None: every one. Raises ``BadParameter`` if the span is not there, ``BadPrompt`` (showing both
    tokenisations) if the texts are not equally long or the exchange changes other tokens.
    """
    old, new = span.strip(), other.strip()
    places = _places(text, old)
    if not places:
        raise BadParameter(f"{span!r} is not in the text.", "Write it as it stands there.")
    if occurrence is not None:
        if not -len(places) <= occurrence < len(places):
            raise BadParameter(
                f"{span!r} occurs {len(places)} times, there is no occurrence {occurrence}."
            )
        places = [places[occurrence]]
    swapped, at = "", 0
    for place in places:
        swapped += text[at:place] + new
        at = place + len(old)
    swapped += text[at:]
    clean = make_prompt(lm, text)
    _check_only_there(clean, equally_long(lm, clean, swapped), places, len(old))
    return swapped


def swap_subjects(
    lm: LanguageModel, first: str, second: str, subject: str, other: str
) -> tuple[str, str]:
    """Symmetric token replacement: ``first`` about ``other``, and ``second`` about ``subject``.

    Each prompt is then the other's corruption and stays as likely as a text as it was (Zhang and Nanda
    2024). The last occurrences are exchanged. Errors as in ``swap_span``.
    """
    return swap_span(lm, first, subject, other), swap_span(lm, second, other, subject)


def _places(text: str, span: str) -> list[int]:
    found: list[int] = []
    at = text.find(span) if span else -1
    while at >= 0:
        found.append(at)
        at = text.find(span, at + len(span))
    return found


def _check_only_there(
    clean: PromptInfo, corrupted: PromptInfo, places: list[int], length: int
) -> None:
    """Tokens that do not touch a swapped place must be the same."""
    whole = "".join(clean.tokens)
    # Special tokens in front are no part of the text.
    offset = max(0, whole.find(clean.text))
    at = 0
    for position, token in enumerate(clean.tokens):
        begin, end = at - offset, at + len(token) - offset
        at += len(token)
        touched = any(begin < place + length and end > place for place in places)
        if not touched and clean.token_ids[position] != corrupted.token_ids[position]:
            raise BadPrompt(
                "The exchange changes tokens beside it: "
                f"{show_tokens(clean.tokens)} against {show_tokens(corrupted.tokens)}.",
                "Choose another text to put in.",
            )
