"""A sweep begun, watched, stopped and gone on with from the app.

It is a process of its own, ``interpboard sweep`` with its folder, behind everything else on the machine: the
engine computes one thing at a time, so that a row in it would make every key of the panes wait, and a row
that takes all memory would end the engine. It costs the memory of the model once more. It goes on when the
app is left; what it computes is in its folder, and whoever opens that can watch it, stop it, go on with it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from interpboard.errors import InterpBoardError
from tui.commands.command import keyed
from tui.controllers.background import BackgroundWork
from tui.controllers.row_question import metric_of_rows
from tui.controllers.sweep_process import Spawn, SweepProcess, error_of, spawn_sweep
from tui.controllers.sweep_words import begun_words, ended_words, plan_of_rows, standing_words
from tui.session.state import Request

if TYPE_CHECKING:
    from interpboard.sweeps.folder import Manifest
    from interpboard.sweeps.standing import SweepStanding
    from tui.controllers.datasets import Datasets
    from tui.controllers.notify import Tell
    from tui.controllers.ports import OpensScreens
    from tui.dialogs.plan_words import PlanSaid
    from tui.session.session import Session

LOOKS_EVERY = 1.0  # seconds
_LISTS_EVERY = 10.0  # seconds, as often as a sweep writes


class SweepRuns:
    """``datasets`` has what is open; ``folder`` is where sweeps are proposed to be kept."""

    def __init__(
        self,
        session: Session,
        datasets: Datasets,
        screens: OpensScreens,
        *,
        folder: Callable[[], Path],
        tell: Tell,
        spawn: Spawn | None = None,
    ) -> None:
        self._session, self._datasets, self._screens = session, datasets, screens
        self._folder, self._tell, self._spawn = folder, tell, spawn or spawn_sweep
        self._begun: dict[Path, tuple[SweepProcess, IO[bytes]]] = {}
        self._watched: Path | None = None
        self._watching: asyncio.Task[None] | None = None
        self._background = BackgroundWork(tell)

    # -- what people do ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a sweep of the rows that are open, or go on with the sweep that is."""
        found = self._datasets.list
        if self._watched is not None:
            self._tell(keyed("A sweep runs already: {key:dataset_stop} stops it."))
        elif found is None:
            self._tell(keyed("No dataset is open: {key:dataset} opens one."))
        elif found.manifest is None:
            self._set_up()
        elif found.dataset is None:
            self._tell(found.note, "warning")
        else:
            self._background.begin(self._go_on(found.dataset, found.manifest, found.path))

    async def _go_on(self, dataset: Any, manifest: Manifest, path: Path) -> None:
        """Compute what the sweep lacks; no model is opened for nothing."""
        from interpboard.sweeps.remaining import is_whole

        try:
            whole = await asyncio.to_thread(is_whole, path, dataset)
        except InterpBoardError as error:
            self._tell(str(error), "error")
            return
        if whole:
            self._tell("Nothing is left to compute: every row of this sweep is done.")
        else:
            self._begin(dataset, manifest.request, manifest.model, path, manifest.level, on=True)

    def stop(self) -> None:
        """Stop the sweep that is watched; what is computed is kept."""
        path = self._watched
        if path is None:
            self._tell("No sweep is running.")
            return

        async def work() -> None:
            from interpboard.sweeps.standing import stop_sweep

            try:
                await asyncio.to_thread(stop_sweep, path)
            except InterpBoardError as error:
                self._tell(str(error), "warning")
                return
            self._tell("The sweep stops after its row; what is computed is kept.")

        self._background.begin(work())

    def _set_up(self) -> None:
        from tui.dialogs.sweep import SweepScreen

        state, found = self._session.state, self._datasets.list
        assert found is not None
        if not self._session.ready or state.model is None:
            self._tell("The model is not loaded yet.", "warning")
            return
        dataset, model = found.dataset, state.model.info

        def answered(asked: dict[str, Any] | None) -> None:
            self._session.plans.leave()
            if asked is not None and dataset is not None:
                self._begin(dataset, asked["request"], model, asked["out"])

        names, params = self._in_sight()
        out = self._folder() / f"sweep-{found.path.stem or 'rows'}"
        metric = metric_of_rows(found.rows, state.question.metric)
        screen = SweepScreen(names, params, metric, out, found.columns, self._planned)
        self._screens.push_screen(screen, answered)

    def _in_sight(self) -> tuple[list[str], dict[str, dict[str, Any]]]:
        """The analyses of the panes in sight that rows can be asked, with the parameters chosen there."""
        from interpboard.registry import find_analysis
        from interpboard.sweeps.request import OF_THE_ROW, sweep_request
        from tui.slots.spec import OF_THE_PANE

        state, row = self._session.state, self._first()
        names, params = list[str](), dict[str, dict[str, Any]]()
        for name in self._session.in_sight:
            slot = self._session.slots[name]
            if slot.place is None or slot.follows_cursor:
                continue
            analysis = slot.analysis_in(state)
            lacks = [
                key
                for key in find_analysis(analysis).required
                if key not in OF_THE_ROW or row is None or row.column(key) is None
            ]
            own = {k: v for k, v in slot.params_in(state).items() if k not in OF_THE_PANE}
            try:
                sweep_request([analysis], {analysis: own})
            except InterpBoardError:
                continue
            if not lacks and analysis not in names:
                names.append(analysis)
                params[analysis] = own
        return names, params

    def _first(self) -> Any:
        """The first row that can be used; None: there is none."""
        found = self._datasets.list
        rows = found.rows if found is not None else ()
        return next((row.source for row in rows if row.source and not row.source.problem), None)

    async def _planned(self, asked: Mapping[str, Any]) -> PlanSaid | None:
        """Rows × seconds of one like the first; None: something newer was asked."""
        from interpboard.registry import find_analysis
        from interpboard.results.plan import Plan
        from tui.dialogs.plan_words import PlanSaid, refused_plan

        found, row = self._datasets.list, self._first()
        if found is None or row is None or not self._session.ready:
            return PlanSaid("no row can be used" if row is None else "the model is not loaded yet")
        question, plans = self._datasets.question_of(row), list[Plan]()
        for name in asked["request"].analyses:
            takes = {parameter.name for parameter in find_analysis(name).parameters}
            of_row = {
                k: row.column(k) for k in ("corrupted", "subject") if k in takes and row.column(k)
            }
            params = {**asked["request"].params.get(name, {}), **of_row}
            answer = await self._session.plans.of(Request(name, question, params))
            if answer is None:
                return None
            if not isinstance(answer, Plan):
                return refused_plan(answer)
            plans.append(answer)
        return plan_of_rows(plans, len(found.rows))

    # -- the process ------------------------------------------------------------------------------

    def _begin(
        self,
        dataset: Any,
        request: Any,
        model: Any,
        out: Path,
        level: float = 0.95,
        *,
        on: bool = False,
    ) -> None:
        """Begin a sweep, or go ``on`` with one, by as many workers as it was begun with."""
        from interpboard.sweeps.command_words import sweep_words
        from interpboard.sweeps.standing import SweepWorkers, read_standing

        standing = read_standing(out)
        if (standing is not None and standing.runs) or out in self._begun:
            self._tell(keyed("This sweep runs already: {key:dataset_stop} stops it."))
            return
        said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        try:
            before = standing if on and standing is not None else None
            by = SweepWorkers() if before is None else before.by_here
            words = sweep_words(dataset, request, model, out, level, by)
            self._begun[out] = (self._spawn(words, said), said)
        except InterpBoardError as error:
            self._tell(str(error), "error")
            return
        except OSError as error:
            self._tell(f"The sweep cannot be started: {error.strerror or error}.", "error")
            return
        self._tell(begun_words(by.workers, None if before is None else before.by.workers, on=on))
        self._say("sweep: opening the model")
        self.watch(out)

    def watch(self, path: Path) -> None:
        """Say how far the sweep in ``path`` is, as long as it runs."""
        if self._watched == path and self._watching is not None and not self._watching.done():
            return
        if self._watching is not None:
            self._watching.cancel()
        self._watched = path
        self._watching = asyncio.get_running_loop().create_task(self._watch(path))

    async def _watch(self, path: Path) -> None:
        from interpboard.sweeps.standing import read_standing

        listed, rows, began = time.monotonic(), -1, path in self._begun
        while True:
            standing = await asyncio.to_thread(read_standing, path)
            mine = self._begun.get(path)
            code = mine[0].poll() if mine is not None else None
            runs = standing is not None and standing.runs
            # It opens the model, or is about to end.
            if mine is not None and code is None and not runs:
                runs, standing = True, None
            if standing is not None and runs:
                self._say(f"sweep {standing_words(standing)}")
                known = self._datasets.list
                same = known is not None and known.path == path
                due = time.monotonic() - listed > _LISTS_EVERY and standing.rows != rows
                if (began and not same) or (same and due):
                    listed, rows, began = time.monotonic(), standing.rows, False
                    self._datasets.read(str(path))
            if not runs:
                break
            await asyncio.sleep(LOOKS_EVERY)
        self._end(path, standing, code)

    def _end(self, path: Path, standing: SweepStanding | None, code: int | None) -> None:
        """What became of it, and the rows as they are now."""
        self._watched = None
        self._say("")
        mine = self._begun.pop(path, None)
        if mine is not None and code not in (0, 130, None) and error_of(mine[1]):
            self._tell(f"The sweep ended: {error_of(mine[1])}", "error")
        elif standing is not None:
            self._tell(*ended_words(standing))
        if (path / "manifest.json").exists():
            self._datasets.read(str(path))

    def _say(self, words: str) -> None:
        if words != self._session.state.sweep:
            self._session.change(sweep=words)

    # -- life -------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Another dataset or sweep is open: one that runs is watched."""
        from interpboard.sweeps.standing import read_standing

        found = self._datasets.list
        if found is not None and found.manifest is not None:
            standing = read_standing(found.path)
            if standing is not None and standing.runs:
                self.watch(found.path)

    async def settled(self) -> None:
        """Wait until nothing of it is under way; a sweep may run on."""
        await self._background.settled()

    def close(self) -> None:
        """Nobody watches any more; the sweep goes on."""
        if self._watching is not None:
            self._watching.cancel()
