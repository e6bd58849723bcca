"""Tokens of different prompts, put together by what they are and not by where they stand.

A token's role: those of a subject are ``subject first``, ``subject middle`` and ``subject last`` (a subject
of one token is its last), the one behind it ``next``; where there is no subject the tokens of a chat have
their turn, ``user 1``, and those of a text are ``first`` or ``between``; those of an encoder–decoder's source
are ``source`` where no subject is in it. Tokens before and behind a subject are ``before`` and ``further``;
the one at which the metric is read is ``explained``, whatever else it would be, and those behind it are
``behind``. After Meng et al. 2022, "Locating and Editing Factual Associations in GPT", figure 1. Several
tokens of one role in a row give their mean. In place of roles the words or the sentences of a text may be
counted (``unit_roles``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.errors import BadParameter
from interpboard.results import Axis, PromptInfo

OF_TOKENS = ("token", "query", "key", "source")
"""Axes that are the prompt's tokens, from the first, or those of an encoder–decoder's prefix alone."""
EXPLAINED = "explained"
CHOICE_AXIS = "choice"
"""An axis of the texts of a row that are compared."""
_ORDER = (
    "source", "first", "before", "subject first", "subject middle", "subject last", "next", "between",
    "further",
)  # fmt: skip


def roles_of(prompt: PromptInfo, position: int, subject: Sequence[int] = ()) -> tuple[str, ...]:
    """The role of each token of ``prompt``, explained at ``position``; ``subject``: its positions."""
    length = len(prompt.token_ids)
    if subject:
        roles = ["source" if max(subject) >= prompt.border else "before"] * prompt.border
        roles += ["before"] * (length - prompt.border)
        begin, end = min(subject), max(subject)
        for at in range(begin, length):
            roles[at] = "subject middle" if at <= end else "next" if at == end + 1 else "further"
        roles[begin], roles[end] = "subject first", "subject last"
    elif prompt.turns:
        roles = ["between"] * length
        numbers: dict[str, int] = {}
        for turn in prompt.turns:
            numbers[turn.role] = numbers.get(turn.role, 0) + 1
            roles[turn.begin : turn.end] = [f"{turn.role} {numbers[turn.role]}"] * (
                turn.end - turn.begin
            )
    else:
        roles = ["source"] * prompt.border + _plain(length - prompt.border)
    if subject and max(subject) < prompt.border:
        roles[prompt.border :] = _plain(length - prompt.border)
    roles[position] = EXPLAINED
    roles[position + 1 :] = ["behind"] * (length - position - 1)
    return tuple(roles)


def _plain(length: int) -> list[str]:
    return ["first", *["between"] * (length - 1)]


def by_role(
    axes: Sequence[Axis], values: np.ndarray, roles: Sequence[str], border: int = 0
) -> tuple[tuple[Axis, ...], np.ndarray]:
    """``values`` with each axis of tokens exchanged for one of the roles that the row has.

    ``border``: where the prefix of an encoder–decoder begins, of which alone an axis may be. NaN is left out
    of a mean. Raises ``BadParameter`` for an axis of tokens that is not the prompt's.
    """
    aligned = list(axes)
    for number, axis in enumerate(axes):
        if axis.name not in OF_TOKENS:
            continue
        if len(axis.labels) > len(roles):
            raise BadParameter(f"Its {axis.name} are not those of the prompt alone.")
        of_prefix = border and len(axis.labels) == len(roles) - border
        own = roles[border:] if of_prefix else roles[: len(axis.labels)]
        present = ordered(own)
        parts = [
            _mean(
                values.take([i for i, role in enumerate(own) if role == name], axis=number), number
            )
            for name in present
        ]
        values = np.stack(parts, axis=number)
        aligned[number] = Axis(axis.name, present)
    return tuple(aligned), values


def by_choice(
    axes: Sequence[Axis], values: np.ndarray, target: int | None
) -> tuple[tuple[Axis, ...], np.ndarray]:
    """``values`` with an axis of choices, which every row has of its own, exchanged for one of the explained
    choice and the mean of the others."""
    aligned = list(axes)
    for number, axis in enumerate(axes):
        if axis.name == CHOICE_AXIS and target is not None:
            others = np.delete(values, target, axis=number)
            parts = [values.take(target, axis=number), _mean(others, number)]
            values = np.stack(parts, axis=number)
            aligned[number] = Axis(axis.name, (EXPLAINED, "others"))
    return tuple(aligned), values


def ordered(roles: Sequence[str]) -> tuple[str, ...]:
    """Roles, each once, in the order in which they stand in a prompt; those of chats as they come."""
    known = [name for name in _ORDER if name in roles]
    other = [
        name
        for name in dict.fromkeys(roles)
        if name not in _ORDER and name not in (EXPLAINED, "behind")
    ]
    ends = [name for name in (EXPLAINED, "behind") if name in roles]
    return (*known, *other, *ends)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
