"""Every slot and every command: what the app is made of. A new pane is a folder and a line here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tui.commands import app, keymap, places
from tui.commands.command import Command, command, commands, put_to_use
from tui.slots.attention.spec import ATTENTION
from tui.slots.circuit.spec import CIRCUIT
from tui.slots.continuation.spec import CONTINUATION, CONTINUATION_EDITED
from tui.slots.experts.spec import EXPERTS
from tui.slots.heads.spec import HEAD_TYPES, HEADS, MLP_ABLATION
from tui.slots.lens.spec import LENS, TRAINING
from tui.slots.logits.spec import LOGITS, LOGITS_EDITED
from tui.slots.methods.spec import METHODS
from tui.slots.neurons.spec import CHOSEN_NEURON, COLLECTING, NEURONS
from tui.slots.predictions.spec import LIKELY_TOKENS, PREDICTIONS
from tui.slots.spec import Slot
from tui.slots.steering.spec import STEERING
from tui.slots.tokens.spec import TOKENS
from tui.slots.trace.spec import CORRUPTED_PREDICTIONS, TRACE
from tui.slots.what_if.spec import WHAT_IF

# In the order in which they are asked of the engine: quick ones first.
SLOTS: tuple[Slot, ...] = (
    PREDICTIONS, LIKELY_TOKENS, WHAT_IF, TOKENS, LENS, LOGITS, LOGITS_EDITED, ATTENTION, NEURONS,
    CHOSEN_NEURON, HEADS, MLP_ABLATION, CORRUPTED_PREDICTIONS, TRACE, HEAD_TYPES, CIRCUIT, METHODS,
    STEERING, CONTINUATION, CONTINUATION_EDITED, EXPERTS, TRAINING, COLLECTING,
)  # fmt: skip
_PROMPT_FOOTER = ("submit", "leave", "newline", "older_prompt", "newer_prompt", "search_prompts")
# After the pane's own next step, by importance: what has no room at the end is left out.
_FOOTER = (
    "{next}", "help", "export", "run", "prompt", "{own}", "palette", "target", "interventions", "zoom",
    "{screens}", "pane_8", "model", "yank", "log", "quit",
)  # fmt: skip


def pane_slots(slots: Iterable[Slot] | None = None) -> list[Slot]:
    """The slots that have a pane, by its number."""
    with_place = [(slot.place.number, slot) for slot in slots or SLOTS if slot.place is not None]
    return [slot for _, slot in sorted(with_place, key=lambda pair: pair[0])]


def screens(slots: Iterable[Slot] | None = None) -> list[Slot]:
    """The slots that have a screen over the panes."""
    return [slot for slot in slots or SLOTS if slot.kind == "screen"]


def command_table(slots: Sequence[Slot] | None = None) -> tuple[Command, ...]:
    """Every command once, with all the places in which it lives."""
    openers = [slot.opener for slot in screens(slots) if slot.opener is not None]
    of_app = [*openers, *app.FIND, *app.ZOOM, *map(_go_to, pane_slots(slots)), *app.AFTER_SLOTS]
    lived: list[tuple[str, Sequence[Command]]] = [
        ("app", app.BEFORE_SLOTS),
        *((slot.name, slot.keys) for slot in pane_slots(slots)),
        ("app", of_app),
        *places.COMMANDS_OF_PLACES.items(),
        *((slot.name, slot.keys) for slot in screens(slots)),
        *(
            (place, app.FIND)
            for place in (*places.SEARCHED, *(slot.name for slot in screens(slots)))
        ),
    ]
    where: dict[str, tuple[str, ...]] = {}
    for place, found in lived:
        where |= {each.id: (*where.get(each.id, ()), place) for each in found}
    of_panes = _merged([slot.keys for slot in pane_slots(slots)])
    ordered = [*app.BEFORE_SLOTS, *of_panes, *(each for _, found in lived for each in found)]
    once = {each.id: each for each in ordered}
    return tuple(replace(each, where=where[each.id]) for each in once.values())


def _merged(lists: Iterable[Sequence[Command]]) -> list[Command]:
    """Every command once, in an order that is that of each list."""
    merged: list[Command] = []
    for found in lists:
        at = 0
        for each in found:
            if each not in merged:
                merged.insert(at, each)
            at = merged.index(each) + 1
    return merged


def _go_to(slot: Slot) -> Command:
    assert slot.place is not None
    number, title = slot.place.number, slot.place.title
    about = f"Go to {title}: {slot.place.about}"
    return Command(
        f"pane_{number}",
        str(number),
        str(number),
        title,
        about,
        lambda c: c.panes.go(slot.name),
    )


COMMANDS = command_table()


def rebound_table(chosen: Mapping[str, str]) -> tuple[Command, ...]:
    """The whole table with ``chosen`` keys by id. Raises ``BadConfig``."""
    over = {*places.OVER, *(slot.name for slot in screens())}
    return keymap.with_keys(COMMANDS, chosen, over)


def use(chosen: Mapping[str, str]) -> dict[str, str]:
    """Show ``chosen`` keys from now on; what Textual's key map needs to obey them."""
    in_use = rebound_table(chosen)
    put_to_use(in_use)
    return {each.id: each.keys for each in in_use if each.id in chosen}


def footer_commands(
    focus: str, busy: bool, first: str = "", without: Collection[str] = ()
) -> list[Command]:
    """Live commands for the footer, the most important first. While a job runs, Cancel takes Run's place.

    ``first`` is the pane's next step, its own first command if it says none; what cannot act now is left out.
    """
    if focus == "prompt":
        return list(map(command, _PROMPT_FOOTER))
    of_focus = [each for each in commands(focus) if each.id not in without]
    lists = {
        "{next}": [command(first)] if first else of_focus[:1],
        "{own}": of_focus,
        "{screens}": [slot.opener for slot in screens() if slot.opener is not None],
    }
    chosen: dict[str, Command] = {}
    for id in _FOOTER:
        for each in lists[id] if id in lists else [command(id)]:
            each = command("cancel" if each.id == "run" and busy else each.id)
            chosen.setdefault(each.id, each)
    return [each for each in chosen.values() if each.label and each.keys and each.id not in without]


put_to_use(COMMANDS)
