"""``interpboard sessions``: the sessions of the app, listed; and the report of one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpboard.cli.options import Format, ListFormat
from interpboard.cli.streams import say, write_out
from interpboard.display import visible
from interpboard.errors import BadParameter, StoreProblem

if TYPE_CHECKING:
    from interpboard.store import SavedSession, SessionBook
    from interpboard.visualization.session_page import SessionPage

sessions_app = typer.Typer(
    help="Sessions: what was computed and noted in the app, from start to end or further on.",
    rich_markup_mode=None,
)
_MOST_PROMPT = 60
_FORMS = {Format.text: "md", Format.md: "md", Format.html: "html", Format.json: "json"}


def opened_book() -> SessionBook:
    """The sessions of the state folder; a damaged store is said on standard error."""
    from interpboard.store import SessionBook, Store  # late: --help does without numpy

    return SessionBook(Store())


@sessions_app.callback(invoke_without_command=True)
def list_sessions(
    context: typer.Context,
    search: Annotated[
        str, typer.Option(help="Only those with these words in a prompt, a note or the name.")
    ] = "",
    form: Annotated[ListFormat, typer.Option("--format", "-f")] = ListFormat.text,
) -> None:
    """List the sessions, the one used last first: interpboard --resume NAME opens one again."""
    if context.invoked_subcommand is not None:
        return
    book = opened_book()
    found = book.sessions(search)
    _tell(book)
    if form is ListFormat.json:
        rows = [
            {
                "id": each.id, "name": each.name, "begun_at": each.begun_at,
                "used_at": each.used_at, "results": each.runs, "prompts": list(each.prompts),
                "notes": list(each.texts),
            }
            for each in found
        ]  # fmt: skip
        write_out(json.dumps(rows, indent=2) + "\n")
        return
    if not found:
        say("No session has these words." if search.split() else "No session has been saved yet.")
    write_out("".join(f"{session_line(each)}\n" for each in found))


@sessions_app.command("name")
def name_session(
    session: Annotated[str, typer.Argument(help="Its name or number.")],
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
) -> None:
    """Give a session a name; its results are then kept however many come after."""
    book = opened_book()
    found = book.find(session)
    book.name(found.id, name)
    say(f"{visible(found.title)} is called {visible(name.strip())} now")


@sessions_app.command("delete")
def delete_session(
    session: Annotated[str, typer.Argument(help="Its name or number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Without this nothing is deleted.")] = False,
) -> None:
    """Delete a session: its notes, and the results that no other session has."""
    book = opened_book()
    found = book.find(session)
    what = f"{visible(found.title)}: {_count(found.runs, 'result')}, {_count(found.notes, 'note')}"
    if not yes:
        raise BadParameter(f"Nothing was deleted of {what}.", "With --yes it is, for good.")
    book.delete(found.id)
    say(f"deleted {what}")


def session_line(session: SavedSession) -> str:
    """``  3  first look  11-27 22:40  5 results  2 notes  The Eiffel …``."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(session.used_at))
    counts = f"{_count(session.runs, 'result')}, {_count(session.notes, 'note')}"
    prompt = visible(session.prompts[0]) if session.prompts else ""
    if len(prompt) > _MOST_PROMPT:
        prompt = prompt[: _MOST_PROMPT - 1] + "…"
    name = visible(session.name) or "(no name)"
    return f"{session.id:>4}  {name:<20}  {when}  {counts:<22}  {prompt}".rstrip()


def session_named(words: list[Path]) -> SavedSession | None:
    """The session that ``interpboard report`` was given, None where it was given files.

    Raises ``BadParameter`` for one word that is neither.
    """
    if len(words) != 1 or words[0].exists() or words[0].suffix.lower() == ".json":
        return None
    try:
        return opened_book().find(str(words[0]))
    except StoreProblem as problem:
        raise BadParameter(
            f"There is no file {str(words[0])!r}. {problem.message}", problem.remedy
        ) from problem


def report_of(session: SavedSession, form: Format) -> str:
    """The session's notes and results as one text. Raises ``BadParameter`` for a format of tables."""
    from interpboard.session_report import session_page

    book = opened_book()
    page = session_page(book, session)
    _tell(book)
    return page_as(page, form)


def page_in(files: list[Path]) -> SessionPage | None:
    """The session that ``interpboard report`` was given as a file, None where it was given results.

    Raises ``BadParameter`` for a session beside other files, ``BadResultFile`` for a damaged one.
    """
    from interpboard.session_report import session_in

    pages = [session_in(path) for path in files if path.is_file()]
    found = [page for page in pages if page is not None]
    if found and len(files) > 1:
        raise BadParameter("A session stands in a report of its own.", "Give that file alone.")
    return found[0] if found else None


def page_as(page: SessionPage, form: Format) -> str:
    """A session's page as one text. Raises ``BadParameter`` for a format of tables."""
    from interpboard.session_report import written

    if form not in _FORMS:
        raise BadParameter(
            f"A session is not written as {form.value}.", "Use --format md, html or json."
        )
    for each in page.missing:
        say(f"warning: not in the report: {each}")
    return written(page, _FORMS[form])


def _tell(book: SessionBook) -> None:
    if book.store.notice:
        say(f"warning: {book.store.notice}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
