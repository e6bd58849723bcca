"""Everything that a command can act with, put together once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui.commands.command import command
from tui.controllers import of_rows, on_demand
from tui.controllers.comparison import Comparison
from tui.controllers.notify import Messages, Tell
from tui.controllers.panes import Panes
from tui.controllers.prompts import Prompts
from tui.controllers.saver import Saver
from tui.controllers.screens import Screens
from tui.session.engine_port import (
    EngineFactory,
    engine_process,
    engine_processes,
    second_engine_process,
)
from tui.session.session import Session
from tui.session.shared_engine import Switchboard
from tui.session.state import Answer, Answers, Question, State

if TYPE_CHECKING:
    from textual.screen import Screen

    from interpboard.config import Settings
    from tui.controllers.chats import Chats
    from tui.controllers.datasets import Datasets
    from tui.controllers.explained import Explained
    from tui.controllers.export import Export
    from tui.controllers.find import Find
    from tui.controllers.head_sets import HeadSets
    from tui.controllers.help import Help
    from tui.controllers.interventions import Interventions
    from tui.controllers.jobs import Jobs
    from tui.controllers.jump import Jump
    from tui.controllers.log import Log
    from tui.controllers.models import Models
    from tui.controllers.named_sessions import NamedSessions
    from tui.controllers.notes import Notes
    from tui.controllers.palette import Palette
    from tui.controllers.parameters import Parameters
    from tui.controllers.perform import Perform
    from tui.controllers.plans import Plans
    from tui.controllers.plots import Plots
    from tui.controllers.ports import AppPort
    from tui.controllers.prompt_table import PromptTableRows
    from tui.controllers.row_means import RowMeans
    from tui.controllers.saved_runs import SavedRuns
    from tui.controllers.second_model import SecondModel
    from tui.controllers.sweep_runs import SweepRuns
    from tui.files.prompt_file import PromptFile
    from tui.session.unfinished import Unfinished
    from tui.slots.spec import Slot


class Controllers:
    """One object a subject, each with what it needs. Commands act with these, and with ``app``."""

    app: AppPort
    messages: Messages
    tell: Tell
    screens: Screens
    prompts: Prompts
    session: Session
    saver: Saver
    panes: Panes
    comparison: Comparison

    prompt_table: cached_property[PromptTableRows] = cached_property(on_demand.make_prompt_table)
    datasets: cached_property[Datasets] = cached_property(of_rows.make_datasets)
    sweep_runs: cached_property[SweepRuns] = cached_property(of_rows.make_sweep_runs)
    row_means: cached_property[RowMeans] = cached_property(of_rows.make_row_means)
    chats: cached_property[Chats] = cached_property(on_demand.make_chats)
    explained: cached_property[Explained] = cached_property(on_demand.make_explained)
    plans: cached_property[Plans] = cached_property(on_demand.make_plans)
    parameters: cached_property[Parameters] = cached_property(on_demand.make_parameters)
    models: cached_property[Models] = cached_property(on_demand.make_models)
    second_model: cached_property[SecondModel] = cached_property(on_demand.make_second_model)
    interventions: cached_property[Interventions] = cached_property(on_demand.make_interventions)
    head_sets: cached_property[HeadSets] = cached_property(on_demand.make_head_sets)
    jobs: cached_property[Jobs] = cached_property(on_demand.make_jobs)
    saved_runs: cached_property[SavedRuns] = cached_property(on_demand.make_saved_runs)
    notes: cached_property[Notes] = cached_property(on_demand.make_notes)
    named_sessions: cached_property[NamedSessions] = cached_property(on_demand.make_named_sessions)
    export: cached_property[Export] = cached_property(on_demand.make_export)
    find: cached_property[Find] = cached_property(on_demand.make_find)
    plots: cached_property[Plots] = cached_property(on_demand.make_plots)
    help: cached_property[Help] = cached_property(on_demand.make_help)
    log: cached_property[Log] = cached_property(on_demand.make_log)
    perform: cached_property[Perform] = cached_property(on_demand.make_perform)
    palette: cached_property[Palette] = cached_property(on_demand.make_palette)
    jump: cached_property[Jump] = cached_property(on_demand.make_jump)

    def __init__(
        self,
        app: AppPort,
        slots: Sequence[Slot],
        settings: Settings,
        text: str | None,
        prompts: PromptFile | None,
        engine: EngineFactory,
        changed: Callable[[set[str]], None],
        chat: str = "",
        *,
        heard: Callable[[set[str]], None] | None = None,
    ) -> None:
        self.app, self.settings, self.show_changed = app, settings, changed
        self.messages = Messages(app.show_message)
        self.tell = tell = self.messages.tell
        self.screens = Screens(app, self._screen_of)
        self.prompts = Prompts(
            prompts, text, field=lambda: app.prompt, run=self.run_prompt,
            leave=lambda: self.panes.focus(), open_table=lambda: self.prompt_table.open(),
            keeps=lambda: not self.saver.off,
            screens=app, input_line=self.screens.input_line, tell=tell, chat=chat,
        )  # fmt: skip
        state = State(
            question=Question(self.prompts.first, settings.metric, kind=self.prompts.first_kind),
            examples=settings.examples_file,
            translators=settings.lens_folder,
            slots=Answers({slot.name: Answer() for slot in slots}),
        )
        several = engine is engine_process and "," in settings.device
        self.board = board = Switchboard(engine_processes if several else engine)
        self.session = session = Session(
            state, slots, heard or changed, tell, board.connect, self._finished, self._unfinished
        )
        self.saver = Saver(settings.keep_runs, [slot.name for slot in slots if slot.saved], tell)
        second = second_engine_process if engine is engine_process else engine
        self.comparison = Comparison(
            session, slots, board, second, changed, self.saver.remember, tell
        )
        self.panes = Panes(session, app, self.run_prompt, self.screens.open, self.shown)

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    async def boot(
        self,
        settings: Settings,
        resume: bool,
        session: str = "",
        load: LoadOptions = NOTHING_ASKED,
        dataset: str = "",
    ) -> None:
        """Read what is kept, then start the engine and run, or show what was on the screen before.

        ``dataset``: rows or a sweep, whose table is opened.
        """
        await self.saver.find_place()
        await self.prompts.open()
        self.prompts.show_place()
        model, resumed = settings.model, resume and await self.saved_runs.resume(session)
        dtype, special = settings.dtype, settings.special_tokens
        if resumed and self.state.model is not None:
            from tui.controllers.models import opened_again

            info = self.state.model.info
            model, dtype, load = opened_again(info, settings, load)
        await self.session.boot(model, settings.device, dtype, not resumed, special, load)
        self.comparison.go_on(self.saved_runs.resume_comparison if resumed else None)
        self.notes.run(self.notes.read())
        self.make_all()
        if dataset:
            self.datasets.read(dataset)
            self.datasets.open()

    def make_all(self) -> None:
        """Those too that nobody has asked for: no key waits for them."""
        for name, each in vars(type(self)).items():
            if isinstance(each, cached_property):
                getattr(self, name)

    async def idle(self) -> None:
        """Wait until the engine is idle, what it said is told, and what is to be kept is on the disk."""
        await self.session.settled()
        await self.comparison.settled()
        await self.prompt_table.settled()
        await self.datasets.settled()
        await self.row_means.settled()
        await self.sweep_runs.settled()
        await self.notes.idle()
        await self.saver.settled()
        await self.prompts.idle()
        await self.session.settled()

    async def close(self) -> None:
        """The engine ends, and what is to be kept is written."""
        self.sweep_runs.close()
        await self.session.close()
        await self.comparison.close()
        await self.notes.idle()
        await self.saver.close()

    def changed(self, state: State) -> State:
        """The snapshot is ``state`` now; what the panes show of it."""
        self.saver.remember_interventions(state)
        self.comparison.changed(state)
        self.prompt_table.changed(state)
        self.datasets.changed(state)
        self.prompts.changed(state.question.text)
        return self.shown(state)

    def shown(self, state: State) -> State:
        """What the panes show of ``state``: itself, what it is compared with, or means over rows."""
        if state.means is not None:
            return self.row_means.shown_of(state)
        return self.comparison.shown(state)

    # -- what concerns several of them ------------------------------------------------------------

    def run_prompt(self) -> None:
        """Run what is in sight on what the prompt says, or the jobs that a dead engine took along."""
        if self.state.means is not None:
            self.row_means.leave()
        field, question = self.app.prompt, self.state.question
        same = (field.text, field.kind) == (question.text, question.kind)
        if same and self.state.engine.lost:
            self.session.run(*self.state.engine.lost)
            self.comparison.again()
            return
        if not same:  # the old position may not exist in the new text
            question = replace(question, text=field.text, kind=field.kind, position=-1)
        if question == self.state.question:
            self.session.go_on()
        else:
            self.session.set_question(question)
        self.comparison.again()

    def open(self) -> None:
        """What is under the cursor; of means the rows that they are of."""
        if self.state.means is not None:
            self.datasets.open()
        else:
            self.panes.open()

    def compare(self) -> None:
        """With the prompt before, or another model; of means group with group."""
        if self.state.means is not None:
            self.row_means.turn()
        else:
            self.second_model.compare()

    def edit_prompt(self) -> None:
        """The cursor into the prompt; a chat is written in an editor of its own."""
        if self.app.prompt.kind == "chat":
            self.chats.edit()
        else:
            self.panes.put_focus(self.app.prompt.input)

    async def pressed(self, id: str) -> None:
        """Carry out the command of a key."""
        await self.perform.do(command(id))

    def cancel(self) -> None:
        """Cancel what runs."""
        if not (self.session.cancel() | self.comparison.cancel()):
            self.tell("Nothing is running.")

    def back(self) -> None:
        """The first start's hint away; else stop opening a model; else out of the zoom."""
        if self.app.put_hint_away():
            return
        if self.state.means is not None and self.row_means.leave():
            return
        if self.state.engine.opening:
            self.session.cancel()
        else:
            self.panes.zoom(False)

    def _finished(self, state: State, slot: str) -> None:
        self.saver.finished(state, slot)
        self.jobs.finished(slot)
        question = state.slots[slot].question
        checked = self.session.slots[slot].checks_question or state.lacks_mask
        if checked and question is not None:
            self.prompts.ran(question.text, question.kind)

    def _unfinished(self, unfinished: Unfinished) -> None:
        self.saver.unfinished(unfinished)

    def _screen_of(self, name: str) -> Screen[Any]:
        slot = self.session.slots[name]
        return slot.load_view()(slot, self)
