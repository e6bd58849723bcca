"""The line above the panes: the interventions, and the metric without and with them."""

from __future__ import annotations

from itertools import product

from rich.style import Style
from rich.text import Text

from interpboard.display import visible
from tui import words
from tui.commands.command import shown_keys
from tui.session.interventions import ListedIntervention
from tui.session.state import State
from tui.slots.what_if.effects import effects_alone
from tui.slots.what_if.spec import WHAT_IF
from tui.theme import Inks


def what_if_line(state: State, ink: Inks, width: int) -> Text:
    """The interventions, and the metric without and with them; how to begin where there are none.

    Where it is narrow it says less, first of what the list of interventions says too. Both numbers, both
    answers, and whether they are of this list, stay.
    """
    text = Text(" what if ", Style(color=ink.muted))
    if not state.interventions.items:
        hint = f"{shown_keys('toggle')} on a head or MLP switches it off, "
        hint += f"{shown_keys('interventions')} lists and adds"
        return text.append(hint, ink.muted)
    listed_less = (len(state.interventions.items), 3, 2, 1, 0, None)
    for said, listed in product(_SHORTER, listed_less):
        text = _line(state, ink, *said, listed=listed)
        if text.cell_len <= width:
            break
    return text


# (its name, the metric's name, what changed, probabilities): less and less.
_SHORTER = (
    (True, True, True, True), (False, True, True, True), (False, True, True, False),
    (False, True, False, False), (False, False, False, False),
)  # fmt: skip


def _line(
    state: State,
    ink: Inks,
    named: bool,
    metric: bool,
    change: bool,
    probs: bool,
    *,
    listed: int | None,
) -> Text:
    text = Text(" what if " if named else "", Style(color=ink.muted))
    edited, effects = state.edited("what_if"), effects_alone(state)
    items = state.interventions.items
    compared = [item for item in items if item.is_set and item.text in effects]
    for item in compared:  # first: a set says little without the random one beside it
        shown = f"{visible(item.label)} {words.signed(effects[item.text], 2)}"
        text.append(" ").append_text(_item(item, shown, ink, struck=False))
    if edited is not None:
        before, after = (float(value) for value in edited.values)
        name = f"{words.metric_name(edited.metric)} " if metric else ""
        text.append(f" {name}{words.unsigned(before, 2)} → ", ink.text)
        text.append(words.unsigned(after, 2), Style(color=ink.accent, bold=True))
        text.append(f" ({words.signed(after - before, 2)})" if change else "", ink.text)
        tokens, shares = edited.extra["top_tokens"].values, edited.extra["top_probs"].values
        says = [
            words.token(str(tokens[i, 0]))
            + (f" {words.share_or_value(shares[i, 0], edited.metric.problem)}" if probs else "")
            for i in (0, 1)
        ]
        text.append(f"  says {says[0]} → ", ink.text)
        text.append(says[1], Style(color=ink.accent, bold=True))
        text.append(" older " if WHAT_IF.stale(state) else " exact ", ink.muted)
    elif state.interventions.text:
        text.append(" computing … ", ink.muted)
    if listed is None:
        return text
    others = [item for item in items if item not in compared]
    for item in others[:listed]:
        text.append(" ").append_text(_item(item, visible(item.label), ink, struck=True))
    left = len(others) - len(others[:listed])
    if left:
        keys = shown_keys("interventions")
        text.append(f" {keys} lists {left}{' more' if listed else ''}", ink.muted)
    return text


def _item(item: ListedIntervention, said: str, ink: Inks, *, struck: bool) -> Text:
    style = Style(color=ink.text if item.on else ink.muted)
    style += Style(strike=not item.on) if struck else Style(bold=item.on)
    return Text(said if item.on else f"({said})", style)
