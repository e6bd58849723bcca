"""What a row of a dataset asks of Trace: by which method, and where its subject is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.session.session import Session


def methods_of_row(corrupted: str | None, subject: str | None) -> dict[str, str]:
    """Which method the row calls for: patching where it has a partner prompt, tracing where a subject."""
    if corrupted is not None:
        return {"trace": "activation_patching"}
    return {} if subject is None else {"trace": "causal_trace"}


def mark_row(session: Session, positions: tuple[int, ...]) -> None:
    """These tokens of the prompt are the row's subject; the method stays."""
    session.change("trace", "tokens", marked=(session.state.question.text, positions))
