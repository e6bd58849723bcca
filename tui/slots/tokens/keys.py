"""Keys of Tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tui.commands.command import Command, keyed
from tui.commands.reasons import no_result
from tui.session.interventions import quoted
from tui.slots.shared_keys import EXPLAIN_HERE, METHOD, PARAMETERS, VIEW
from tui.slots.tokens.losses import LOSSES, WITHOUT_MASK, spelt
from tui.slots.tokens.reasoning import fold_reasoning, no_reasoning
from tui.slots.tokens.spans import mark_span, nothing_to_mark
from tui.slots.tokens.units import hide_from_answer

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers
    from tui.slots.tokens.view import TokensPane


def mark_subject(controllers: Controllers) -> None:
    """The cursor's token joins or leaves the subject."""
    pane, state = controllers.panes.view, controllers.state
    if pane.position is not None and pane.data.result is not None:
        mark(controllers, set(state.subject) ^ {pane.position})


def mark(controllers: Controllers, positions: set[int]) -> None:
    """These are the subject from now on."""
    state = controllers.state
    analyses = {**state.analyses, **({"trace": "causal_trace"} if positions else {})}
    marks = (state.question.text, tuple(sorted(positions)))
    controllers.session.change("trace", "tokens", marked=marks, analyses=analyses)


def replace_token(controllers: Controllers) -> None:
    """Ask for a token to put in the place of the cursor's."""
    pane = controllers.panes.view
    prompt, position = pane.data.prompt, pane.position
    if prompt is not None and position is not None:
        controllers.explained.pick_token(
            f"Token to put at {position}",
            spelt(prompt, position),
            lambda text: controllers.session.intervene(
                controllers.state.interventions.put(f"@{position}={quoted(text)}")
            ),
        )


def show_whole_text(controllers: Controllers) -> None:
    """Paint the tokens by their losses; again: by the method that was there before."""
    controllers.panes.go("tokens")
    if controllers.state.lacks_mask:
        controllers.tell(keyed(WITHOUT_MASK))
        return
    pane, analyses = cast("TokensPane", controllers.panes.view), dict(controllers.state.analyses)
    if controllers.session.slots["tokens"].analysis_in(controllers.state) != LOSSES:
        pane.method_before = analyses.get("tokens", "")
        analyses["tokens"] = LOSSES
    else:
        analyses.pop("tokens", None)
        analyses |= {"tokens": pane.method_before} if pane.method_before else {}
    controllers.session.change("tokens", analyses=analyses)


KEYS = (
    EXPLAIN_HERE,
    Command("subject", "s", "s", "Subject",
            "Mark the cursor's token as subject, or unmark it", mark_subject,
            why_not=no_result),
    Command("replace", "w", "w", "Swap",
            "Put another token in the place of the cursor's", replace_token,
            why_not=no_result),
    Command("whole_text", "X", "X", "Losses",
            "How likely each token of the text was, clean and with what is on; again: back",
            show_whole_text),
    Command("span", "", "", "Span",
            "Make the marked tokens a span, a unit of its own; without any the cursor's is no longer one",
            mark_span,
            why_not=nothing_to_mark),
    Command("knockout", "", "", "Knock-out",
            "Hide each unit from the answer, the cursor's among them: metric and KL", hide_from_answer,
            why_not=no_result),
    Command("fold_reasoning", "", "", "Reasoning",
            "Show the reasoning between <think> marks, or fold it to one line", fold_reasoning,
            why_not=no_reasoning),
    METHOD,
    VIEW,
    PARAMETERS,
)  # fmt: skip
