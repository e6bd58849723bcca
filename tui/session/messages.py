"""What is said to the user of an event of the engine. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tui.commands.command import shown_keys
from tui.session.interventions import InterventionStack, let_go
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from tui.controllers.notify import Severity
    from tui.slots.spec import Slot

_LOG_LINES = 3  # of a dead engine's log, in the message; the log screen has them all


def of_event(
    slot: str, event: Any, kind: str, state: State, slots: Mapping[str, Slot]
) -> Iterator[tuple[str, Severity]]:
    """Messages with their severity; ``kind`` is the name of the event's class."""
    job = slot in slots and slots[slot].kind == "job"
    if kind == "Failed" and (event.kind != "unsupported" or slot not in slots or job):
        remedy = event.remedy or ("The engine's log has more." if event.kind == "bug" else "")
        yield f"{event.message} {remedy}".strip(), "error"
    elif kind == "Stopped" and job:
        yield "Stopped. The same again goes on from there.", "information"
    elif kind == "Lost":
        yield _of_lost(state, event.restarting), "error"
    elif kind == "Ready":
        for note in event.notes:
            yield note, "warning"


def _of_lost(state: State, restarting: bool) -> str:
    run, log = map(shown_keys, ("run", "log"))
    lost = f" {run} then runs what was lost." if state.engine.lost else ""
    after = f"Starting it again.{lost}" if restarting else f"{run} tries again."
    lines = "".join(f"\n{line}" for line in state.engine.log[-_LOG_LINES:])
    return f"The {state.engine.notice}. {after} {log} shows its log.{lines}"


def of_let_go(before: InterventionStack, after: InterventionStack, why: str) -> str:
    """Which interventions were on and are not held any more; empty: all are."""
    gone = let_go(before, after)
    if not gone:
        return ""
    return f"Not held any more: {', '.join(item.label for item in gone)}: {why}."


def of_other_weights(state: State, loaded: ModelInfo | None) -> str:
    """That saved results are of other weights than the model of the same name; empty: they are not."""
    from interpboard.files.fingerprint import FingerprintMatch, compare

    if loaded is None:
        return ""
    saved = [answer.of for answer in state.slots.values() if answer.of is not None]
    same_name = [of for of in saved if of.name == loaded.name]
    if not any(compare(of.weights, loaded.weights) is FingerprintMatch.other for of in same_name):
        return ""
    return (
        f"The saved results are of other weights than {loaded.name} has now: "
        f"{shown_keys('run')} runs anew."
    )
