"""Why a command cannot act now: the commands' own predicates. A key and the palette say the same.

Each takes the controllers and the place in which the command would act, and gives a sentence; empty: it can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.commands.command import keyed

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

Reason = Callable[["Controllers", str], str]


def no_model(controllers: Controllers, place: str) -> str:
    """Is there no model?"""
    if controllers.state.model is not None:
        return ""
    if controllers.state.engine.phase in ("starting", "loading", "restarting"):
        return "The model is not loaded yet."
    return keyed("Needs a model: {key:model} opens one.")


def not_ready(controllers: Controllers, place: str) -> str:
    """Can the engine not begin a job?"""
    return "" if controllers.session.ready else "The model is not loaded yet."


def no_result(controllers: Controllers, place: str) -> str:
    """Does the place show no result yet, nor a part of one?"""
    answer = controllers.state.slots[
        controllers.panes.active if place not in controllers.state.slots else place
    ]
    there = answer.result is not None or answer.partial is not None
    return "" if there else keyed("Needs a result: {key:run} computes it.")


def no_results(controllers: Controllers, place: str) -> str:
    """Does nothing at all show a result?"""
    there = any(answer.result is not None for answer in controllers.state.slots.values())
    return "" if there else keyed("Needs a result: {key:run} computes it.")


def nothing_runs(controllers: Controllers, place: str) -> str:
    """Is there nothing to cancel?"""
    compared = controllers.state.compared
    runs = controllers.state.busy or controllers.state.engine.phase == "loading"
    runs = runs or (compared is not None and compared.a.busy)
    if not runs and controllers.state.sweep:
        return keyed("Only a sweep runs: {key:dataset_stop} in Dataset stops it.")
    return "" if runs else "Nothing is running."


def nothing_to_undo(controllers: Controllers, place: str) -> str:
    """Were the interventions never changed?"""
    return "" if controllers.state.interventions.past else "Nothing to undo."


def nothing_to_redo(controllers: Controllers, place: str) -> str:
    """Was nothing undone?"""
    return "" if controllers.state.interventions.future else "Nothing to redo."


def no_prompt_file(controllers: Controllers, place: str) -> str:
    """Is no file of prompts open?"""
    there = controllers.prompts.file is not None
    return "" if there else keyed("No file of prompts is open: {key:prompt_file} opens one.")


def no_dataset(controllers: Controllers, place: str) -> str:
    """Is no dataset open?"""
    there = controllers.datasets.list is not None
    return "" if there else keyed("No dataset is open: {key:dataset} opens one.")


def no_sweep(controllers: Controllers, place: str) -> str:
    """Is there no sweep whose means could be shown?"""
    return controllers.row_means.why_not()


def no_query(controllers: Controllers, place: str) -> str:
    """Was nothing searched for yet?"""
    return (
        ""
        if controllers.find.query
        else keyed("Nothing was searched for yet: {key:find} searches.")
    )


def no_corrupted(controllers: Controllers, place: str) -> str:
    """Is there no corrupted prompt?"""
    there = bool(controllers.state.corrupted)
    return "" if there else keyed("Needs a corrupted prompt: {key:corrupted} in Trace writes it.")


def no_subject(controllers: Controllers, place: str) -> str:
    """Is no subject marked?"""
    there = bool(controllers.state.subject)
    return "" if there else keyed("Needs a subject: {key:subject} in Tokens marks it.")


def no_other_method(controllers: Controllers, place: str) -> str:
    """Is there no other method here? The slot knows why."""
    slot = controllers.session.slots.get(place)
    return slot.only_method(controllers.state) if slot is not None else ""


def no_interventions(controllers: Controllers, place: str) -> str:
    """Is there no intervention?"""
    there = bool(controllers.state.interventions.items)
    return (
        "" if there else keyed("There are no interventions: {key:what_if_add} in What if adds one.")
    )


def no_control(controllers: Controllers, place: str) -> str:
    """Is there no set with a random one beside it?"""
    there = any(item.control_of for item in controllers.state.interventions.items)
    return (
        ""
        if there
        else keyed("There is no set with a random one beside it: {key:head_set} adds one.")
    )


def nothing_lost(controllers: Controllers, place: str) -> str:
    """Did no engine take jobs along?"""
    return "" if controllers.state.engine.lost else "No job was lost."


def nothing_to_compare(controllers: Controllers, place: str) -> str:
    """Is there no prompt to compare this one with, or of means no other group?"""
    if controllers.state.means is not None:
        return controllers.row_means.why_not_turn()
    return "" if controllers.second_model.offered else controllers.comparison.why_not_compare()


def nothing_to_pin(controllers: Controllers, place: str) -> str:
    """Has the prompt no answer that could be compared?"""
    return controllers.comparison.why_not_pin()


def no_second_model(controllers: Controllers, place: str) -> str:
    """Can no second model be opened, and none be closed?"""
    return controllers.second_model.why_not()


def no_plan(controllers: Controllers, place: str) -> str:
    """Is there nothing whose plan could be made?"""
    return controllers.plans.why_not()


def no_lines(controllers: Controllers, place: str) -> str:
    """Does the active pane hold nothing that is drawn as lines?"""
    return controllers.plots.why_not()


def nothing_kept(controllers: Controllers, place: str) -> str:
    """Is there no place to keep anything?"""
    return "Nothing can be saved here: no notes, no sessions." if controllers.saver.off else ""


def nothing_saved(controllers: Controllers, place: str) -> str:
    """Was no result saved yet?"""
    if controllers.saver.off:
        return "Nothing can be saved here."
    return "" if controllers.saver.store.path.exists() else "Nothing has been saved yet."


def no_pinned_runs(controllers: Controllers, place: str) -> str:
    """In a list of runs that is opened for it, none is pinned."""
    return nothing_saved(controllers, place) or keyed(
        "Needs two pinned runs: {key:runs_pin} in Runs pins one."
    )


def cannot_suspend(controllers: Controllers, place: str) -> str:
    """Is there no shell to go back to?"""
    return controllers.app.stays
