"""How a token is named, everywhere: by its text inside a text, or by its id as ``#161``.

A text that itself looks like an id is written with a backslash in front: ``\\#161`` is the text ``#161``
(and ``\\\\#161`` the text ``\\#161``). Target, foil, baseline, swap, subject, intervention and the answers
of a dataset are all read here.
"""

from __future__ import annotations

import re

from interpboard.errors import BadPrompt, BadTarget
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo, TokenRef
from interpboard.runs.encoded import check_unicode, encode
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.token_texts import known_of, shortened, show_tokens, text_of, token_text
from interpboard.runs.vocabulary import token_strings

_BY_ID = re.compile(r"#([0-9]+)", re.ASCII)
_ESCAPED = re.compile(r"\\+#[0-9]+", re.ASCII)
_LONGEST_ID = 9  # digits
_LONGEST_TEXT = 2000  # characters; no vocabulary has longer tokens
_MOST_NAMED = 3
# What a text is put behind, to read it as part of a longer one: tokenizers treat a beginning otherwise.
_CONTEXTS = ("", "\n", "(", "a", "1", "-")


def named_id(text: str) -> int | None:
    """The id that ``text`` names, ``#161``; None where it is a text. Far too large ones are −1."""
    found = _BY_ID.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) if len(found[1].lstrip("0")) <= _LONGEST_ID else -1


def plain_text(text: str) -> str:
    """``text`` without the backslash that keeps it from being an id."""
    return text[1:] if _ESCAPED.fullmatch(text) else text


def resolve_token(lm: LanguageModel, text: str, role: str = "target") -> TokenRef:
    """``text`` as the one token it is. Raises ``BadTarget``, saying what it is instead.

    Of tokens that are spelt alike it is the one that the tokenizer reads ``text`` as.
    """
    if not text:
        raise BadTarget(f"The {role} is empty.", "Name one token, e.g. ' Paris'.")
    number = named_id(text)
    if number is not None:
        return _by_id(lm, number, text, role)
    if len(text) > _LONGEST_TEXT:
        raise BadTarget(
            f"The {role} is a text of {len(text)} characters, {show_tokens((text,))}: no token is.",
            "Name one token, e.g. ' Paris'.",
        )
    known = known_of(lm.tokenizer)
    found: TokenRef | None = known.get((_resolved, text))
    if found is None:  # the rows of a dataset name a few tokens, again and again
        found = known[_resolved, text] = _resolved(lm, plain_text(text), role)
    return found


def _resolved(lm: LanguageModel, text: str, role: str) -> TokenRef:
    ids = ids_inside(lm, text, role)
    tokens = shown_tokens(lm.tokenizer, ids)
    if len(ids) == 1 and tokens[0] == text:
        return TokenRef(ids[0], text)
    # Where words are told apart before they are tokens (BERT), a leading space says nothing.
    if tokens == (" " + text,) and ids_inside(lm, " " + text, role) == ids:
        return TokenRef(ids[0], tokens[0])
    raise _not_one(lm, text, ids, role)


def ids_inside(lm: LanguageModel, text: str, role: str = "text") -> list[int]:
    """The token ids of ``text`` as a part of a longer text, without those that begin one.

    Raises ``BadTarget`` for what is no text, or what the tokenizer cannot read.
    """
    try:
        check_unicode(text, role)
        bare = encode(lm.tokenizer, text, special_tokens=False).ids
        for context in _CONTEXTS:
            front = encode(lm.tokenizer, context, special_tokens=False).ids if context else ()
            both = (
                encode(lm.tokenizer, context + text, special_tokens=False).ids if context else bare
            )
            ids = both[len(front) :]
            if both[: len(front)] == front and text_of(lm.tokenizer, ids) == text:
                return list(ids)
    except BadPrompt as error:
        remedy = "Write it as text, or name the token by its id, e.g. #161."
        raise BadTarget(error.message, remedy) from error
    return list(bare)


def pieces(lm: LanguageModel, text: str) -> PromptInfo:
    """The tokens that ``text`` is inside a text, without those that begin one; ``#161`` is that token.

    One token of the same text: it can be a target. Empty for an empty text.
    """
    if named_id(text) is not None:
        ref = resolve_token(lm, text)
        return PromptInfo(text, (ref.token,), (ref.id,))
    ids = tuple(ids_inside(lm, plain_text(text))) if text else ()
    return PromptInfo(text, shown_tokens(lm.tokenizer, ids), ids)


def _by_id(lm: LanguageModel, number: int, text: str, role: str) -> TokenRef:
    if not 0 <= number < lm.anatomy.d_vocab:
        raise BadTarget(
            f"The {role} {shortened(text)} is no token: the model has #0 to #{lm.anatomy.d_vocab - 1}.",
            f"The text {shortened(text)} is written \\{shortened(text)}.",
        )
    return TokenRef(number, token_text(lm.tokenizer, number))


def _not_one(lm: LanguageModel, text: str, ids: list[int], role: str) -> BadTarget:
    """Why ``text`` is not one token, and what to name instead."""
    shown, tokens = show_tokens((text,)), shown_tokens(lm.tokenizer, ids)
    alike = [id for id, spelt in enumerate(token_strings(lm)) if spelt == text]
    hints = []
    if alike:
        named = " or ".join(f"#{id}" for id in alike[:_MOST_NAMED])
        hints.append(f"A token that is shown like this is named by its id: {named}.")
    if len(ids) == 1:  # the tokenizer put something else in its place, an unknown-word token say
        problem = f"The {role} {shown} becomes {show_tokens(tokens)}."
        hints.append(f"To take that one, name it by its id, #{ids[0]}.")
        return BadTarget(problem, " ".join(hints))
    if not ids:
        return BadTarget(f"The {role} {shown} is no token: nothing is left of it.", " ".join(hints))
    spaced = (" " + text,)
    if shown_tokens(lm.tokenizer, ids_inside(lm, spaced[0], role)) == spaced:
        hints.append(f"With its leading space, {show_tokens(spaced)}, it is one token.")
    elif not alike:
        first = f"{show_tokens(tokens[:1])} (#{ids[0]})"
        hints.append(f"Take the first, {first}, if that is what you mean.")
        if not text.startswith(" "):
            hints.append("A word inside a text begins with a space.")
    return BadTarget(
        f"The {role} {shown} is {len(ids)} tokens: {show_tokens(tokens)}.", " ".join(hints)
    )
