"""Lens: the top token after each layer, plain or through trained translators, and their training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands.command import keyed
from tui.session.state import Request, State
from tui.slots.lens.keys import KEYS, next_lens
from tui.slots.spec import JobForm, Place, Slot, of_job, result_params

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.session.session import Session

# What an unfinished training keeps in its folder, and what tells that a lens is there.
UNFINISHED, LENS_FILE = "training.safetensors", "config.json"


def _request(slot: Slot, state: State) -> Request | None:
    """Plain at a site, or tuned with the translators that are open."""
    if state.analyses.get(slot.name) != "tuned_lens":
        return slot.plain_request(state)
    if not state.translators:
        return None
    return Request("tuned_lens", state.question, {"translators": state.translators})


def _restore(slot: Slot, state: State, result: Result) -> State:
    parameters = result_params(result)
    if "translators" in parameters:
        return slot.decided(replace(state, translators=str(parameters["translators"])), result, {})
    return slot.decided(state, result, parameters)


def _refused(state: State, asked: Request, kind: str) -> State:
    """No fitting translators are in the folder: the lens is read as it was before it was opened."""
    if asked.analysis != "tuned_lens" or kind == "unsupported":
        return state
    shown = state.slots["lens"].request
    analysis = shown.analysis if shown is not None else "logit_lens"
    translators = str(shown.params.get("translators", "")) if shown is not None else ""
    analyses = {**state.analyses, "lens": analysis}
    state = replace(state, analyses=analyses, translators=translators)
    return state.with_slot("lens", failure="")


def _trained(session: Session, request: Request) -> str:
    """What was trained is read with at once."""
    out = str(request.params["out"])
    analyses = {**session.state.analyses, "lens": "tuned_lens"}
    session.change(translators=out, analyses=analyses)
    session.again("lens")
    return f"Trained, and read with from now on: {out}"


def has_lens(folder: Path) -> bool:
    """Is a whole lens there, which a training would begin anew?"""
    return (folder / LENS_FILE).exists() and not (folder / UNFINISHED).exists()


def _warning(out: Path) -> str:
    return f"{out.name} has a lens: Enter again trains it anew." if has_lens(out) else ""


def _no_tuned_lens(state: State) -> str:
    """The other method is a tuned lens, which somebody has to train first."""
    if state.translators:
        return ""
    return keyed(
        "{key:train_lens} trains a tuned lens on a text; {key:lens_folder} opens one that there is."
    )


LENS = Slot(
    "lens",
    "logit_lens",
    "pane",
    build=_request,
    restore=_restore,
    refused=_refused,
    only_method=_no_tuned_lens,
    choose_method=next_lens,
    leads=True,
    place=Place(3, "Lens", "where the answer appears"),
    beside=("what_if",),
    view="tui.slots.lens.view:LensPane",
    about=(
        "Each layer's stream, read as if the model ended there; exact. emb is the",
        "input of layer 0; the last row is the model's own prediction. {key:site} reads the",
        "stream before or within layers, or what attention or the MLP adds. {key:method} goes",
        "to a tuned lens, through maps that {key:train_lens} trains or {key:lens_folder} opens, and back.",
    ),
    keys=KEYS,
)
TRAINING = Slot(
    "training",
    "tune_lens",
    "job",
    build=of_job,
    saved=False,
    form=JobForm("Train a tuned lens", "folder", "lens-{model}", _warning),
    after=_trained,
)
