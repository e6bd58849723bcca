"""A dataset or a sweep that is open: its rows as a table, which are shown, and one of them in the panes.

Files are read, filtered and sorted in a thread: thousands of rows are no reason for a key to wait. What is
newer takes the place of what is being read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interpboard.datasets.columns import Columns, path_and_columns
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.files.places import expanded
from tui.commands.command import keyed
from tui.controllers.background import BackgroundWork
from tui.controllers.row_answers import RowAnswers
from tui.controllers.row_question import as_swept, row_question
from tui.session.state import Question

if TYPE_CHECKING:
    from pathlib import Path

    from interpboard.datasets.rows import DatasetRow
    from interpboard.sweeps.listed_rows import ListedRow, RowList
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine
    from tui.session.session import Session
    from tui.session.shared_engine import Switchboard
    from tui.session.state import State

_CHANGED = "dataset"
_OPENS = "A file of rows, or the folder of a sweep."


class Datasets:
    """``run`` puts a question into the panes; ``changed`` is called when there is something new to show.

    ``row_opened`` hears of each row that goes into the panes, before it does; ``opened`` of what was read.
    """

    def __init__(
        self,
        session: Session,
        *,
        run: Callable[[Question], None],
        open_screen: Callable[[], None],
        changed: Callable[[set[str]], None],
        row_opened: Callable[[], None],
        opened: Callable[[], None],
        input_line: InputsLine,
        switchboard: Switchboard,
        tell: Tell,
    ) -> None:
        self.answers = RowAnswers(
            session, switchboard, self.question_of, lambda: changed({_CHANGED})
        )
        self._session, self._run, self._open_screen = session, run, open_screen
        self._changed, self._row_opened, self._opened = changed, row_opened, opened
        self._input_line, self._tell = input_line, tell
        self.list: RowList | None = None
        self.reading: Path | None = None
        self._named, self._columns = "", Columns()  # as what is open was asked for
        self.where = ""
        self.sorted_by: tuple[str, bool] = (
            "",
            False,
        )  # a column, and whether the largest come first
        self.shown: tuple[ListedRow, ...] = ()
        self._subject: tuple[str, str] | None = (
            None  # of a row: its text, and what is to be marked in it
        )
        self._background = BackgroundWork(tell)

    @property
    def sweep_words(self) -> str:
        """How far the sweep that runs is; empty: none does."""
        return self._session.state.sweep

    # -- opening ----------------------------------------------------------------------------------

    def open(self) -> None:
        """The table of what is open; where nothing is, ask for it."""
        if self.list is not None or self.reading is not None:
            self._open_screen()
        else:
            self.ask()

    def ask(self) -> None:
        """Ask for a file or a folder."""

        def answered(text: str) -> None:
            if text.strip():
                self.read(text.strip())
                self._open_screen()

        more = 'Columns behind it: rows.csv text=prompt,target=" {answer}"'
        self._input_line("Dataset or sweep", (_OPENS, more), self._named, answered)

    def read(self, text: str) -> None:
        """Read what ``text`` names, a path with its columns perhaps, in the background."""
        path, columns = path_and_columns(text)
        self.reading = place = expanded(path)

        async def work() -> None:
            from interpboard.sweeps.listed_rows import list_rows

            try:
                found = await asyncio.to_thread(lambda: list_rows(place, columns))
            except InterpBoardError as error:
                if self.reading == place:
                    self.reading = None
                    self._tell(str(error), "error")
                    self._changed({_CHANGED})
                return
            if self.reading == place:
                before = self.list.path if self.list is not None else None
                same = (before, self._columns) == (found.path, columns)
                self.list, self.reading = found, None
                self._named, self._columns = text, columns
                self.answers.keep_of(found.rows if same and found.manifest is None else ())
                if not same:
                    self.where, self.sorted_by = "", ("", False)
                if found.note:
                    self._tell(found.note, "warning")
                elif found.cut and not same:
                    self._tell(
                        f"The table has the first {len(found.rows):,} rows, and a sweep takes all of them."
                        " To look at the others split the file.",
                        "warning",
                    )
                try:
                    await self._arrange()
                except BadParameter as error:  # a column of the filter is not there any more
                    self.where = ""
                    self._tell(f"All rows are listed, without the filter: {error}", "warning")
                    await self._arrange()
                self._opened()

        self._background.begin(work())

    def again(self) -> None:
        """Read what is open anew: there are more results."""
        if self.list is not None and self.reading is None:
            self.read(self._named)

    # -- which rows, in which order ---------------------------------------------------------------

    def ask_filter(self) -> None:
        """Ask which rows are meant."""
        if self.list is None:
            return

        def answered(text: str) -> None:
            self.filter(text.strip())

        names = ", ".join(self.list.columns)
        hints = (
            f"Columns: {names}",
            'label == "A" and (metric > 0.5 or not right=true); empty: all',
        )
        self._input_line("Rows that fit", hints, self.where, answered)

    def filter(self, where: str) -> None:
        """These rows from now on; what is wrong with ``where`` is said, and nothing changes."""
        before, self.where = self.where, where

        async def work() -> None:
            try:
                await self._arrange()
            except BadParameter as error:
                self.where = before
                self._tell(str(error), "error")

        self._background.begin(work())

    def sort(self, column: str, *, of_file: bool) -> None:
        """By ``column``; again: the other way, then as in the dataset."""
        if not of_file and self.list is not None and column in self.list.of_file:
            self._tell(
                f"The file has a column {column!r} too: by that name rows are sorted and filtered.",
                "warning",
            )
            return
        by, down = self.sorted_by
        following = (column, False) if by != column else (column, True) if not down else ("", False)
        self.sorted_by = following
        self._background.begin(self._arrange())

    async def _arrange(self) -> None:
        """Filter and sort; raises ``BadParameter`` for a filter that says nothing."""
        found, where, by = self.list, self.where, self.sorted_by
        if found is None:
            return
        known = dict(self.answers.known)
        shown = await asyncio.to_thread(lambda: _arranged(found, where, by, known))
        if (found, where, by) == (self.list, self.where, self.sorted_by):
            self.shown = shown
            self._changed({_CHANGED})

    # -- a row in the panes -----------------------------------------------------------------------

    def why_not_open(self, row: ListedRow) -> str:
        """Why a row cannot be opened in the panes; empty: it can."""
        if row.source is not None and row.source.problem:
            return f"{row.place}: {row.problem}"
        if row.source is None:
            assert self.list is not None
            return self.list.note or "The dataset has no such row any more."
        return ""

    def question_of(self, source: DatasetRow) -> Question:
        """What a row asks; of a sweep with its metric, and what the sweep takes where the row has nothing."""
        manifest = self.list.manifest if self.list is not None else None
        metric = self._session.state.question.metric
        return row_question(source, manifest.request if manifest is not None else None, metric)

    def open_row(self, row: ListedRow) -> None:
        """The row in all panes: text, target, foil, position, corrupted prompt and subject as it says."""
        source = row.source
        assert source is not None
        assert self.list is not None
        manifest, own = self.list.manifest, self._session.state.model
        if manifest is not None and own is not None and own.info.weights != manifest.model.weights:
            other = manifest.model.name
            other = "other weights" if other == own.info.name else other
            self._tell(f"The sweep is of {other}: this row runs on {own.info.name}.", "warning")
        question = self.question_of(source)
        text = question.text
        from tui.slots.trace.of_row import methods_of_row

        self._row_opened()
        of_row = methods_of_row(source.corrupted, source.subject)
        session, request = self._session, manifest.request if manifest is not None else None
        swept = as_swept(session.state, session.slots.values(), request, of_row)
        session.change(corrupted=source.corrupted, marked=("", ()), **swept)
        self._run(question)
        # Not before: what changes until then is of another prompt, on which it would be let go.
        self._subject = (text, source.subject) if source.subject is not None else None
        self.changed(session.state)

    def see(self, rows: Sequence[ListedRow]) -> None:
        """These rows are in sight, or nearly; none: the table is left. Of a sweep they are known."""
        swept = self.list is not None and self.list.manifest is not None
        self.answers.see(() if swept else rows)

    def changed(self, state: State) -> None:
        """The app's snapshot has changed: once the tokens of a row are known its subject is marked."""
        self.answers.changed(state)
        if self._subject is None:
            return
        text, subject = self._subject
        if state.question.text != text:
            self._subject = None
            return
        for answer in state.slots.values():
            asked = answer.question
            if answer.prompt is not None and asked is not None and asked.text == text:
                self._subject = None
                self._mark(answer.prompt, subject)
                return

    def _mark(self, prompt: Any, subject: str) -> None:
        from interpboard.results.occurrences import occurrences, touching
        from tui.slots.trace.of_row import mark_row

        found = occurrences(prompt.text, subject.strip())
        positions = touching(prompt, *found[-1]) if found else ()
        if not positions:
            self._tell(
                f"The row's subject {subject!r} is no text of the prompt: not marked.", "warning"
            )
            return

        async def work() -> None:  # not in the middle of telling of a change
            mark_row(self._session, positions)

        self._background.begin(work())

    # -- life -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until nothing of it is under way."""
        await self._background.settled()


def nothing_open() -> str:
    """What is said where no dataset is open."""
    return keyed("No dataset is open: {key:dataset} opens one.")


def _arranged(
    found: RowList, where: str, sorted_by: tuple[str, bool], answers: Mapping[int, ListedRow]
) -> tuple[ListedRow, ...]:
    """``answers`` that are there by now: they are looked at, and are no part of what is listed."""
    plain = {row.number: row for row in found.rows} if answers else {}
    found = found.with_rows(answers)
    rows = found.fitting(where) if where else found.rows
    by, down = sorted_by

    def key(row: ListedRow) -> tuple[bool, float, str]:
        value = row.column(by)
        number = float(value) if isinstance(value, int | float) else 0.0
        return isinstance(value, str), number, str(value) if isinstance(value, str) else ""

    if by:
        known = [row for row in rows if row.column(by) is not None]
        unknown = [row for row in rows if row.column(by) is None]  # last, either way
        rows = (*sorted(known, key=key, reverse=down), *unknown)
    return tuple(plain[row.number] for row in rows) if answers else rows
