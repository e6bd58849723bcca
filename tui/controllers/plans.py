"""What an analysis would take, before it runs: of the active pane, and for boxes that ask for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from tui.dialogs.plan_words import PlanSaid, refused_plan, spoken_plan

if TYPE_CHECKING:
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session
    from tui.session.state import State
    from tui.slots.spec import Slot

_R = TypeVar("_R")


class Plans:
    """``slot`` is that of the active pane."""

    def __init__(self, session: Session, screens: OpensScreens, slot: Callable[[], Slot]) -> None:
        self._session, self._screens, self._slot = session, screens, slot

    def why_not(self) -> str:
        """Why nothing can be planned now; empty: it can."""
        if not self._session.ready:
            return "The model is not loaded yet."
        asks = self._slot().request(self._session.state) is not None
        return "" if asks else "This pane has nothing to run yet."

    def open(self) -> None:
        """Show the plan of what the active pane asks now."""
        from interpboard.registry import find_analysis
        from tui.dialogs.plan import PlanScreen

        slot, state = self._slot(), self._session.state
        title = find_analysis(slot.analysis_in(state)).title

        screen = PlanScreen(title, lambda: self._said(slot, state))
        self._screens.push_screen(screen, self.left(lambda _none: None))

    def with_params(self, slot: Slot) -> Callable[[Mapping[str, Any]], Awaitable[PlanSaid | None]]:
        """Asks for the plan of the analysis of ``slot`` with the parameters that it is given."""

        def asked(params: Mapping[str, Any]) -> Awaitable[PlanSaid | None]:
            state = self._session.state
            changed = {**state.params, slot.params_key(state): params}
            return self._said(slot, replace(state, params=changed))

        return asked

    def left(self, answered: Callable[[_R], None]) -> Callable[[_R], None]:
        """For a box that shows a plan: nobody waits for it any more, and ``answered`` hears its answer."""

        def leave(answer: _R) -> None:
            self._session.plans.leave()
            answered(answer)

        return leave

    async def _said(self, slot: Slot, state: State) -> PlanSaid | None:
        """None: something newer was asked, or nobody answers."""
        if not self._session.ready:
            return PlanSaid("the model is not loaded yet")
        request = slot.request(state)
        if request is None:
            return PlanSaid("there is nothing to run yet")
        answer = await self._session.plans.of(request)
        if answer is None:
            return None
        from interpboard.results.plan import Plan

        return spoken_plan(answer) if isinstance(answer, Plan) else refused_plan(answer)
