"""What the commands that ask something do: tokens, prompts, files, models, parameters. A mixin of the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui.controllers.part import Part
from tui.session.state import SLOTS
from tui.slots.neurons.examples import making
from tui.slots.questions import params_key
from tui.slots.tokens.methods import OF_THE_PANE

RECENT = 8  # models in the picker


class Asking(Part):
    """Actions of ``InterpBoardApp`` that open a question."""

    def action_ask_target(self) -> None:
        """Ask for the target; empty: the model's own top token."""
        ask = self._me.state.ask
        self.pick_token(
            "Target: the token to explain",
            ask.target or "",
            lambda text: self._me.session.ask(replace(self._me.state.ask, target=text or None)),
            empty="the model's own top token",
        )

    def action_ask_foil(self) -> None:
        """Ask for the foil; empty: none."""
        ask = self._me.state.ask
        self.pick_token(
            "Foil: the token to contrast the target with",
            ask.foil or "",
            lambda text: self._me.session.ask(self._me.state.ask.with_foil(text or None)),
            empty="no foil",
            hints=("The metric becomes logit(target) − logit(foil).",),
        )

    def action_ask_examples(self) -> None:
        """Ask for the file with max-activating examples."""
        state = self._me.state
        name = state.model.info.name if state.model is not None else "demo"
        self.ask_line(
            "File of max-activating examples",
            ("What this wrote:", making(name), "Empty: none."),
            state.examples,
            lambda text: self._me.session.change("neurons", examples=text.strip()),
        )

    def action_ask_model(self) -> None:
        """Ask for a model: the demo, recent ones, those on this machine, a name."""
        from tui.dialogs.pick_model import PickModelScreen
        from tui.files.models import Shelf, shelf

        app, model = self._me, self._me.state.model
        device = model.info.device if model is not None else app.settings.device
        dtype = model.info.dtype if model is not None else app.settings.dtype

        def look() -> Shelf:
            recent = app.saver.models()[:RECENT]
            return shelf(recent, app.settings.model_folders, device, dtype)

        def answered(name: str | None) -> None:
            if name is not None:
                app.session.load(name)

        self.push_screen(PickModelScreen(look, model.info.name if model else ""), answered)

    def pick_token(
        self,
        title: str,
        value: str,
        then: Callable[[str], None],
        empty: str = "",
        hints: tuple[str, ...] = (),
    ) -> None:
        """Ask for a token of the vocabulary; ``empty``: what no token means."""
        from tui.dialogs.pick_token import PickTokenScreen, TokenQuestion, likely

        rows, probabilities = likely(self._me.state)
        hints = (*hints, "Most words begin with a space: “·Paris” is not “Paris”.")
        question = TokenQuestion(title, hints, value, empty, rows, probabilities)

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        self.push_screen(PickTokenScreen(question, self._me.session.tokens), answered)

    def ask_line(self, title: str, hints: tuple[str, ...], value: str, then: Any) -> None:
        from tui.dialogs.ask import AskScreen, Question

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        self.push_screen(AskScreen(Question(title, hints, value)), answered)

    def action_ask_parameters(self) -> None:
        """Ask for the parameters of the pane's method."""
        self.ask_parameters(self._me.active)

    def ask_parameters(self, slot: str) -> None:
        """Ask for the parameters of the analysis of ``slot``."""
        from interpboard.analyses import find_analysis
        from tui.dialogs.parameters import ParametersScreen

        state = self._me.state
        analysis = find_analysis(state.analyses.get(slot, SLOTS[slot]))
        known = [own for own in analysis.parameters if own.name not in OF_THE_PANE]
        key = params_key(state, slot)

        def answered(params: dict[str, Any] | None) -> None:
            if params is not None:
                chosen = {**self._me.state.params, key: params}
                self._me.session.change(slot, params=chosen)
                self._me.session.ensure(slot)

        now = state.params.get(key, {})
        self.push_screen(ParametersScreen(analysis.title, known, now), answered)

    def action_ask_corrupted(self) -> None:
        """Ask for the corrupted prompt; it begins as the clean one."""
        from tui.dialogs.corrupted import CorruptedScreen

        state, session = self._me.state, self._me.session

        def answered(text: str | None) -> None:
            if text is not None:
                analyses = {**state.analyses, "trace": "activation_patching"}
                slots = ("other", "trace", "heads", "what_if")
                session.change(*slots, corrupted=text or None, analyses=analyses)

        value = state.corrupted or state.ask.text
        self.push_screen(CorruptedScreen(state.ask.text, value, session.tokens), answered)
