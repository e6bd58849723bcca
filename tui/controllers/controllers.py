"""Everything that a command can act with, put together once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui.controllers.chats import Chats
from tui.controllers.comparison import Comparison
from tui.controllers.explained import Explained
from tui.controllers.export import Export
from tui.controllers.find import Find
from tui.controllers.head_sets import HeadSets
from tui.controllers.help import Help
from tui.controllers.interventions import Interventions
from tui.controllers.jobs import Jobs
from tui.controllers.jump import Jump
from tui.controllers.log import Log
from tui.controllers.models import Models, opened_again
from tui.controllers.named_sessions import NamedSessions
from tui.controllers.notes import Notes
from tui.controllers.notify import Messages, Tell
from tui.controllers.palette import Palette
from tui.controllers.panes import Panes
from tui.controllers.parameters import Parameters
from tui.controllers.perform import Perform
from tui.controllers.pictures import Pictures
from tui.controllers.plans import Plans
from tui.controllers.plots import Plots
from tui.controllers.prompt_table import PromptTableRows
from tui.controllers.prompts import Prompts
from tui.controllers.saved_runs import SavedRuns
from tui.controllers.saver import Saver
from tui.controllers.screens import Screens
from tui.controllers.second_model import SecondModel
from tui.session.engine_port import EngineFactory, engine_process, second_engine_process
from tui.session.session import Session
from tui.session.shared_engine import Switchboard
from tui.session.state import Answer, Answers, Question, State

if TYPE_CHECKING:
    from textual.screen import Screen

    from interpboard.config import Settings
    from interpboard.store import SavedRun
    from tui.controllers.ports import AppPort
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
    prompt_table: PromptTableRows
    chats: Chats
    explained: Explained
    plans: Plans
    parameters: Parameters
    models: Models
    second_model: SecondModel
    interventions: Interventions
    head_sets: HeadSets
    notes: Notes
    named_sessions: NamedSessions
    jobs: Jobs
    saved_runs: SavedRuns
    export: Export
    find: Find
    plots: Plots
    help: Help
    log: Log
    perform: Perform
    palette: Palette
    jump: Jump

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
    ) -> None:
        self.app = app
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
        board = Switchboard(engine)
        self.session = session = Session(
            state, slots, changed, tell, board.connect, self._finished, self._unfinished
        )
        self.saver = Saver(settings.keep_runs, [slot.name for slot in slots if slot.saved], tell)
        second = second_engine_process if engine is engine_process else engine
        self.comparison = Comparison(
            session, slots, board, second, changed, self.saver.remember, tell
        )
        self.panes = Panes(session, app, self.run_prompt, self.screens.open, self.comparison.shown)
        self.prompt_table = PromptTableRows(
            session, board, file=lambda: self.prompts.file, run=self._run_row,
            open_screen=self._open_prompt_table, changed=changed,
            input_line=self.screens.input_line, folder=settings.export_folder, tell=tell,
        )  # fmt: skip
        self.chats = Chats(
            session, app, field=lambda: app.prompt, run=self.run_prompt,
            write_text=self._write_text, input_line=self.screens.input_line,
        )  # fmt: skip
        self.explained = Explained(session, app, tell)
        self.plans = Plans(session, app, slot=lambda: self.panes.view.slot)
        self.parameters = Parameters(session, app, self.plans)
        self.models = Models(session, self.saver, settings, app)
        self.second_model = SecondModel(
            session, self.comparison, pick=self.models.pick, input_line=self.screens.input_line,
            tell=tell,
        )  # fmt: skip
        self.interventions = Interventions(session, self._open_interventions, tell)
        self.head_sets = HeadSets(session, self.screens.input_line, tell)
        self.jobs = Jobs(session, app, self.plans, settings.export_folder, tell)
        self.saved_runs = SavedRuns(
            session, self.saver, tell, self._reopened, self._open_runs,
            self.comparison.begin, self.second_model.offer,
        )  # fmt: skip
        self.notes = Notes(session, self.saver, app, lambda: self.panes.here, tell)
        self.named_sessions = NamedSessions(
            self.saver, self.notes, self.saved_runs, app, self.screens.input_line, tell
        )
        pictures = Pictures(app, self.panes, self.messages)
        self.export = Export(
            session, app, shown=self.comparison.shown, slot=lambda: self.panes.view.slot,
            readout=lambda: self.panes.view.shown_readout().plain.strip(), draw=pictures.draw,
            osc52=app.copy_to_clipboard, folder=settings.export_folder, tell=tell,
            report=self.named_sessions.report,
        )  # fmt: skip
        self.find = Find(self.screens, lambda: self.panes.view, tell)
        self.plots = Plots(
            app, pane=lambda: self.panes.view, model=lambda: self.models.name,
            folder=settings.export_folder, input_line=self.screens.input_line, tell=tell,
        )  # fmt: skip
        self.help = Help(app, lambda: self.panes.view)
        self.log = Log(session, self.messages, app, self.run_prompt)
        self.perform = Perform(
            lambda action: action(self),
            lambda command, place: self.comparison.refuses(command) or command.why_not(self, place),
            session, self.panes, self.screens, app, tell,
        )  # fmt: skip
        self.palette = Palette(session, self.panes, self.perform, app)
        self.jump = Jump(session, self.panes, app, self.screens.uncover)

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
    ) -> None:
        """Read what is kept, then start the engine and run, or show what was on the screen before."""
        await self.saver.find_place()
        await self.prompts.open()
        self.prompts.show_place()
        model, resumed = settings.model, resume and await self.saved_runs.resume(session)
        dtype, special = settings.dtype, settings.special_tokens
        if resumed and self.state.model is not None:
            info = self.state.model.info
            model, dtype, load = opened_again(info, settings, load)
        await self.session.boot(model, settings.device, dtype, not resumed, special, load)
        self.comparison.go_on(self.saved_runs.resume_comparison if resumed else None)
        self.notes.run(self.notes.read())

    async def idle(self) -> None:
        """Wait until the engine is idle, what it said is told, and what is to be kept is on the disk."""
        await self.session.settled()
        await self.comparison.settled()
        await self.prompt_table.settled()
        await self.notes.idle()
        await self.saver.settled()
        await self.prompts.idle()
        await self.session.settled()

    async def close(self) -> None:
        """The engine ends, and what is to be kept is written."""
        await self.session.close()
        await self.comparison.close()
        await self.notes.idle()
        await self.saver.close()

    def changed(self, state: State) -> State:
        """The snapshot is ``state`` now; what the panes show of it."""
        self.saver.remember_interventions(state)
        self.comparison.changed(state)
        self.prompt_table.changed(state)
        return self.comparison.shown(state)

    # -- what concerns several of them ------------------------------------------------------------

    def run_prompt(self) -> None:
        """Run what is in sight on what the prompt says, or the jobs that a dead engine took along."""
        field, question = self.app.prompt, self.state.question
        same = (field.text, field.kind) == (question.text, question.kind)
        if same and self.state.engine.lost:
            self.session.run(*self.state.engine.lost)
            return
        if not same:  # the old position may not exist in the new text
            question = replace(question, text=field.text, kind=field.kind, position=-1)
        if question == self.state.question:
            self.session.go_on()
        else:
            self.session.set_question(question)
        self.comparison.again()

    def edit_prompt(self) -> None:
        """The cursor into the prompt; a chat is written in an editor of its own."""
        if self.app.prompt.kind == "chat":
            self.chats.edit()
        else:
            self.app.prompt.input.focus()

    def _write_text(self, text: str) -> None:
        """A plain text is to be written in place of a chat."""
        self.app.prompt.show(text)
        self.app.prompt.input.focus()

    def _run_row(self, text: str, target: str | None) -> None:
        """A row of the table into the panes; a line that names a target is explained by it."""
        self.app.prompt.show(text)
        question = replace(self.state.question, text=text, kind="text", position=-1)
        if target is not None:
            question = replace(question.with_foil(None), target=target)
        self.session.set_question(question)
        self.prompts.at_text(text)
        self.panes.focus()

    def cancel(self) -> None:
        """Cancel what runs."""
        if not (self.session.cancel() | self.comparison.cancel()):
            self.tell("Nothing is running.")

    def back(self) -> None:
        """The first start's hint away; else stop opening a model; else out of the zoom."""
        if self.app.put_hint_away():
            return
        if self.state.engine.opening:
            self.session.cancel()
        else:
            self.panes.zoom(False)

    def _finished(self, state: State, slot: str) -> None:
        self.saver.finished(state, slot)
        self.jobs.finished(slot)
        question = state.slots[slot].question
        if self.session.slots[slot].checks_question and question is not None:
            self.prompts.ran(question.text, question.kind)

    def _unfinished(self, unfinished: Unfinished) -> None:
        self.saver.unfinished(unfinished)

    def _reopened(self, slot: str) -> None:
        question = self.state.question
        self.app.prompt.show(question.text, question.kind)
        self.panes.go(slot)

    # -- screens that act with several of them ----------------------------------------------------

    def _screen_of(self, name: str) -> Screen[Any]:
        slot = self.session.slots[name]
        return slot.load_view()(slot, self)

    def _open_interventions(self) -> None:
        from tui.slots.what_if.view import InterventionsScreen

        self.screens.push(InterventionsScreen(self))

    def _open_prompt_table(self) -> None:
        from tui.dialogs.prompt_table import PromptTableScreen

        self.screens.push(PromptTableScreen(self.prompt_table, self.export.copy))

    def _open_runs(self) -> None:
        from tui.dialogs.runs import RunsScreen

        async def chosen(run: SavedRun | None) -> None:
            if run is not None:
                await self.saved_runs.reopen(run)

        screen = RunsScreen(
            self.saver.store,
            self.export,
            self.screens.input_line,
            self.tell,
            self.saved_runs.compare,
        )
        self.screens.push(screen, chosen)
