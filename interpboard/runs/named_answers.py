"""What may be wrong with a target and a foil that are tokens: they are the same, or lack their space."""

from __future__ import annotations

import torch

from interpboard.display import visible_token
from interpboard.errors import BadTarget
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, TokenRef
from interpboard.runs.references import named_id, resolve_token


def without_space(
    lm: LanguageModel,
    request: MetricRequest,
    named: tuple[TokenRef | None, TokenRef | None],
    logits: torch.Tensor,
) -> tuple[str, ...]:
    """A warning of each of ``named``, target and foil, that would be likelier with a space in front, by the
    clean ``logits`` [d_vocab]: ``Paris``, as tables have it, is another token than `` Paris``.

    None of a token that is named by its id.
    """
    said = []
    for role, token, text in zip(
        ("target", "foil"), named, (request.target, request.foil), strict=True
    ):
        if token is None or text is None or named_id(text) is not None or token.token[:1].isspace():
            continue
        spaced = _with_space(lm, token)
        if spaced is not None and bool(logits[spaced.id] > logits[token.id]):
            said.append(
                f"The {role} {visible_token(token.token)} has no space in front, and with one, "
                f"{visible_token(spaced.token)}, it is likelier here: is that the one that is meant?"
            )
    return tuple(said)


def refuse_one_for_both(target: TokenRef, foil: TokenRef | None) -> None:
    """Raise ``BadTarget`` where ``target`` is compared with itself: every effect would be 0."""
    if foil is not None and foil.id == target.id:
        raise BadTarget(
            f"The target and the foil are one and the same, {visible_token(target.token)}: they differ by "
            "nothing.",
            "Name another of them.",
        )


def _with_space(lm: LanguageModel, token: TokenRef) -> TokenRef | None:
    """The token that is ``token`` behind a space; None: there is no other one."""
    if not token.token[:1].isalnum():
        return None
    try:
        found = resolve_token(lm, " " + token.token)
    except BadTarget:
        return None
    return None if found.id == token.id else found
