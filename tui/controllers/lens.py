"""What the commands of the lens do: its site, plain or tuned. A mixin of the app."""

from __future__ import annotations

import shlex

from interpboard.files.places import expanded
from tui.commands import table as keys
from tui.controllers.part import Part
from tui.slots.lens.view import SITES


def training(model: str) -> str:
    """The command that trains a tuned lens for ``model``."""
    return f"interpboard tune-lens -m {shlex.quote(model)} --corpus TEXT --out LENS"


class Lensing(Part):
    """Actions on pane 3."""

    def action_lens_site(self) -> None:
        """The next site; a tuned lens is trained for one only."""
        app = self._me
        if app.state.analyses.get("lens") == "tuned_lens":
            app.tell(
                f"A tuned lens reads the stream only; {self._key('method')}: the plain lens.",
                "information",
            )
            return
        sites = list(SITES)
        at = sites.index(app.state.params.get("lens", {}).get("site", sites[0]))
        app.session.set_param("lens", "site", sites[(at + 1) % len(sites)])

    def next_lens(self) -> None:
        """Plain or tuned, where there is a tuned one."""
        app = self._me
        if app.state.analyses.get("lens") == "tuned_lens":
            self._read_with("logit_lens", app.state.translators)
        elif app.state.translators:
            self._read_with("tuned_lens", app.state.translators)
        else:
            app.tell(
                f"{self._key('train_lens')} trains a tuned lens on a text; "
                f"{self._key('lens_folder')} opens one that there is.",
                "information",
            )

    def action_ask_translators(self) -> None:
        """Ask for the folder of a tuned lens; empty: the plain lens."""
        from tui.dialogs.ask import AskScreen, Question

        app = self._me
        hints = (
            f"The folder that {self._key('train_lens')} wrote, or this:",
            training(self._model()),
            "Empty: the plain lens.",
        )

        def answered(text: str | None) -> None:
            if text is None:
                return
            folder = str(expanded(text.strip())) if text.strip() else ""
            self._read_with("tuned_lens" if folder else "logit_lens", folder)

        app.push_screen(AskScreen(Question("Tuned lens", hints, app.state.translators)), answered)

    def _read_with(self, analysis: str, translators: str) -> None:
        session = self._me.session
        analyses = {**session.state.analyses, "lens": analysis}
        session.change("lens", translators=translators, analyses=analyses)

    def _model(self) -> str:
        model = self._me.state.model
        return model.info.name if model is not None else "demo"

    def _key(self, id: str) -> str:
        return keys.command(id).shown
