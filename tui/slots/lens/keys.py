"""Keys of Lens: where it reads, plain or tuned."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from interpboard.files.places import expanded
from tui.commands.command import Command, keyed, shown_keys
from tui.commands.reasons import not_ready
from tui.slots.lens.sites import SITE_TITLES
from tui.slots.shared_keys import EXPLAIN_HERE, METHOD, VIEW

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


def training(model: str) -> str:
    """The command that trains a tuned lens for ``model``."""
    return f"interpboard tune-lens -m {shlex.quote(model)} --corpus TEXT --out LENS"


def next_site(app: Controllers) -> None:
    """The next site; a tuned lens is trained for one only."""
    if app.state.analyses.get("lens") == "tuned_lens":
        app.tell(f"A tuned lens reads the stream only; {shown_keys('method')}: the plain lens.")
        return
    sites = list(SITE_TITLES)
    at = sites.index(app.state.params.get("lens", {}).get("site", sites[0]))
    app.session.set_param("lens", "site", sites[(at + 1) % len(sites)])


def next_lens(app: Controllers) -> None:
    """Plain or tuned, where there is a tuned one."""
    if app.state.analyses.get("lens") == "tuned_lens":
        read_with(app, "logit_lens", app.state.translators)
    elif app.state.translators:
        read_with(app, "tuned_lens", app.state.translators)
    else:
        app.tell(
            f"{shown_keys('train_lens')} trains a tuned lens on a text; "
            f"{shown_keys('lens_folder')} opens one that there is."
        )


def choose_translators(app: Controllers) -> None:
    """Ask for the folder of a tuned lens; empty: the plain lens."""
    hints = (
        f"The folder that {shown_keys('train_lens')} wrote, or this:",
        training(app.models.name),
        "Empty: the plain lens.",
    )

    def answered(text: str) -> None:
        folder = str(expanded(text.strip())) if text.strip() else ""
        read_with(app, "tuned_lens" if folder else "logit_lens", folder)

    app.screens.input_line("Tuned lens", hints, app.state.translators, answered)


def read_with(app: Controllers, analysis: str, translators: str) -> None:
    """Read the lens plain or with translators from now on."""
    analyses = {**app.state.analyses, "lens": analysis}
    app.session.change("lens", translators=translators, analyses=analyses)


def tuned(app: Controllers, _place: str) -> str:
    """Is a tuned lens read, which is trained for one site?"""
    if app.state.analyses.get("lens") != "tuned_lens":
        return ""
    return keyed("A tuned lens reads the stream only; {key:method}: the plain lens.")


KEYS = (
    EXPLAIN_HERE,
    METHOD,
    VIEW,
    Command("site", "s", "s", "Site",
            "Read the next site: the stream, or what attention or the MLP adds", next_site,
            why_not=tuned),
    Command("lens_folder", "T", "T", "Tuned lens",
            "Open a folder of trained translators: a tuned lens", choose_translators),
    Command("train_lens", "F", "F", "Train",
            "Train a tuned lens on a text, and read with it", lambda app: app.jobs.set_up("training"),
            why_not=not_ready),
)  # fmt: skip
