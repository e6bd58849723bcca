"""Making a corrupted prompt: the clean one with a few tokens exchanged, and every other left in place.

Noise on a subject's embeddings needs no second prompt; see ``pair.make_noised_pair``, ``causal_tracing``.
"""

from __future__ import annotations

from interpboard.errors import BadParameter, BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.patching.pair import equally_long
from interpboard.patching.subject import find_subject
from interpboard.results import PromptInfo
from interpboard.results.occurrences import occurrences, touching
from interpboard.results.tokens import text_at
from interpboard.runs.prompt import make_prompt, show_tokens
from interpboard.runs.references import named_id, plain_text, resolve_token
from interpboard.runs.token_texts import shortened


def swap_span(
    lm: LanguageModel, text: str, span: str, other: str, *, occurrence: int | None = -1
) -> str:
    """``text`` with ``span`` exchanged for ``other``, as many tokens long and different only there.

    Spaces around both are ignored. Each may be a token by its id, ``#161``: the last of them in the text, and
    the token that is to stand there. ``occurrence`` counts from 0, negative from the end (the last, unless
    given); None: every one. Raises ``BadParameter`` if the span is not there, or if what is put in does not
    become the token that was named; ``BadPrompt`` (showing both tokenisations) if the texts are not equally
    long or the exchange changes other tokens.
    """
    clean = make_prompt(lm, text)
    old, new = _named_text(clean, span.strip()), plain_text(other.strip())
    named = named_id(new)
    if named is not None:
        new = resolve_token(lm, new, "token put in").token.strip()
    places = occurrences(text, old)
    if not places:
        raise BadParameter(
            f"{shortened(span)!r} is not in the text.", "Write it as it stands there."
        )
    if occurrence is not None:
        if not -len(places) <= occurrence < len(places):
            raise BadParameter(
                f"{shortened(span)!r} occurs {len(places)} times, there is no occurrence {occurrence}."
            )
        places = [places[occurrence]]
    swapped, at = "", 0
    touched: set[int] = set()
    for begin, end in places:
        if begin < at:  # it overlaps the one before
            continue
        touched.update(touching(clean, begin, end))
        swapped += text[at:begin] + new
        at = end
    swapped += text[at:]
    corrupted = equally_long(lm, clean, swapped)
    _check_only_there(clean, corrupted, touched)
    if named is not None and any(corrupted.token_ids[at] != named for at in touched):
        put = show_tokens([corrupted.tokens[at] for at in sorted(touched)])
        raise BadParameter(
            f"The text of token #{named} becomes other tokens there: {put}.",
            'Use an intervention instead, as @4="#161".',
        )
    return swapped


def swap_subjects(
    lm: LanguageModel, first: str, second: str, subject: str, other: str
) -> tuple[str, str]:
    """Symmetric token replacement: ``first`` about ``other``, and ``second`` about ``subject``.

    Each prompt is then the other's corruption and stays as likely as a text as it was (Zhang and Nanda
    2024). The last occurrences are exchanged. Errors as in ``swap_span``.
    """
    return swap_span(lm, first, subject, other), swap_span(lm, second, other, subject)


def _named_text(prompt: PromptInfo, span: str) -> str:
    """The text of a span that is named by a token's id, or the span."""
    if named_id(span) is None:
        return plain_text(span)
    return text_at(prompt, find_subject(prompt, span).positions).strip()


def _check_only_there(clean: PromptInfo, corrupted: PromptInfo, touched: set[int]) -> None:
    """Tokens that do not touch a swapped place must be the same."""
    for position, (before, after) in enumerate(
        zip(clean.token_ids, corrupted.token_ids, strict=True)
    ):
        if position not in touched and before != after:
            raise BadPrompt(
                "The exchange changes tokens beside it: "
                f"{show_tokens(clean.tokens)} against {show_tokens(corrupted.tokens)}.",
                "Choose another text to put in.",
            )
