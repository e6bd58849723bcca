"""The line above the panes while they show means over rows: of which sweep, which rows, and the way back."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible
from tui import words
from tui.commands.command import first_key
from tui.session.means import ALL_ROWS
from tui.session.state import State
from tui.theme import Inks

_LEAST = 8  # cells that the name of the sweep keeps


def means_line(state: State, ink: Inks, width: int) -> Text:
    """`` means over rows │ ioi │ A label=x │ where right=true   Esc to the prompt``; empty where none are."""
    means = state.means
    if means is None:
        return Text()
    text = Text.assemble((" means over rows ", Style(color=ink.accent, bold=True, reverse=True)))
    back = f"  {first_key('back')} to the prompt"
    views = means.views
    if len(views) > 1:
        back = f"  {first_key('compare')} shows {means.named(means.next_view)}{back}"
    parts = [visible(means.name)]
    own = state.model.info if state.model is not None else None
    if own is not None and own.weights != means.document.model.weights:
        parts.append(f"of {words.short_model(means.document.model.name)}")
    if means.view != ALL_ROWS:
        parts.append(means.named(means.view))
    if means.where:
        parts.append(f"where {visible(means.where)}")
    room = width - text.cell_len - len(back) - 3 * len(parts)
    if room < _LEAST * len(parts):  # the keys are in the help too
        back, room = "", width - text.cell_len - 3 * len(parts)
    for at, part in enumerate(parts):
        text.append(" │ ", ink.frame)
        most = max(_LEAST, room // (len(parts) - at))
        shown = part if len(part) <= most else fit(part, most)
        room -= len(shown)
        text.append(shown, ink.text)
    return text.append(back, ink.muted)
