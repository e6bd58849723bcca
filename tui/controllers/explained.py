"""What is explained: target, foil, metric, and the corrupted prompt to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.commands.command import keyed

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session


class Explained:
    """Asks for tokens of the vocabulary and for the corrupted prompt."""

    def __init__(self, session: Session, screens: OpensScreens, tell: Tell) -> None:
        self._session, self._screens, self._tell = session, screens, tell

    def next_metric(self) -> None:
        """The next metric; a model that gives a value has no other."""
        if self._session.state.problem in ("value", "vector"):
            self._tell("This model gives numbers without probabilities: there is no other metric.")
            return
        self._session.set_question(self._session.state.question.next_metric())

    def choose_target(self) -> None:
        """Ask for the target; empty: the model's own top token."""
        session = self._session

        def then(text: str) -> None:
            session.set_question(replace(session.state.question, target=text or None))

        value = session.state.question.target or ""
        if self._labels():
            of = "second text, or component" if session.state.problem == "vector" else "label"
            self._pick_label(f"Target: the {of} to explain", value, then, "the model's own first")
            return
        self.pick_token(
            "Target: the token to explain", value, then, empty="the model's own top token"
        )

    def choose_foil(self) -> None:
        """Ask for the foil; empty: none."""
        session = self._session
        if session.state.problem in ("value", "vector"):
            self._tell("This model gives numbers without probabilities: nothing is contrasted.")
            return

        def then(text: str) -> None:
            session.set_question(session.state.question.with_foil(text or None))

        value = session.state.question.foil or ""
        hints = ("The metric becomes logit(target) − logit(foil).",)
        if self._labels():
            title = "Foil: the label to contrast the target with"
            self._pick_label(title, value, then, "no foil", hints)
            return
        self.pick_token(
            "Foil: the token to contrast the target with", value, then, empty="no foil", hints=hints
        )

    def _labels(self) -> tuple[str, ...]:
        """The labels of the model in use; empty where it predicts tokens."""
        model = self._session.state.model
        return () if model is None else model.info.label_names

    def _pick_label(
        self,
        title: str,
        value: str,
        then: Callable[[str], None],
        empty: str,
        hints: tuple[str, ...] = (),
    ) -> None:
        from tui.dialogs.pick_label import PickLabelScreen
        from tui.slots.predictions.likely import likely
        from tui.words import share_or_value

        state = self._session.state
        numbers = likely(state)[1]

        def number(at: int) -> str:
            return share_or_value(numbers[at], state.problem) if at in numbers else ""

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        texts = state.problem == "vector"
        screen = PickLabelScreen(title, self._labels(), value, empty, number, hints, texts)
        self._screens.push_screen(screen, answered)

    def pick_token(
        self,
        title: str,
        value: str,
        then: Callable[[str], None],
        empty: str = "",
        hints: tuple[str, ...] = (),
    ) -> None:
        """Ask for a token of the vocabulary; ``empty``: what no token means."""
        from tui.dialogs.pick_token import PickTokenScreen, TokenInput
        from tui.slots.predictions.likely import likely

        rows, probabilities = likely(self._session.state)
        hints = (*hints, "Most words begin with a space: “·Paris” is not “Paris”.")
        question = TokenInput(title, hints, value, empty, rows, probabilities)

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        session = self._session
        screen = PickTokenScreen(question, session.tokens, session.state.engine, likely)
        self._screens.push_screen(screen, answered)

    def write_corrupted(self) -> None:
        """Ask for the corrupted prompt; it begins as the clean one."""
        from tui.dialogs.corrupted import CorruptedScreen

        session = self._session
        state = session.state

        def answered(text: str | None) -> None:
            if text is not None:
                chosen = {
                    s.name: s.with_corrupted for s in session.slots.values() if s.with_corrupted
                }
                analyses = {**state.analyses, **chosen}
                session.change(*session.slots, corrupted=text or None, analyses=analyses)

        clean = state.rendered
        if clean is None:
            self._tell(
                keyed("What the template makes of the chat is not known: {key:run} runs it.")
            )
            return
        kind = state.beside(clean).kind
        value = state.corrupted or clean

        def two() -> bool:  # the model may be ready only when the dialog is open
            model = session.state.model
            return model is not None and bool(model.info.layer_names)

        screen = CorruptedScreen(clean, value, session.tokens, kind, two)
        self._screens.push_screen(screen, answered)
