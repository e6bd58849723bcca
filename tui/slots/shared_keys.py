"""Commands that several panes have, each once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.display import visible_token
from tui.commands.command import Command
from tui.commands.reasons import no_other_method, no_result
from tui.session.state import Question

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


def explain_here(controllers: Controllers) -> None:
    """Explain the prediction at the cursor's token; again: at the last one."""
    pane = controllers.panes.view
    asks = pane.asks_at_cursor()
    if isinstance(asks, str):
        controllers.tell(asks)
    elif asks is not None:
        ask_token(controllers, asks)
    elif pane.position is not None and pane.data.result is not None:
        question = controllers.state.question
        here = -1 if pane.position == question.position else pane.position
        controllers.session.set_question(replace(question, position=here))


def ask_token(controllers: Controllers, question: Question) -> None:
    """Explain a token that stands in the text; where a mask took its place the prompt's line says so."""
    if question.text != controllers.state.question.text:
        controllers.app.prompt.show(question.text, question.kind)
    controllers.session.set_question(question)
    asked = question.target
    why = "what follows the last token" if asked is None else f"why {visible_token(asked)}"
    controllers.tell(f"Explained: {why}.")


def next_method(controllers: Controllers) -> None:
    """The next of the methods that may run in the pane."""
    slot = controllers.panes.view.slot
    if slot.choose_method is not None:
        slot.choose_method(controllers)
        return
    methods = slot.methods() if slot.methods is not None else ()
    if methods:
        now = slot.analysis_in(controllers.state)
        controllers.session.set_analysis(
            slot.name, methods[(methods.index(now) + 1) % len(methods)]
        )


def next_view(controllers: Controllers) -> None:
    """The next way to show the pane."""
    pane = controllers.panes.view
    if pane.slot.choose_view is not None:
        pane.slot.choose_view(controllers)
    else:
        pane.next_view()


EXPLAIN_HERE, METHOD, VIEW, PARAMETERS = (
    Command("explain_here", "space", "Space", "Explain",
            "Explain what follows the cursor's token; again: what follows the last", explain_here,
            why_not=no_result),
    Command("method", "m", "m", "Method",
            "The next method", next_method,
            why_not=no_other_method),
    Command("view", "v", "v", "View",
            "The next view: what is painted, which site, which order, which unit", next_view),
    Command("parameters", "P", "P", "Parameters",
            "Set the parameters of the method", lambda c: c.parameters.edit(c.panes.view.slot)),
)  # fmt: skip
