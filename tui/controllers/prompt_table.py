"""The file of prompts as a table: its rows are computed in the background, those in sight first.

One small job at a time, behind the panes' own: while the table is out of sight it waits for them. Answers and
lenses of all rows come before the heads of any, which take longer. Nothing is computed twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from interpboard.files.places import expanded
from tui import words
from tui.commands.command import keyed, shown_keys
from tui.controllers.background import BackgroundWork

if TYPE_CHECKING:
    from interpboard.results.prompt_rows import PromptRow, PromptTable
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine
    from tui.files.prompt_file import PromptFile
    from tui.session.engine_port import EngineLike
    from tui.session.session import Session
    from tui.session.shared_engine import Switchboard
    from tui.session.state import Model, State

PREFIX = "T"
STAGES = {"answer": "predictions", "lens": "logit_lens", "heads": "head_ablation"}
CHANGED = "prompt_table"


class PromptTableRows:
    """``file`` is the one that is open; ``run`` puts a row's prompt, and its target, into the panes."""

    def __init__(
        self,
        session: Session,
        switchboard: Switchboard,
        *,
        file: Callable[[], PromptFile | None],
        run: Callable[[str, str | None], None],
        open_screen: Callable[[], None],
        changed: Callable[[set[str]], None],
        input_line: InputsLine,
        folder: str,
        tell: Tell,
    ) -> None:
        self._session, self._board, self._file = session, switchboard, file
        self._run, self._open_screen, self._changed = run, open_screen, changed
        self._input_line, self._folder, self._tell = input_line, folder, tell
        self.rows: list[PromptRow] = []
        self.paused = False
        self.in_sight: range | None = (
            None  # rows on the screen, in the file's order; None: no screen
        )
        self._of: tuple[PromptFile, Model] | None = None
        self._metric = ""
        self._done: set[tuple[str, int]] = set()
        self._running: tuple[str, int] | None = None
        self._engine: EngineLike | None = None
        self._background = BackgroundWork(tell)

    # -- what people do ---------------------------------------------------------------------------

    def open(self) -> None:
        """The table of the file, where one is open."""
        if self._file() is None:
            self._tell(keyed("No file of prompts is open: {key:prompt_file} opens one."))
            return
        self.paused = False
        self._open_screen()

    def see(self, rows: range | None) -> None:
        """These rows are on the screen; None: the table is closed."""
        self.in_sight = rows
        self.go_on()

    def can_open(self, row: PromptRow) -> bool:
        """Whether the row's line holds a prompt; says why where it does not."""
        problem = self._of[0].problem(row.number - 1) if self._of is not None else ""
        if problem:
            self._tell(problem, "warning")
        return not problem

    def run_row(self, row: PromptRow) -> None:
        """The row's prompt, and its target, into the panes."""
        self._run(row.prompt, row.target)

    def cancel(self) -> None:
        """Stop computing rows."""
        if self._running is None:
            self._tell("Nothing is running.")
            return
        self.paused = True
        if self._engine is not None:
            self._engine.cancel()

    def resume(self) -> None:
        """Compute what is missing."""
        self.paused = False
        self.go_on()

    def export(self) -> None:
        """Ask where the table is to be written, then write it."""
        from interpboard.visualization.prompt_table import TABLE_FORMATS, prompt_table_text
        from tui.files.export import write_export

        table = self.table()
        if table is None:
            self._tell("There is no table to export yet.", "warning")
            return
        stem = Path(table.file).stem or "prompts"
        folder = expanded(self._folder) if self._folder else Path.cwd()

        def answered(text: str) -> None:
            path = expanded(text.strip())
            form = path.suffix.removeprefix(".").lower()
            if form not in TABLE_FORMATS:
                self._tell(f"The name ends in one of .{', .'.join(TABLE_FORMATS)}.", "error")
                return
            try:
                write_export(path, prompt_table_text(table, form))
            except OSError as error:
                self._tell(f"Cannot write {path}: {error.strerror or error}.", "error")
                return
            self._tell(f"Written: {path.absolute()}")

        hints = (f"Its ending says the format: .{', .'.join(TABLE_FORMATS)}.",)
        self._input_line("Write the table to", hints, str(folder / f"{stem}-table.csv"), answered)

    def table(self) -> PromptTable | None:
        """What is known so far, of the model that it is of."""
        from interpboard.results.prompt_rows import PromptTable

        if self._of is None:
            return None
        file, model = self._of
        return PromptTable(file=file.name, model=model.info, rows=tuple(self.rows))

    @property
    def counts(self) -> str:
        """``3 of 40 done``, and whether it goes on."""
        last = next(reversed(STAGES))
        done = sum((last, at) in self._done for at in range(len(self.rows)))
        if done == len(self.rows):
            return f"{done} prompts"
        stopped = f", stopped: {shown_keys('table_resume')} goes on" if self.paused else ""
        return f"{done} of {len(self.rows)} prompts done{stopped}"

    # -- computing --------------------------------------------------------------------------------

    def changed(self, state: State) -> None:
        """The app's snapshot has changed: the panes may be done, or the model another one."""
        if self._of is not None or self.in_sight is not None:
            self.go_on()

    def go_on(self) -> None:
        """Begin the next row, if it is its turn."""
        state, file = self._session.state, self._file()
        if file is None or state.model is None or not self._session.ready:
            return
        metric = state.question.metric
        if metric == "logit_diff":  # a foil is one prompt's own
            metric = "logit"
        if (
            self._of is None
            or replace(self._of[0], at=file.at) != file
            or self._of[1].info != state.model.info
            or self._metric != metric
        ):
            if self.in_sight is None:
                return  # nobody has asked for this table
            self._begin(file, state.model, metric)
        waits = self.in_sight is None and bool(state.busy)
        if self.paused or waits or self._running is not None:
            return
        following = self._next()
        if following is not None:
            self._send(*following)

    def _begin(self, file: PromptFile, model: Model, metric: str) -> None:
        from interpboard.results.prompt_rows import PromptRow

        self._board.leave(PREFIX)
        self._running, self._of, self._metric = None, (file, model), metric
        self.rows = [
            PromptRow(
                number=at + 1,
                prompt=text,
                target=file.target(at),
                problem=visible(file.problem(at)),
            )
            for at, text in enumerate(file.texts)
        ]
        unusable = set(range(len(self.rows))) - set(file.usable)
        self._done = {(stage, at) for stage in STAGES for at in unusable}
        self._engine = self._board.side(PREFIX, model)(self._take)
        self._changed({CHANGED})

    def _next(self) -> tuple[str, int] | None:
        every = range(len(self.rows))
        first = [at for at in self.in_sight or () if at in every]
        for stage in STAGES:
            for at in (*first, *every):
                if (stage, at) not in self._done:
                    return stage, at
        return None

    def _send(self, stage: str, at: int) -> None:
        from interpboard.results import MetricRequest

        assert self._engine is not None
        row = self.rows[at]
        self._running = (stage, at)
        params = {"preview": True} if stage == "heads" else {}
        request = MetricRequest(self._metric, row.target, None, -1)
        self._engine.run(stage, STAGES[stage], row.prompt, request, params)

    def _take(self, slot: str, event: Any) -> None:
        kind = type(event).__name__
        if kind == "Lost" and self._running and self._running[0] in event.going_on:
            return  # other engines go on with it
        if kind == "Lost":  # what was under way may be what ended it
            self.paused, self._running = self.paused or self._running is not None, None
        elif self._running is None or slot != self._running[0]:
            return
        elif kind == "Progress":
            self._estimated(event.partial)
            return
        elif kind == "Finished":
            self._fill(event.result)
            self._finish()
        elif kind == "Failed":
            self._refuse(f"{event.message} {event.remedy}".strip())
        elif kind == "Stopped":
            self._running = None
        self._changed({CHANGED})
        self._later()

    def _later(self) -> None:
        async def work() -> None:
            self.go_on()

        self._background.begin(work())

    def _fill(self, result: Any) -> None:
        from interpboard.results import prompt_rows
        from interpboard.visualization.terminal import settled_layers

        assert self._running is not None
        stage, at = self._running
        row = self.rows[at]
        if stage == "answer":
            self.rows[at] = prompt_rows.with_answer(row, result)
        elif stage == "lens":
            layers = settled_layers(result)
            self.rows[at] = prompt_rows.with_settled(row, layers, result.metric.position)
        else:
            self._heads(result.values, result.neutral, result.axes, exact=words.exact(result))

    def _estimated(self, partial: Any) -> None:
        """The estimates of all heads, shown until the exact ones are there."""
        if partial is None or partial.estimated is None or not partial.estimated.all():
            return
        self._heads(partial.values, 0.0, partial.axes, exact=False)
        self._changed({CHANGED})

    def _heads(self, values: Any, neutral: float, axes: Any, *, exact: bool) -> None:
        from interpboard.results import prompt_rows

        assert self._running is not None
        at = self._running[1]
        labels = (axes[0].labels, axes[1].labels)
        self.rows[at] = prompt_rows.with_head(self.rows[at], values, neutral, labels, exact=exact)

    def _finish(self) -> None:
        assert self._running is not None
        self._done.add(self._running)
        self._running = None

    def _refuse(self, reason: str) -> None:
        """The row shows why; a prompt that has no answer is not asked anything else."""
        import msgspec

        assert self._running is not None
        stage, at = self._running
        self.rows[at] = msgspec.structs.replace(self.rows[at], problem=visible(reason))
        stages = STAGES if stage == "answer" else (stage,)
        self._done |= {(each, at) for each in stages}
        self._running = None

    # -- life -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until nothing of it is under way."""
        while self._background or self._running is not None:
            await self._background.settled()
            await asyncio.sleep(0.002)
