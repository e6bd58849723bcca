"""What the commands of ``keys`` do. A mixin of the app, apart so that each stays readable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interpboard.display import visible
from tui.commands import table as keys
from tui.controllers.asking import Asking
from tui.controllers.export import Taking
from tui.controllers.interventions import Holding
from tui.session.state import SLOTS
from tui.slots.questions import looked_at
from tui.slots.tokens.methods import painting, token_methods

ABLATIONS = ("zero", "mean", "resample")


class Actions(Asking, Holding, Taking):
    """Actions of ``InterpBoardApp``."""

    # -- running ----------------------------------------------------------------------------------

    def action_open(self) -> None:
        """What is under the cursor; where nothing opens, run."""
        opened = self._me.pane(self._me.active).opens()
        if opened:
            self._me.go(opened)
        else:
            self.action_run()

    def action_run(self) -> None:
        """Run what is in sight on what the prompt says."""
        app = self._me
        text = app.prompt.text
        ask = app.state.ask
        if text == ask.text and app.state.engine.lost:  # the jobs that a dead engine took along
            app.session.run(*app.state.engine.lost)
            return
        if text != ask.text:  # the old position may not exist in the new text
            ask = replace(ask, text=text, position=-1)
        app.session.ask(ask)

    def action_cancel(self) -> None:
        """Cancel what runs."""
        if not self._me.session.cancel():
            self.say("Nothing is running.")

    def action_restart(self) -> None:
        """Start the engine anew."""
        self._me.session.restart()

    def action_metric(self) -> None:
        """The next metric."""
        self._me.session.ask(self._me.state.ask.next_metric())

    def action_ablation(self) -> None:
        """Zero, mean, or resampled from the corrupted prompt where there is one."""
        own = self._me.state.params.get("heads", {})
        at = ABLATIONS.index(own.get("ablation", "zero"))
        following = ABLATIONS[(at + 1) % len(ABLATIONS)]
        if following == "resample" and not self._me.state.corrupted:
            following = "zero"
        self._me.session.set_param("heads", "ablation", following, "mlps")

    def action_method(self) -> None:
        """The next method of the pane."""
        state, slot = self._me.state, self._me.active
        if slot == "lens":
            self._me.next_lens()
            return
        traces = ("causal_trace", "activation_patching")
        methods = token_methods() if slot == "tokens" else traces
        now = state.analyses.get(slot, SLOTS[slot])
        self._me.session.set_analysis(slot, methods[(methods.index(now) + 1) % len(methods)])

    def action_paint(self, method: str) -> None:
        """Paint Tokens by ``method``."""
        self._me.go("tokens")
        self._me.session.set_analysis("tokens", method)

    def action_view(self) -> None:
        """The next view of the pane."""
        from tui.slots.trace.view import SITES, TracePane

        pane = self._me.pane(self._me.active)
        if isinstance(pane, TracePane):
            following = SITES[(SITES.index(pane.site) + 1) % len(SITES)]
            self._me.session.set_param("trace", "site", following)
        elif hasattr(pane, "next_view"):
            pane.next_view()

    def action_subject(self) -> None:
        """The cursor's token joins or leaves the subject."""
        from tui.slots.tokens.view import TokensPane

        pane, state = self._me.pane(self._me.active), self._me.state
        if isinstance(pane, TokensPane) and pane.data.result is not None:
            marked = set(state.subject) ^ {pane.position}
            analyses = {**state.analyses, **({"trace": "causal_trace"} if marked else {})}
            marks = (state.ask.text, tuple(sorted(marked)))
            self._me.session.change("trace", "tokens", marked=marks, analyses=analyses)

    def action_explain_here(self) -> None:
        """Explain the prediction at the cursor's token; again: at the last one."""
        from tui.slots.lens.view import LensPane
        from tui.slots.tokens.view import TokensPane

        pane = self._me.pane(self._me.active)
        if isinstance(pane, TokensPane | LensPane) and pane.data.result is not None:
            ask = self._me.state.ask
            here = -1 if pane.position == ask.position else pane.position
            self._me.session.ask(replace(ask, position=here))

    def action_step_head(self, by: int) -> None:
        """The next head, on into the next layer."""
        model = self._me.state.model
        if model is not None:
            heads, (layer, head) = model.info.heads, looked_at(self._me.state)
            at = max(0, min(model.info.layers * heads - 1, layer * heads + head + by))
            self._me.select(layer=at // heads, head=at % heads, mlp=False)

    def action_step_layer(self, by: int) -> None:
        """The same head of the next layer."""
        model = self._me.state.model
        if model is not None:
            layer, head = looked_at(self._me.state)
            layer = max(0, min(model.info.layers - 1, layer + by))
            self._me.select(layer=layer, head=head, mlp=False)

    # -- looking ----------------------------------------------------------------------------------

    def action_circuit(self) -> None:
        """The circuit's own screen."""
        from tui.slots.circuit.view import CircuitScreen

        self.push_screen(CircuitScreen())

    def action_methods(self) -> None:
        """Every attribution, row by row."""
        from tui.slots.methods.view import MethodsScreen

        self.push_screen(MethodsScreen())

    def action_continuation(self) -> None:
        """The screen of what the model writes next."""
        from tui.slots.continuation.view import ContinuationScreen

        self.push_screen(ContinuationScreen())

    def action_steering(self) -> None:
        """The screen of steering."""
        from tui.slots.steering.view import SteeringScreen

        self.push_screen(SteeringScreen())

    def action_edit_prompt(self) -> None:
        """Into the prompt."""
        self._me.prompt.input.focus()

    def action_leave_prompt(self) -> None:
        """Back to the active pane."""
        self._me.pane(self._me.active).view.focus()

    def action_pane(self, number: int) -> None:
        """Go to a pane by its number."""
        for pane in self._me.panes:
            if pane.number == number:
                self._me.go(pane.slot)

    def action_step_pane(self, by: int) -> None:
        """Go to the next pane by number."""
        slots = [pane.slot for pane in self._me.panes]
        self._me.go(slots[(slots.index(self._me.active) + by) % len(slots)])

    def action_focus_next(self) -> None:
        """Tab is bound by Textual's screen before it reaches the app's table: the same thing."""
        self.action_step_pane(1)

    def action_focus_previous(self) -> None:
        """And back."""
        self.action_step_pane(-1)

    def action_zoom(self) -> None:
        """The active pane on the whole screen, and back."""
        self.screen_stack[0].toggle_class("-zoomed")
        self._me.arrange()

    def action_unzoom(self) -> None:
        """Stop opening a model; else out of the zoom."""
        if self._me.state.engine.opening:
            self._me.session.cancel()
            return
        self.screen_stack[0].remove_class("-zoomed")
        self._me.arrange()

    def action_switch_theme(self) -> None:
        """Light or dark."""
        dark = self.current_theme.dark
        self.theme = "interpboard-light" if dark else "interpboard-dark"
        self._me.repaint_words()

    def action_help(self) -> None:
        """The keys of the active pane."""
        from tui.dialogs.help import HelpScreen

        pane = self._me.pane(self._me.active)
        self.push_screen(HelpScreen(pane.slot, f"{pane.number} {pane.title}"))

    def action_palette(self) -> None:
        """Every command by name."""
        from tui.dialogs.palette import PaletteScreen

        async def chosen(command: keys.Command | None) -> None:
            if command is not None:
                await self.run_action(command.action)

        found = [c for c in keys.commands("app", self._me.active) if c.palette]
        self.push_screen(PaletteScreen([*found, *painting()]), chosen)

    def action_log(self) -> None:
        """The engine's last words."""
        from tui.dialogs.log import LogScreen

        def left(again: bool | None) -> None:
            if again:
                self.action_run()

        self.push_screen(LogScreen(self._me.state.engine), left)

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(0)

    def action_help_quit(self) -> None:
        """Ctrl+c: people press it; say what quits."""
        self.say("q or ctrl+q quits, x cancels what runs.")

    # -- small ------------------------------------------------------------------------------------

    def say(self, message: str, severity: Any = "information") -> None:
        self.notify(visible(message), severity=severity, markup=False, timeout=6)
