"""A session as Markdown and JSON: strings of others pass ``display.visible``, in the JSON they are exact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from interpboard.display import visible
from interpboard.results import Document, Result
from interpboard.visualization.markdown import code_span, escaped, markdown_section
from interpboard.visualization.session_page import (
    PageNote,
    PageSection,
    SessionPage,
    facts_of,
    when,
)

SESSION_SCHEMA = "interpboard-session/1"
_NUMBERED = re.compile(r"(\d+)([.)])")


def markdown(page: SessionPage) -> str:
    """GitHub markdown: notes as running text, under them a table a result and its command."""
    parts = [f"# {escaped(page.title)}", f"{when(page.begun_at)} to {when(page.used_at)}"]
    parts += [*_notes(page.notes), *(f"**not here**: {escaped(each)}" for each in page.missing)]
    for section in page.sections:
        parts += [
            f"## {code_span(section.prompt.text)}",
            code_span(facts_of(section.model)),
            *_notes(section.notes),
        ]
        for each in section.results:
            heading, *body = markdown_section(each.result, section.prompt)
            parts += [f"#{heading}", *_notes(each.notes), *body]
            parts.append(_fenced("sh", each.command))
    return "\n\n".join(parts) + "\n"


def json_text(page: SessionPage) -> str:
    """The same as JSON: notes as they were written, each result as the document of its own that it is."""

    def notes(found: Sequence[PageNote]) -> list[dict[str, str]]:
        return [{"about": note.about, "text": note.text} for note in found]

    def document(section: PageSection, result: Result) -> object:
        whole = Document(model=section.model, prompt=section.prompt, results=(result,))
        return json.loads(whole.to_json(indent=None))

    whole = {
        "schema": SESSION_SCHEMA,
        "title": page.title,
        "begun_at": page.begun_at,
        "used_at": page.used_at,
        "notes": notes(page.notes),
        "missing": list(page.missing),
        "sections": [
            {
                "model": section.model.name,
                "prompt": section.prompt.text,
                "notes": notes(section.notes),
                "results": [
                    {
                        "notes": notes(each.notes),
                        "document": document(section, each.result),
                        "python": each.python,
                        "command": each.command,
                    }
                    for each in section.results
                ],
            }
            for section in page.sections
        ],
    }
    return json.dumps(whole, indent=2, ensure_ascii=True) + "\n"


def _notes(notes: Sequence[PageNote]) -> Iterator[str]:
    for note in notes:
        about = f"**{escaped(note.about)}**: " if note.about else ""
        lines = [_line(line) for line in note.text.splitlines()]
        yield about + "  \n".join(lines)


def _line(text: str) -> str:
    """A line of a note in which no mark-up acts, also none that begins a line."""
    shown = escaped(text.strip())
    if shown[:1] in ("-", "+", "="):
        return f"&#{ord(shown[0])};{shown[1:]}"
    return _NUMBERED.sub(lambda found: f"{found[1]}&#{ord(found[2])};", shown, count=1)


def _fenced(language: str, text: str) -> str:
    """Lines of code; the fence is longer than any run of backticks in them."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "\n".join(visible(line) for line in text.strip().split("\n"))
    return f"{fence}{language}\n{shown}\n{fence}"
