"""Long jobs that leave a file: training a tuned lens, collecting examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpboard.files.places import expanded

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.plans import Plans
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session


class Jobs:
    """Asks for what a job needs, and takes what it has left into use. ``folder``: where files go."""

    def __init__(
        self, session: Session, screens: OpensScreens, plans: Plans, folder: str, tell: Tell
    ) -> None:
        self._session, self._screens, self._folder, self._tell = session, screens, folder, tell
        self._plans = plans

    def set_up(self, name: str) -> None:
        """Ask for a text and a place, then begin."""
        from tui.dialogs.job import JobScreen

        session, slot = self._session, self._session.slots[name]
        form = slot.form
        assert form is not None
        if not session.ready or session.state.model is None:
            self._tell("The model is not loaded yet.", "warning")
            return
        before = session.state.params.get(name, {})
        out = before.get("out") or str(self._proposed(form.file, session.state.model.info.name))

        def answered(params: dict[str, Any] | None) -> None:
            if params is not None:
                session.change(params={**session.state.params, name: params})
                session.run(name)

        now, plan = {**before, "out": out}, self._plans.with_params(slot)
        self._screens.push_screen(
            JobScreen(form, slot.analysis, now, plan), self._plans.left(answered)
        )

    def _proposed(self, file: str, model: str) -> Path:
        """The same name each time, so that what was stopped is found again."""
        from interpboard.visualization.files import safe_name

        folder = expanded(self._folder) if self._folder else Path.cwd()
        return folder / file.format(model=safe_name(model))

    def finished(self, name: str) -> None:
        """What a job has left is read at once."""
        slot, request = self._session.slots[name], self._session.state.slots[name].request
        if slot.after is not None and request is not None:
            self._tell(slot.after(self._session, request))
