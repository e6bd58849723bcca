"""Which layers or heads an analysis is about."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.errors import BadParameter, Unsupported


def chosen(given: Sequence[int] | None, count: int, what: str) -> tuple[int, ...]:
    """``given`` without repetitions, None being all ``count``; ``what``: layer or head.

    Raises ``BadParameter`` for none at all and for numbers that the model does not have,
    ``Unsupported`` where it has none.
    """
    if not count:
        raise Unsupported(f"This model has no {what}s.")
    found = tuple(range(count)) if given is None else tuple(dict.fromkeys(given))
    wrong = [i for i in found if not 0 <= i < count]
    if wrong:
        raise BadParameter(
            f"The model has no {what} {', '.join(map(str, wrong))}.",
            f"It has {what}s 0 to {count - 1}.",
        )
    if not found:
        raise BadParameter(f"No {what} was chosen.", f"The model has {what}s 0 to {count - 1}.")
    return found
