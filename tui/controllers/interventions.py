"""What the commands of what-if do. A mixin of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.controllers.part import Part
from tui.session.interventions import Held, quoted

if TYPE_CHECKING:
    from interpboard.results import PromptInfo


class Holding(Part):
    """Actions that change what is held."""

    def action_toggle_part(self) -> None:
        """The head or MLP under the cursor off, or on again."""
        from tui.slots.heads.view import HeadsPane

        app = self._me
        pane = app.pane(app.active)
        place = pane.place() if isinstance(pane, HeadsPane) else None
        if place is None or not isinstance(pane, HeadsPane):
            return
        what = {"mean": "mean", "resample": "patch"}.get(pane.ablation, "zero")
        app.session.hold(app.state.held.toggled(place, what))

    def action_hold_patch(self) -> None:
        """The corrupted prompt's state at the cell under the cursor put into the clean run."""
        from tui.slots.trace.view import TracePane

        app = self._me
        pane = app.pane(app.active)
        if not isinstance(pane, TracePane) or pane.grid.data is None:
            return
        if pane.method != "activation_patching" or not app.state.corrupted:
            app.notify("Only states of a corrupted prompt can be held: m changes the method.")
            return
        place = pane.place(*pane.grid.cursor)
        if place is None:
            app.notify("The stream before layer 0 is the embedding: swap the token in Tokens.")
            return
        app.session.hold(app.state.held.toggled(place, "patch"))

    def action_replace_token(self) -> None:
        """Ask for a token to hold in the place of the cursor's."""
        from tui.slots.tokens.view import TokensPane

        app = self._me
        pane = app.pane(app.active)
        if not isinstance(pane, TokensPane) or pane.data.prompt is None:
            return
        position = pane.position
        app.pick_token(
            f"Token to put at {position}",
            _named(pane.data.prompt, position),
            lambda text: app.session.hold(app.state.held.put(f"@{position}={quoted(text)}")),
        )

    def action_interventions(self) -> None:
        """List what is held."""
        from tui.dialogs.interventions import InterventionsScreen

        self._me.push_screen(InterventionsScreen())

    def action_undo(self) -> None:
        """What was held before."""
        self._step(self._me.state.held.undone(), "Nothing to undo.")

    def action_redo(self) -> None:
        """What was undone."""
        self._step(self._me.state.held.redone(), "Nothing to redo.")

    def _step(self, held: Held, nothing: str) -> None:
        app = self._me
        if held is app.state.held:
            app.notify(nothing)
        else:
            app.session.hold(held)


def _named(prompt: PromptInfo, at: int) -> str:
    """The token at ``at`` as it can be typed: by its id where it is not the text that stands there."""
    token = prompt.tokens[at]
    begin, end = prompt.spans[at] if prompt.spans else (0, 0)
    alike = not prompt.spans or prompt.text[begin:end].strip() == token.strip()
    return token if alike else f"#{prompt.token_ids[at]}"
