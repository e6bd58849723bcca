"""The stack of interventions on the model: listed, switched off one by one, undone, redone.

Each is one item of the grammar of ``interpboard.interventions.grammar``, ``2.5=zero``; its *place* is
what stands before the equals sign, and one place has one intervention.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace

_ITEM = re.compile(r'(?:[^;\n"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True)
class ListedIntervention:
    """One intervention; one that is off stays in the list."""

    text: str
    on: bool = True

    @property
    def place(self) -> str:
        """Where it acts, ``2.5`` or ``@4``."""
        return self.text.partition("=")[0].strip()

    @property
    def what(self) -> str:
        """What is put there."""
        return self.text.partition("=")[2].strip()


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
        """What still means something on another prompt: not what names positions."""
        kept = tuple(item for item in self.items if "@" not in item.place)
        return self if kept == self.items else self.with_items(kept)


def stack_from_text(text: str) -> InterventionStack:
    """What ``InterventionStack.text`` wrote."""
    items = (item.strip() for item in _ITEM.findall(text))
    return InterventionStack(tuple(ListedIntervention(item) for item in items if item))


def quoted(text: str) -> str:
    """``text`` as the grammar writes it."""
    return json.dumps(text, ensure_ascii=False)
