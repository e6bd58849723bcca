"""The line above the panes: the interventions, and the metric without and with them."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from interpboard.display import visible
from tui import words
from tui.commands.command import shown_keys
from tui.session.state import State
from tui.slots.what_if.effects import effects_alone
from tui.slots.what_if.spec import WHAT_IF
from tui.theme import Inks


def what_if_line(state: State, ink: Inks) -> Text:
    """The interventions, and the metric without and with them; how to begin where there are none."""
    text = Text(" what if ", Style(color=ink.muted))
    if not state.interventions.items:
        hint = f"{shown_keys('toggle')} on a head or MLP switches it off, "
        hint += f"{shown_keys('interventions')} lists and adds"
        return text.append(hint, ink.muted)
    edited, effects = state.edited("what_if"), effects_alone(state)
    compared = [item for item in state.interventions.items if item.is_set and item.text in effects]
    for item in compared:  # first: a set says little without the random one beside it
        said = f"{visible(item.label)} {words.signed(effects[item.text], 2)}"
        style = Style(color=ink.text if item.on else ink.muted, bold=item.on)
        text.append(" ").append(said if item.on else f"({said})", style)
    if edited is not None:
        before, after = (float(value) for value in edited.values)
        name = words.metric_name(edited.metric)
        text.append(f" {name} {words.unsigned(before, 2)} → ", ink.text)
        text.append(words.unsigned(after, 2), Style(color=ink.accent, bold=True))
        text.append(f" ({words.signed(after - before, 2)})", ink.text)
        tokens, probs = edited.extra["top_tokens"].values, edited.extra["top_probs"].values
        says = [f"{words.token(str(tokens[i, 0]))} {words.percent(probs[i, 0])}" for i in (0, 1)]
        text.append(f"  says {says[0]} → ", ink.text)
        text.append(says[1], Style(color=ink.accent, bold=True))
        text.append(" older " if WHAT_IF.stale(state) else " exact ", ink.muted)
    elif state.interventions.text:
        text.append(" computing … ", ink.muted)
    for item in state.interventions.items:
        if item not in compared:
            style = Style(color=ink.text if item.on else ink.muted, strike=not item.on)
            said = visible(item.label)
            text.append(" ").append(said if item.on else f"({said})", style)
    return text
