"""What is said to the user of an event of the engine. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from interpboard.display import visible, visible_token
from tui.commands.command import shown_keys
from tui.session.interventions import InterventionStack, taken_off
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from tui.controllers.notify import Severity, Tell
    from tui.slots.spec import Slot

_LOG_LINES = 3  # of a dead engine's log, in the message; the log screen has them all


class Says:
    """Tells people, the same failure of several slots once."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._told = tell, set[str]()

    def anew(self) -> None:
        """The user asks again: what fails is told again."""
        self._told.clear()

    def event(
        self, slot: str, event: Any, before: State, state: State, slots: Mapping[str, Slot]
    ) -> None:
        """What ``event`` is to be told of."""
        kind = type(event).__name__
        for message, severity in of_event(slot, event, kind, state, slots):
            if kind != "Failed" or message not in self._told:  # four fail over one target: once
                self._tell(message, severity)
            self._told |= {message} if kind == "Failed" else set()
        if kind == "Ready" or before.good is None:  # else it went back to what was answered before
            for message in of_tokens_dropped(before, state):
                self._tell(message, "warning")
        if kind == "Ready":
            self.taken_off(before, state, "they are of the other model")
        elif kind == "Failed" and event.kind == "bad_prompt":
            self.taken_off(before, state, "their values are of a prompt of another length")

    def taken_off(self, before: State, now: State, why: str) -> None:
        """Interventions that were taken off, and why."""
        message = of_taken_off(before.interventions, now.interventions, why)
        if message:
            self._tell(message, "warning")


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
    elif kind == "SharedDevices" and event.said:
        yield event.said, "warning"
    elif kind == "Ready":
        for note in event.notes:
            yield note, "warning"


def of_tokens_dropped(before: State, now: State) -> Iterator[str]:
    """That a target or a foil went with the model that could spell it; nothing where it stays."""
    if before.model is None or now.model is None:
        return
    gone = [
        f"the {what} {visible_token(token)}"
        for what, token, kept in (
            ("target", before.question.target, now.question.target),
            ("foil", before.question.foil, now.question.foil),
        )
        if token is not None and kept is None
    ]
    if gone:
        name = visible(now.model.info.name)
        yield f"Of another model, or none that {name} can spell: {' and '.join(gone)} dropped."


def _of_lost(state: State, restarting: bool) -> str:
    run, log = map(shown_keys, ("run", "log"))
    lost = f" {run} then runs what was lost." if state.engine.lost else ""
    after = f"Starting it again.{lost}" if restarting else f"{run} tries again."
    lines = "".join(f"\n{line}" for line in state.engine.log[-_LOG_LINES:])
    return f"The {state.engine.notice}. {after} {log} shows its log.{lines}"


def of_taken_off(before: InterventionStack, after: InterventionStack, why: str) -> str:
    """Which interventions were on and are off the list now; empty: none."""
    gone = taken_off(before, after)
    if not gone:
        return ""
    return f"Taken off: {', '.join(item.label for item in gone)} ({why})."


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
