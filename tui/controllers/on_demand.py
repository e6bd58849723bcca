"""Controllers that are made when they are asked for the first time: the first paint needs none of them.

Each function makes the controller that it is named after; ``Controllers`` has a property for each.
"""

from __future__ import annotations

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


def make_prompt_table(all: Controllers) -> PromptTableRows:
    """The prompts of a file as a table, and its screen."""
    from tui.controllers.prompt_table import PromptTableRows

    return PromptTableRows(
        all.session, all.board, file=lambda: all.prompts.file, run=partial(_run_row, all),
        open_screen=lambda: _open_prompt_table(all), changed=all.show_changed,
        input_line=all.screens.input_line, folder=all.settings.export_folder, tell=all.tell,
    )  # fmt: skip


def make_chats(all: Controllers) -> Chats:
    """The editor of a chat."""
    from tui.controllers.chats import Chats

    return Chats(
        all.session, all.app, field=lambda: all.app.prompt, run=all.run_prompt,
        write_text=partial(_write_text, all), input_line=all.screens.input_line,
    )  # fmt: skip


def make_explained(all: Controllers) -> Explained:
    """Which token is explained, against which, and by which metric."""
    from tui.controllers.explained import Explained

    return Explained(all.session, all.app, all.tell)


def make_plans(all: Controllers) -> Plans:
    """What an analysis will cost, before it runs."""
    from tui.controllers.plans import Plans

    return Plans(all.session, all.app, slot=lambda: all.panes.view.slot)


def make_parameters(all: Controllers) -> Parameters:
    """The options of an analysis."""
    from tui.controllers.parameters import Parameters

    return Parameters(all.session, all.app, all.plans)


def make_models(all: Controllers) -> Models:
    """Which model is opened."""
    from tui.controllers.models import Models

    return Models(all.session, all.saver, all.settings, all.app)


def make_second_model(all: Controllers) -> SecondModel:
    """A model beside the one in use."""
    from tui.controllers.second_model import SecondModel

    return SecondModel(
        all.session,
        all.comparison,
        pick=all.models.pick,
        input_line=all.screens.input_line,
        tell=all.tell,
    )


def make_interventions(all: Controllers) -> Interventions:
    """What is switched off or replaced, and its screen."""
    from tui.controllers.interventions import Interventions

    return Interventions(all.session, lambda: _open_interventions(all), all.tell)


def make_head_sets(all: Controllers) -> HeadSets:
    """Heads that are switched as one."""
    from tui.controllers.head_sets import HeadSets

    return HeadSets(all.session, all.screens.input_line, all.tell)


def make_jobs(all: Controllers) -> Jobs:
    """Long jobs that leave a file."""
    from tui.controllers.jobs import Jobs

    return Jobs(all.session, all.app, all.plans, all.settings.export_folder, all.tell)


def make_saved_runs(all: Controllers) -> SavedRuns:
    """Results that were kept, and the screen with their list."""
    from tui.controllers.saved_runs import SavedRuns

    return SavedRuns(
        all.session, all.saver, all.tell, partial(_reopened, all), lambda: _open_runs(all),
        all.comparison.begin, all.second_model.offer,
    )  # fmt: skip


def make_notes(all: Controllers) -> Notes:
    """What people write down."""
    from tui.controllers.notes import Notes

    return Notes(all.session, all.saver, all.app, lambda: all.panes.here, all.tell)


def make_named_sessions(all: Controllers) -> NamedSessions:
    """Sessions by their names."""
    from tui.controllers.named_sessions import NamedSessions

    return NamedSessions(
        all.saver, all.notes, all.saved_runs, all.app, all.screens.input_line, all.tell
    )


def make_export(all: Controllers) -> Export:
    """Files and the clipboard."""
    from tui.controllers.export import Export
    from tui.controllers.pictures import Pictures

    pictures = Pictures(all.app, all.panes, all.messages)
    return Export(
        all.session, all.app, shown=all.comparison.shown, slot=lambda: all.panes.view.slot,
        readout=lambda: all.panes.view.shown_readout().plain.strip(), draw=pictures.draw,
        osc52=all.app.copy_to_clipboard, folder=all.settings.export_folder, tell=all.tell,
        report=all.named_sessions.report,
    )  # fmt: skip


def make_find(all: Controllers) -> Find:
    """Searching what the active pane shows."""
    from tui.controllers.find import Find

    return Find(all.screens, lambda: all.panes.view, all.tell)


def make_plots(all: Controllers) -> Plots:
    """Curves of what a pane shows."""
    from tui.controllers.plots import Plots

    return Plots(
        all.app, pane=lambda: all.panes.view, model=lambda: all.models.name,
        folder=all.settings.export_folder, input_line=all.screens.input_line, tell=all.tell,
    )  # fmt: skip


def make_help(all: Controllers) -> Help:
    """The help of the active pane."""
    from tui.controllers.help import Help

    return Help(all.app, lambda: all.panes.view)


def make_log(all: Controllers) -> Log:
    """What was said, and what runs."""
    from tui.controllers.log import Log

    return Log(all.session, all.messages, all.app, all.run_prompt)


def make_perform(all: Controllers) -> Perform:
    """Carries out commands."""
    from tui.controllers.perform import Perform

    return Perform(
        lambda action: action(all),
        lambda command, place: all.comparison.refuses(command) or command.why_not(all, place),
        all.session, all.panes, all.screens, all.app, all.tell,
    )  # fmt: skip


def make_palette(all: Controllers) -> Palette:
    """The list of all commands."""
    from tui.controllers.palette import Palette

    return Palette(all.session, all.panes, all.perform, all.app)


def make_jump(all: Controllers) -> Jump:
    """Going to a head by its number."""
    from tui.controllers.jump import Jump

    return Jump(all.session, all.panes, all.app, all.screens.uncover)


# -- what acts with several of them ---------------------------------------------------------------


def _write_text(all: Controllers, text: str) -> None:
    """A plain text is to be written in place of a chat."""
    all.app.prompt.show(text)
    all.app.prompt.input.focus()


def _run_row(all: Controllers, text: str, target: str | None) -> None:
    """A row of the table into the panes; a line that names a target is explained by it."""
    all.app.prompt.show(text)
    question = replace(all.state.question, text=text, kind="text", position=-1)
    if target is not None:
        question = replace(question.with_foil(None), target=target)
    all.session.set_question(question)
    all.prompts.at_text(text)
    all.panes.focus()


def _reopened(all: Controllers, slot: str) -> None:
    question = all.state.question
    all.app.prompt.show(question.text, question.kind)
    all.session.show_now()
    all.panes.go(slot)


def _open_interventions(all: Controllers) -> None:
    from tui.slots.what_if.view import InterventionsScreen

    all.screens.push(InterventionsScreen(all))


def _open_prompt_table(all: Controllers) -> None:
    from tui.dialogs.prompt_table import PromptTableScreen

    all.screens.push(PromptTableScreen(all.prompt_table, all.export.copy))


def _open_runs(all: Controllers) -> None:
    from tui.dialogs.runs import RunsScreen

    async def chosen(run: SavedRun | None) -> None:
        if run is not None:
            await all.saved_runs.reopen(run)

    screen = RunsScreen(
        all.saver.store,
        all.export,
        all.screens.input_line,
        all.tell,
        all.saved_runs.compare,
    )
    all.screens.push(screen, chosen)
