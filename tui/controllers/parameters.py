"""The parameters of the analysis that a slot runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.slots.spec import OF_THE_PANE

if TYPE_CHECKING:
    from tui.controllers.plans import Plans
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session
    from tui.slots.spec import Slot


class Parameters:
    """Asks for them; the registry says which there are."""

    def __init__(self, session: Session, screens: OpensScreens, plans: Plans) -> None:
        self._session, self._screens, self._plans = session, screens, plans

    def edit(self, slot: Slot) -> None:
        """Ask for the parameters of the analysis of ``slot``, then run it with them."""
        from interpboard.registry import find_analysis
        from tui.dialogs.parameters import ParametersScreen

        session = self._session
        analysis = find_analysis(slot.analysis_in(session.state))
        known = [own for own in analysis.parameters if own.name not in OF_THE_PANE]
        key = slot.params_key(session.state)

        def answered(params: dict[str, Any] | None) -> None:
            if params is not None:
                session.change(slot.name, params={**session.state.params, key: params})
                session.ensure(slot.name)

        now = session.state.params.get(key, {})
        plan = self._plans.with_params(slot)
        self._screens.push_screen(
            ParametersScreen(analysis.title, known, now, plan), self._plans.left(answered)
        )
