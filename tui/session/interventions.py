"""The stack of interventions on the model: listed, switched off one by one, undone, redone.

Each is one item of the grammar of ``interpboard.interventions.grammar``, ``2.5=zero``; its *place* is
what stands before the equals sign, and one place has one intervention. A set, ``"a name"{2.5, 1.mlp}=zero``,
is one item: switched as one. The random set beside it is an item of its own, off until somebody wants it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from interpboard.errors import BadParameter
from interpboard.interventions import grammar


@dataclass(frozen=True)
class ListedIntervention:
    """One intervention; one that is off stays in the list. ``control_of``: the set that it stands beside."""

    text: str
    on: bool = True
    control_of: str = ""

    @property
    def place(self) -> str:
        """Where it acts, ``2.5`` or ``@4``."""
        return grammar.place_and_what(self.text)[0]

    @property
    def what(self) -> str:
        """What is put there."""
        return grammar.place_and_what(self.text)[1]

    @property
    def places(self) -> tuple[str, ...]:
        """Every place where it acts: of a set those in it."""
        return grammar.places_of(self.text)

    @property
    def is_set(self) -> bool:
        """Is it of several places, put on and taken off as one?"""
        return grammar.is_set(self.text)

    @property
    def name(self) -> str:
        """Of a set, where it has one."""
        try:
            return grammar.name_of_set(self.text)
        except BadParameter:  # typed by hand, and not read by the engine yet
            return ""

    @property
    def label(self) -> str:
        """How it is called in a line: a set by its name."""
        if not self.is_set:
            return self.text
        return self.name or f"{{{len(self.places)} places}}={self.what}"


ListedInterventions = tuple[ListedIntervention, ...]


@dataclass(frozen=True)
class InterventionStack:
    """The current interventions, and the lists that undo and redo lead to."""

    items: ListedInterventions = ()
    past: tuple[ListedInterventions, ...] = field(default=(), repr=False)
    future: tuple[ListedInterventions, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        """Those that are on, as the engine reads them; empty if there are none."""
        return "; ".join(item.text for item in self.items if item.on)

    @property
    def on(self) -> ListedInterventions:
        """Those that are on."""
        return tuple(item for item in self.items if item.on)

    @property
    def compared(self) -> ListedInterventions:
        """The sets that are off: what each does alone is measured beside what is on."""
        return tuple(item for item in self.items if item.is_set and not item.on)

    def set_at(self, place: str) -> ListedIntervention | None:
        """The set that is on and holds ``place``."""
        on = (item for item in self.items if item.is_set and item.on)
        return next((item for item in on if place in item.places), None)

    def at(self, place: str) -> ListedIntervention | None:
        """The intervention at ``place``."""
        return next((item for item in self.items if item.place == place), None)

    def with_items(self, items: ListedInterventions) -> InterventionStack:
        """Another list; undo comes back to this one."""
        return InterventionStack(items, (*self.past, self.items))

    def toggled(self, place: str, what: str) -> InterventionStack:
        """Switch ``place``: from nothing to ``what``, between on and off after that."""
        old = self.at(place)
        if old is None:
            return self.with_items((*self.items, ListedIntervention(f"{place}={what}")))
        return self.switched(self.items.index(old))

    def put(self, text: str) -> InterventionStack:
        """Add ``text``, instead of another at its place."""
        new = ListedIntervention(text)
        kept = tuple(item for item in self.items if item.place != new.place)
        return self.with_items((*kept, new))

    def with_set(self, text: str, control: str = "") -> InterventionStack:
        """A set on, and its random set beside it off, in the place of sets of the same name."""
        chosen = ListedIntervention(text)
        new = (chosen, ListedIntervention(control, False, chosen.name)) if control else (chosen,)
        names = {item.name for item in new}
        kept = tuple(
            item
            for item in self.items
            if not item.is_set or (item.name not in names and item.control_of not in names)
        )
        return self.with_items((*kept, *new))

    def with_control(self, name: str, control: str) -> InterventionStack:
        """Another random set beside the set called ``name``, as on as that was which it replaces."""
        items = list(self.items)
        old = [i for i, item in enumerate(items) if item.control_of == name]
        chosen = next(i for i, item in enumerate(items) if item.name == name)
        new = ListedIntervention(control, bool(old) and items[old[0]].on, name)
        if old:
            items[old[0]] = new
        else:
            items.insert(chosen + 1, new)
        return self.with_items(tuple(items))

    def exchanged(self, at: int) -> InterventionStack:
        """The set at ``at`` and the random one beside it, whichever it is: one off, the other on."""
        item = self.items[at]
        name = item.control_of or item.name
        pair = [own for own in self.items if name and name in (own.control_of, own.name)]
        if len(pair) != 2:
            return self
        set_is_on = next(own.on for own in pair if not own.control_of)
        return self.with_items(
            tuple(
                replace(own, on=bool(own.control_of) == set_is_on) if own in pair else own
                for own in self.items
            )
        )

    def switched(self, at: int) -> InterventionStack:
        """The item at ``at`` off, or on again."""
        changed = replace(self.items[at], on=not self.items[at].on)
        return self.with_items((*self.items[:at], changed, *self.items[at + 1 :]))

    def without(self, at: int) -> InterventionStack:
        """The list without the item at ``at``."""
        return self.with_items((*self.items[:at], *self.items[at + 1 :]))

    def undone(self) -> InterventionStack:
        """The list before; this one if there is none."""
        if not self.past:
            return self
        return InterventionStack(self.past[-1], self.past[:-1], (self.items, *self.future))

    def redone(self) -> InterventionStack:
        """The list that was undone last."""
        if not self.future:
            return self
        return InterventionStack(self.future[0], (*self.past, self.items), self.future[1:])

    def refused(self) -> InterventionStack:
        """The list before, and no way to this one: the engine could not read it."""
        return (
            InterventionStack(self.past[-1], self.past[:-1]) if self.past else InterventionStack()
        )

    def for_another_text(self) -> InterventionStack:
        """What still means something on another prompt: not what names positions, also not by undoing."""

        def kept(items: ListedInterventions) -> ListedInterventions:
            return tuple(item for item in items if not any("@" in p for p in item.places))

        if kept(self.items) == self.items and not self.past and not self.future:
            return self
        return InterventionStack(
            kept(self.items), tuple(map(kept, self.past)), tuple(map(kept, self.future))
        )

    def without_patches(self) -> InterventionStack:
        """Without what takes its values from another prompt."""
        return InterventionStack(tuple(item for item in self.items if item.what != "patch"))


def stack_from_text(text: str, compared: str = "") -> InterventionStack:
    """What ``InterventionStack.text`` wrote; ``compared``: the sets beside it, which are off."""
    on = [ListedIntervention(item) for item in split(text)]
    named = next((item.name for item in on if item.is_set and item.name), "")
    off = [ListedIntervention(item, False, named) for item in split(compared)]
    return InterventionStack((*on, *off))


def split(text: str) -> list[str]:
    """The items of ``text``; one where it cannot be told apart, of which the engine says what is wrong."""
    try:
        return grammar.split_items(text)
    except BadParameter:
        return [text.strip()]


def taken_off(before: InterventionStack, after: InterventionStack) -> ListedInterventions:
    """What was on, and is in the list no more."""
    return tuple(item for item in before.on if item.text not in {own.text for own in after.items})


def quoted(text: str) -> str:
    """``text`` as the grammar writes it."""
    return json.dumps(text, ensure_ascii=False)
