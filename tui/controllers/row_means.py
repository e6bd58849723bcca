"""The means of a sweep in the panes, group beside group, and the way back to the prompt.

A finished sweep has its means in a file; those of a filter, another column of groups, or of a sweep that
still runs are taken anew, in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.errors import InterpBoardError
from tui.commands.command import keyed, shown_keys
from tui.controllers.background import BackgroundWork
from tui.session.means import Means, second_less_first, shown_means

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.sweeps.listed_rows import RowList
    from tui.commands.command import Command
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine
    from tui.session.session import Session
    from tui.session.state import State

# Commands of the app that are about a prompt's own result.
OF_ONE_PROMPT = frozenset(
    {
        "jump",
        "code",
        "note",
        "plot",
        "plan",
        "target",
        "foil",
        "metric",
        "head_set",
        "pin_prompt",
        "compare_model",
    }
)
_AGGREGATE = "aggregate.json"


class RowMeans:
    """``rows`` is what is open, ``where`` which of its rows are meant. ``changed``: there is more to show."""

    def __init__(
        self,
        session: Session,
        *,
        rows: Callable[[], RowList | None],
        where: Callable[[], str],
        before: Callable[[], None],
        changed: Callable[[set[str]], None],
        uncover: Callable[[], None],
        active: Callable[[], str],
        go: Callable[[str], None],
        input_line: InputsLine,
        tell: Tell,
    ) -> None:
        self._session, self._rows, self._where = session, rows, where
        self._before, self._changed, self._uncover = before, changed, uncover
        self._active, self._go = active, go
        self._input_line, self._tell = input_line, tell
        self.group = ""
        self._asked: object = None
        self._background = BackgroundWork(tell)

    def why_not(self) -> str:
        """Why there are no means to show; empty: there are, or they can be taken."""
        found = self._rows()
        if found is None:
            return keyed("No sweep is open: {key:dataset} opens one.")
        if found.manifest is None:
            return keyed(
                "These rows are not swept yet: {key:dataset_start} in Dataset sweeps them."
            )
        return ""

    def show(self) -> None:
        """The means in the panes, of the rows that the filter leaves."""
        refusal = self.why_not()
        if refusal:
            self._tell(refusal)
            return
        found = self._rows()
        assert found is not None
        assert found.manifest is not None
        path, where, group = found.path, self._where(), self.group or found.manifest.request.group
        rows = found.manifest.rows
        self._asked = asked = object()
        self._tell("The means are being taken.")

        async def work() -> None:
            try:
                document = await asyncio.to_thread(lambda: _document(path, where, group))
            except InterpBoardError as error:
                if self._asked is asked:
                    self._tell(str(error), "error")
                return
            if self._asked is asked:
                self._put(Means(document, path.name, rows, where))

        self._background.begin(work())

    def _put(self, means: Means) -> None:
        self._before()
        self._uncover()
        out = means.document.results[0].warnings
        more = f" {out[0]}" if out else ""
        back = f"{shown_keys('back').split(' ')[0]} goes back to the prompt."
        self._tell(f"The panes show means over rows. {back}{more}")
        self._change(means)
        panes = [slot for slot in self._session.slots.values() if slot.place is not None]
        there = [slot.name for slot in panes if means.of(slot) is not None]
        if there and self._active() not in there:
            self._go(there[0])

    def ask_group(self) -> None:
        """Ask for the column whose values make groups."""
        refusal = self.why_not()
        found = self._rows()
        if refusal or found is None:
            self._tell(refusal)
            return

        def answered(text: str) -> None:
            if text.strip() and text.strip() not in found.columns:
                self._tell(f"No row has a column {text.strip()!r}.", "error")
                return
            self.group = text.strip()
            self.show()

        known = ", ".join(dict.fromkeys(name for row in found.rows for name in row.columns))
        hints = (
            f"Columns: {known or 'this dataset has none'}, right, target …",
            "Empty: no groups.",
        )
        self._input_line("Groups by the column", hints, self.group, answered)

    @property
    def shown(self) -> bool:
        """Do the panes show means?"""
        return self._session.state.means is not None

    def turn(self) -> None:
        """The next group, of two B − A, A, B, then all rows."""
        means = self._session.state.means
        if means is not None:
            self._change(replace(means, view=means.next_view))

    def why_not_turn(self) -> str:
        """Why there is no other group; empty: there is."""
        means = self._session.state.means
        if means is not None and len(means.views) < 2:
            return keyed(
                "There are no groups: {key:dataset_group} in Dataset makes them of a column."
            )
        return ""

    def leave(self) -> bool:
        """Back to the prompt; were there means?"""
        self._asked = None
        there = self.shown
        if there:
            self._change(None)
        return there

    def _change(self, means: Means | None) -> None:
        self._session.change(means=means)
        self._changed({*self._session.slots, "question"})

    def shown_of(self, state: State) -> State:
        """What the panes show of ``state``."""
        return shown_means(state, self._session.slots)

    def refuses(self, asked: Command) -> str:
        """Why a command does nothing now: it is about one prompt's result."""
        if not self.shown:
            return ""
        of_pane = "app" not in asked.where and set(asked.where) & set(self._session.slots)
        if not of_pane and asked.id not in OF_ONE_PROMPT:
            return ""
        back = shown_keys("back").split(" ")[0]
        return f"Means over rows are shown. “{asked.label}” is for one prompt: {back} goes back."

    # -- life -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until nothing of it is under way."""
        await self._background.settled()


def _document(path: Path, where: str, group: str) -> Document:
    """The means that are written, where they are those asked for, of all that is there; else taken anew."""
    from interpboard.results import Document
    from interpboard.sweeps.aggregate import AggregateSettings, aggregate
    from interpboard.sweeps.folder import SweepFolder

    folder = SweepFolder.open(path)
    written = path / _AGGREGATE
    if not where and group == folder.manifest.request.group and _is_newest(written, folder.parts()):
        found = Document.load(written)
    else:
        found = aggregate(
            folder, AggregateSettings(folder.manifest.level, where=where, group=group)
        )
    return second_less_first(found, group)


def _is_newest(written: Path, parts: list[Path]) -> bool:
    try:
        made = written.stat().st_mtime_ns
        return bool(parts) and all(part.stat().st_mtime_ns <= made for part in parts)
    except OSError:
        return False
