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
        """The next metric."""
        self._session.set_question(self._session.state.question.next_metric())

    def choose_target(self) -> None:
        """Ask for the target; empty: the model's own top token."""
        session = self._session
        self.pick_token(
            "Target: the token to explain",
            session.state.question.target or "",
            lambda text: session.set_question(replace(session.state.question, target=text or None)),
            empty="the model's own top token",
        )

    def choose_foil(self) -> None:
        """Ask for the foil; empty: none."""
        session = self._session
        self.pick_token(
            "Foil: the token to contrast the target with",
            session.state.question.foil or "",
            lambda text: session.set_question(session.state.question.with_foil(text or None)),
            empty="no foil",
            hints=("The metric becomes logit(target) − logit(foil).",),
        )

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
        self._screens.push_screen(CorruptedScreen(clean, value, session.tokens, kind), answered)
