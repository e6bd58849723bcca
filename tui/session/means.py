"""Means over the rows of a sweep in the panes, in place of the answers to one prompt. Pure.

``shown_means`` makes of the current snapshot the one that the panes show: every slot has the mean of its
analysis, or a line that says that the sweep has none. No answer to the prompt is left in it, so that none is
taken for a mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.session.state import Answer, Answers, State

if TYPE_CHECKING:
    from interpboard.results import Document, Result
    from tui.slots.spec import Slot

ALL_ROWS = ""


@dataclass(frozen=True, eq=False)
class Means:
    """``document`` has the means; ``name`` is the folder's; ``where`` which rows are meant, empty: all.

    ``rows`` are those of the dataset, None: not known. ``view``: the group that is shown, as its results name
    it; of two groups also their difference.
    """

    document: Document
    name: str
    rows: int | None = None
    where: str = ""
    view: str = ALL_ROWS

    @property
    def views(self) -> tuple[str, ...]:
        """What can be shown, in turn: of two groups B − A, A, B, then all rows; of more each of them."""
        groups, differences = self._groups
        return (*differences, *groups, ALL_ROWS)

    @property
    def _groups(self) -> tuple[list[str], list[str]]:
        """Groups, and the differences of two, as results name them."""
        named = {
            str(own.params["group"]): "p_family" in own.extra
            for own in self.document.results
            if "group" in own.params
        }
        return [name for name in named if not named[name]], [name for name in named if named[name]]

    @property
    def next_view(self) -> str:
        """What is shown after this one."""
        views = self.views
        return views[(views.index(self.view) + 1) % len(views)]

    def named(self, view: str) -> str:
        """``B − A``, ``A label=x``, ``label=x`` where there are more groups, ``all rows``."""
        if view == ALL_ROWS:
            return "all rows"
        groups, differences = self._groups
        if view in differences:
            return "B − A"
        return f"{'AB'[groups.index(view)]} {view}" if differences else view

    def of(self, slot: Slot) -> Result | None:
        """The mean that the slot's pane shows: of the first analysis that may run there and was swept."""
        methods = slot.methods() if slot.methods is not None else ()
        for name in dict.fromkeys((slot.analysis, *methods, slot.with_corrupted)):
            for result in self.document.results:
                if result.analysis == name and result.params.get("group", ALL_ROWS) == self.view:
                    return result
        return None

    @property
    def analyses(self) -> tuple[str, ...]:
        """Those that were swept."""
        return tuple(dict.fromkeys(result.analysis for result in self.document.results))


def second_less_first(document: Document, column: str) -> Document:
    """``document`` with the difference of its two groups the other way round: B − A, the first being A."""
    import msgspec

    results = []
    for result in document.results:
        if "p_family" in result.extra:
            names = [
                str(own.params["group"]).removeprefix(f"{column}=")
                for own in document.results
                if own.analysis == result.analysis
                and "group" in own.params
                and "p_family" not in own.extra
            ]
            params = {**result.params, "group": f"{column}={names[1]} − {names[0]}"}
            result = msgspec.structs.replace(result, values=-result.values, params=params)
        results.append(result)
    return msgspec.structs.replace(document, results=tuple(results))


def shown_means(state: State, slots: Mapping[str, Slot]) -> State:
    """What the panes show of ``state``."""
    means = state.means
    if means is None:
        return state
    answers = {name: _answer(means, slot) for name, slot in slots.items()}
    return replace(state, slots=Answers(answers), compared=None)


def _answer(means: Means, slot: Slot) -> Answer:
    result = means.of(slot)
    if result is None:
        from tui import words

        titles = ", ".join(map(words.analysis_title, means.analyses))
        return Answer(failure=f"Not in this sweep, which has: {titles}.")
    return Answer(result=result, prompt=means.document.prompt, of=means.document.model)
