"""Controllers that are made when they are asked for the first time: the first paint needs none of them.

Each function makes the controller that it is named after; ``Controllers`` has a property for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.store import SavedRun
    from tui.controllers.chats import Chats
    from tui.controllers.controllers import Controllers
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
    from tui.controllers.prompt_table import PromptTableRows
    from tui.controllers.saved_runs import SavedRuns
    from tui.controllers.second_model import SecondModel


def make_prompt_table(c: Controllers) -> PromptTableRows:
    """The prompts of a file as a table, and its screen."""
    from tui.controllers.prompt_table import PromptTableRows

    return PromptTableRows(
        c.session, c.board, file=lambda: c.prompts.file, run=partial(_run_row, c),
        open_screen=lambda: _open_prompt_table(c), changed=c.show_changed,
        input_line=c.screens.input_line, folder=c.settings.export_folder, tell=c.tell,
    )  # fmt: skip


def make_chats(c: Controllers) -> Chats:
    """The editor of a chat."""
    from tui.controllers.chats import Chats

    return Chats(
        c.session, c.app, field=lambda: c.app.prompt, run=c.run_prompt,
        write_text=partial(_write_text, c), input_line=c.screens.input_line,
    )  # fmt: skip


def make_explained(c: Controllers) -> Explained:
    """Which token is explained, against which, and by which metric."""
    from tui.controllers.explained import Explained

    return Explained(c.session, c.app, c.tell)


def make_plans(c: Controllers) -> Plans:
    """What an analysis will cost, before it runs."""
    from tui.controllers.plans import Plans

    return Plans(c.session, c.app, slot=lambda: c.panes.view.slot)


def make_parameters(c: Controllers) -> Parameters:
    """The options of an analysis."""
    from tui.controllers.parameters import Parameters

    return Parameters(c.session, c.app, c.plans)


def make_models(c: Controllers) -> Models:
    """Which model is opened."""
    from tui.controllers.models import Models

    return Models(c.session, c.saver, c.settings, c.app)


def make_second_model(c: Controllers) -> SecondModel:
    """A model beside the one in use."""
    from tui.controllers.second_model import SecondModel

    return SecondModel(
        c.session,
        c.comparison,
        pick=c.models.pick,
        input_line=c.screens.input_line,
        tell=c.tell,
    )


def make_interventions(c: Controllers) -> Interventions:
    """What is switched off or replaced, and its screen."""
    from tui.controllers.interventions import Interventions

    return Interventions(c.session, lambda: _open_interventions(c), c.tell)


def make_head_sets(c: Controllers) -> HeadSets:
    """Heads that are switched as one."""
    from tui.controllers.head_sets import HeadSets

    return HeadSets(c.session, c.screens.input_line, c.tell)


def make_jobs(c: Controllers) -> Jobs:
    """Long jobs that leave a file."""
    from tui.controllers.jobs import Jobs

    return Jobs(c.session, c.app, c.plans, c.settings.export_folder, c.tell)


def make_saved_runs(c: Controllers) -> SavedRuns:
    """Results that were kept, and the screen with their list."""
    from tui.controllers.saved_runs import SavedRuns

    return SavedRuns(
        c.session, c.saver, c.tell, partial(_reopened, c), lambda: _open_runs(c),
        c.comparison.begin, c.second_model.offer,
    )  # fmt: skip


def make_notes(c: Controllers) -> Notes:
    """What people write down."""
    from tui.controllers.notes import Notes

    return Notes(c.session, c.saver, c.app, lambda: c.panes.here, c.tell)


def make_named_sessions(c: Controllers) -> NamedSessions:
    """Sessions by their names."""
    from tui.controllers.named_sessions import NamedSessions

    return NamedSessions(c.saver, c.notes, c.saved_runs, c.app, c.screens.input_line, c.tell)


def make_export(c: Controllers) -> Export:
    """Files and the clipboard."""
    from tui.controllers.export import Export
    from tui.controllers.pictures import Pictures

    pictures = Pictures(c.app, c.panes, c.messages)
    return Export(
        c.session, c.app, shown=c.shown, slot=lambda: c.panes.view.slot,
        readout=lambda: c.panes.view.shown_readout().plain.strip(), draw=pictures.draw,
        osc52=c.app.copy_to_clipboard, folder=c.settings.export_folder, tell=c.tell,
        report=c.named_sessions.report,
    )  # fmt: skip


def make_find(c: Controllers) -> Find:
    """Searching what the active pane shows."""
    from tui.controllers.find import Find

    def look_up(slots: Sequence[str]) -> None:
        c.session.select(searched=c.state.question)
        c.session.ensure(*slots)

    return Find(c.screens, lambda: c.panes.view, look_up, c.tell)


def make_plots(c: Controllers) -> Plots:
    """Curves of what a pane shows."""
    from tui.controllers.plots import Plots

    return Plots(
        c.app, pane=lambda: c.panes.view, model=lambda: c.models.name,
        folder=c.settings.export_folder, input_line=c.screens.input_line, tell=c.tell,
    )  # fmt: skip


def make_help(c: Controllers) -> Help:
    """The help of the active pane."""
    from tui.controllers.help import Help

    return Help(c.app, lambda: c.panes.view)


def make_log(c: Controllers) -> Log:
    """What was said, and what runs."""
    from tui.controllers.log import Log

    return Log(c.session, c.messages, c.app, c.run_prompt)


def make_perform(c: Controllers) -> Perform:
    """Carries out commands."""
    from tui.controllers.perform import Perform

    return Perform(
        lambda action: action(c),
        lambda command, place: (
            c.row_means.refuses(command)
            or c.comparison.refuses(command)
            or command.why_not(c, place)
        ),
        c.session, c.panes, c.screens, c.app, c.tell,
    )  # fmt: skip


def make_palette(c: Controllers) -> Palette:
    """The list of all commands."""
    from tui.controllers.palette import Palette

    return Palette(c.session, c.panes, c.perform, c.app)


def make_jump(c: Controllers) -> Jump:
    """Going to a head by its number."""
    from tui.controllers.jump import Jump

    return Jump(c.session, c.panes, c.app, c.screens.uncover)


# -- what acts with several of them ---------------------------------------------------------------


def _write_text(c: Controllers, text: str) -> None:
    """A plain text is to be written in place of a chat."""
    c.app.prompt.show(text)
    c.panes.put_focus(c.app.prompt.input)


def _run_row(c: Controllers, text: str, target: str | None) -> None:
    """A row of the table into the panes; a line that names a target is explained by it."""
    c.app.prompt.show(text)
    question = replace(c.state.question, text=text, kind="text", position=-1)
    if target is not None:
        question = replace(question.with_foil(None), target=target)
    c.session.set_question(question)
    c.prompts.at_text(text)
    c.panes.focus()


def _reopened(c: Controllers, slot: str) -> None:
    question = c.state.question
    c.app.prompt.show(question.text, question.kind)
    c.session.show_now()
    c.panes.go(slot)


def _open_interventions(c: Controllers) -> None:
    from tui.slots.what_if.view import InterventionsScreen

    c.screens.push(InterventionsScreen(c))


def _open_prompt_table(c: Controllers) -> None:
    from tui.dialogs.prompt_table import PromptTableScreen

    c.screens.push(PromptTableScreen(c.prompt_table, c.export.copy))


def _open_runs(c: Controllers) -> None:
    from tui.dialogs.runs import RunsScreen

    async def chosen(run: SavedRun | None) -> None:
        if run is not None:
            await c.saved_runs.reopen(run)

    screen = RunsScreen(
        c.saver.store,
        c.export,
        c.screens.input_line,
        c.tell,
        c.saved_runs.compare,
    )
    c.screens.push(screen, chosen)
