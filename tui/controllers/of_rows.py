"""Controllers of datasets and sweeps, made when they are asked for, and what they do together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.sweeps.listed_rows import ListedRow
    from tui.controllers.controllers import Controllers
    from tui.controllers.datasets import Datasets
    from tui.controllers.row_means import RowMeans
    from tui.controllers.sweep_runs import SweepRuns
    from tui.session.state import Question


def make_datasets(c: Controllers) -> Datasets:
    """Rows of a dataset or a sweep, and their table."""
    from tui.controllers.datasets import Datasets

    return Datasets(
        c.session, run=partial(_run_question, c), open_screen=lambda: _open_dataset(c),
        changed=c.show_changed, row_opened=lambda: _leave_rows(c),
        opened=lambda: c.sweep_runs.opened(), input_line=c.screens.input_line,
        switchboard=c.board, tell=c.tell,
    )  # fmt: skip


def make_sweep_runs(c: Controllers) -> SweepRuns:
    """Sweeps that are begun, watched and stopped here."""
    from pathlib import Path

    from interpboard.files.places import expanded
    from tui.controllers.sweep_runs import SweepRuns

    def folder() -> Path:
        return expanded(c.settings.export_folder) if c.settings.export_folder else Path.cwd()

    return SweepRuns(c.session, c.datasets, c.app, folder=folder, tell=c.tell)


def make_row_means(c: Controllers) -> RowMeans:
    """Means over the rows of a sweep, in the panes."""
    from tui.controllers.row_means import RowMeans

    return RowMeans(
        c.session, rows=lambda: c.datasets.list, where=lambda: c.datasets.where,
        before=c.comparison.leave, changed=c.show_changed, uncover=c.screens.uncover,
        active=lambda: c.panes.active, go=c.panes.go,
        input_line=c.screens.input_line, tell=c.tell,
    )  # fmt: skip


def _run_question(c: Controllers, question: Question) -> None:
    """A row of a dataset into the panes."""
    c.app.prompt.show(question.text, question.kind)
    c.session.set_question(question)
    c.prompts.at_text(question.text)
    c.panes.focus()


def _leave_rows(c: Controllers) -> None:
    """A row goes into the panes: neither a table nor means nor a comparison stand before it."""
    c.screens.uncover()
    c.row_means.leave()
    c.comparison.leave()


def _open_dataset(c: Controllers) -> None:
    from tui.dialogs.dataset import DatasetScreen

    def open_row(row: ListedRow) -> None:
        refusal = c.datasets.why_not_open(row)
        if refusal:
            c.tell(refusal, "warning")
        else:
            c.datasets.open_row(row)

    if not isinstance(c.screens.over, DatasetScreen):
        c.screens.push(DatasetScreen(c.datasets, open_row, c.export.copy))
