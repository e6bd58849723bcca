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


def next_site(controllers: Controllers) -> None:
    """The next site; a tuned lens is trained for one only."""
    if controllers.state.analyses.get("lens") == "tuned_lens":
        controllers.tell(
            f"A tuned lens reads the stream only; {shown_keys('method')}: the plain lens."
        )
        return
    sites = list(SITE_TITLES)
    at = sites.index(controllers.state.params.get("lens", {}).get("site", sites[0]))
    controllers.session.set_param("lens", "site", sites[(at + 1) % len(sites)])


def next_lens(controllers: Controllers) -> None:
    """Plain or tuned, where there is a tuned one."""
    if controllers.state.analyses.get("lens") == "tuned_lens":
        read_with(controllers, "logit_lens", controllers.state.translators)
    elif controllers.state.translators:
        read_with(controllers, "tuned_lens", controllers.state.translators)
    else:
        controllers.tell(
            f"{shown_keys('train_lens')} trains a tuned lens on a text; "
            f"{shown_keys('lens_folder')} opens one that there is."
        )


def choose_translators(controllers: Controllers) -> None:
    """Ask for the folder of a tuned lens; empty: the plain lens."""
    hints = (
        f"The folder that {shown_keys('train_lens')} wrote, or this:",
        training(controllers.models.name),
        "Empty: the plain lens.",
    )

    def answered(text: str) -> None:
        folder = str(expanded(text.strip())) if text.strip() else ""
        read_with(controllers, "tuned_lens" if folder else "logit_lens", folder)

    controllers.screens.input_line("Tuned lens", hints, controllers.state.translators, answered)


def read_with(controllers: Controllers, analysis: str, translators: str) -> None:
    """Read the lens plain or with translators from now on."""
    analyses = {**controllers.state.analyses, "lens": analysis}
    controllers.session.change("lens", translators=translators, analyses=analyses)


def tuned(controllers: Controllers, _place: str) -> str:
    """Is a tuned lens read, which is trained for one site?"""
    if controllers.state.analyses.get("lens") != "tuned_lens":
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
            "Train a tuned lens on a text, and read with it", lambda c: c.jobs.set_up("training"),
            why_not=not_ready),
)  # fmt: skip
