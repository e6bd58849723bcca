"""What a pane says while it has nothing to show."""

from __future__ import annotations

from interpboard.display import visible
from tui.commands.command import keyed
from tui.session.state import Answer, State
from tui.widgets.lines import standing

_PHASES = {
    "starting": "the engine is starting …",
    "loading": "the model is loading …",
    "restarting": "the engine is starting again …",
    "failed": "no model: {key:model} opens one",
    "gave up": "no engine: {key:run} tries again",
}


def waiting_words(state: State, answer: Answer, hint: str) -> str:
    """What runs, what failed, or ``hint``: what there is to do; before that what the engine does."""
    if state.means is not None:
        return visible(answer.failure)
    if state.engine.phase != "ready":
        return keyed(_PHASES[state.engine.phase])
    if answer.job is not None:
        return f"{standing(answer.job)} …"
    if state.lacks_mask:
        return keyed(
            "the prompt has no mask: {key:explain_here} in Tokens puts one in the place of a word"
        )
    return visible(answer.failure) or hint
