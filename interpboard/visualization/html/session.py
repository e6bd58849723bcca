"""A session as one self-contained page."""

from __future__ import annotations

from interpboard.display import visible
from interpboard.visualization.html.cards import section_of
from interpboard.visualization.html.page import framed
from interpboard.visualization.session_page import PageNote, SessionPage, facts_of, when


def session_html(page: SessionPage) -> str:
    """Notes as the text, under them the figures of the results and the lines that make them again."""
    sections = [
        {
            "name": visible(section.prompt.text[:60]),
            "facts": facts_of(section.model),
            "prompt": section.prompt,
            "notes": [_note(note) for note in section.notes],
            "results": [
                {
                    "pane": section_of(each.result, section.prompt),
                    "notes": [_note(note) for note in each.notes],
                    "command": _lines(each.command),
                    "python": _lines(each.python),
                }
                for each in section.results
            ],
        }
        for section in page.sections
    ]
    return framed(
        "session.html",
        title=visible(page.title),
        when=f"{when(page.begun_at)} to {when(page.used_at)}",
        notes=[_note(note) for note in page.notes],
        missing=[visible(each) for each in page.missing],
        sections=sections,
    )


def _note(note: PageNote) -> tuple[str, list[str]]:
    return visible(note.about), [visible(line) for line in note.text.splitlines()]


def _lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.strip().split("\n"))
