"""Long jobs that leave a file: training a tuned lens, collecting examples. A mixin of the app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpboard.files.places import expanded
from tui.controllers.part import Part

if TYPE_CHECKING:
    from tui.dialogs.job import Form

# What an unfinished training keeps in its folder, and what tells that a lens is there.
UNFINISHED, LENS = "training.safetensors", "config.json"


class Jobs(Part):
    """Actions of ``InterpBoardApp`` that start them, and what comes after."""

    def action_train_lens(self) -> None:
        """Ask for a text and a folder, then train a tuned lens."""
        from tui.dialogs.job import Form

        self._begin(Form("training", "Train a tuned lens", "folder"))

    def action_collect_examples(self) -> None:
        """Ask for a text and a file, then collect max-activating examples."""
        from tui.dialogs.job import Form

        self._begin(Form("collecting", "Collect max-activating examples", "file"))

    def _begin(self, form: Form) -> None:
        from tui.dialogs.job import JobScreen

        app = self._me
        if not app.session.ready or app.state.model is None:
            app.say("The model is not loaded yet.", "warning")
            return
        before = app.state.params.get(form.slot, {})
        out = before.get("out") or str(self._proposed(form.slot, app.state.model.info.name))

        def answered(params: dict[str, Any] | None) -> None:
            if params is not None:
                app.session.change(params={**app.state.params, form.slot: params})
                app.session.run(form.slot)

        app.push_screen(JobScreen(form, {**before, "out": out}), answered)

    def _proposed(self, slot: str, model: str) -> Path:
        """The same name each time, so that what was stopped is found again."""
        from interpboard.visualization.files import safe_name

        folder = self._me.settings.export_folder
        name = f"lens-{safe_name(model)}"
        if slot == "collecting":
            name = f"examples-{safe_name(model)}.safetensors"
        return (expanded(folder) if folder else Path.cwd()) / name

    def take_up(self, slot: str) -> None:
        """What a job has left is read at once."""
        app = self._me
        request = app.state.slots[slot].request
        out = str(request.params["out"]) if request is not None else ""
        if slot == "training":
            app.session.change(
                translators=out, analyses={**app.state.analyses, "lens": "tuned_lens"}
            )
            app.session.again("lens")
            app.say(f"Trained, and read with from now on: {out}")
        else:
            app.session.change("neurons", examples=out)
            app.say(f"Collected: {out}")


def has_lens(folder: Path) -> bool:
    """Is a whole lens there, which a training would begin anew?"""
    return (folder / LENS).exists() and not (folder / UNFINISHED).exists()
