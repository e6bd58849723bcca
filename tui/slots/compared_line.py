"""The line above the panes that says what is compared with what, and which of it they show."""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible
from tui import words
from tui.commands.command import shown_keys
from tui.session.compared import Compared
from tui.session.state import State
from tui.theme import Inks


def compared_line(state: State, ink: Inks, width: int) -> Text:
    """`` B − A │ A before: The Eiffel … │ B The Colosseum …  = shows A``; empty where nothing is compared."""
    compared = state.compared
    if compared is None:
        return Text()
    text = Text.assemble((f" {compared.view} ", Style(color=ink.accent, bold=True, reverse=True)))
    following = compared.next_view()
    key = f"  {shown_keys('compare')} {f'shows {following}' if following else 'ends it'}"
    parts = comparison_words(compared, state)
    room = max(8, (width - text.cell_len - cell_len(key) - 6 * len(parts)) // len(parts))
    for side, what in parts:
        text.append(" │ ", ink.frame)
        bold = compared.view in (side, "B − A")
        text.append(f"{side} ", Style(color=ink.accent, bold=bold))
        text.append(what if cell_len(what) <= room else fit(what, room), ink.text)
    return text.append(key, ink.muted)


def comparison_words(compared: Compared, state: State) -> list[tuple[str, str]]:
    """``A`` and ``B`` with what they are, in words."""
    from interpboard.results.opened import opened_as  # with numpy: not before the first paint

    a = compared.a
    first, second = f"{compared.name}: {visible(a.question.shown)}", visible(state.question.shown)
    models = [own.model.info if own.model is not None else None for own in (a, state)]
    if models[0] == models[1]:
        return [("A", first), ("B", second)]
    one, other = (
        " ".join((words.short_model(own.name), own.dtype, *map(visible, opened_as(own))))
        if own is not None
        else f"{words.short_model(compared.name)}, loading"
        for own in models
    )
    return [("A", one if compared.models else f"{one}, {first}"), ("B", f"{other}: {second}")]
