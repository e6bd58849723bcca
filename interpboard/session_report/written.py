"""The report as text of a format."""

from __future__ import annotations

from interpboard.errors import BadParameter
from interpboard.visualization.session_page import SessionPage
from interpboard.visualization.session_text import json_text, markdown

FORMS = ("md", "html", "json")


def written(page: SessionPage, form: str) -> str:
    """The page as ``form``: Markdown, HTML or JSON. Raises ``BadParameter`` for another one."""
    if form not in FORMS:
        raise BadParameter(f"A session is not written as {form}.", f"Use {', '.join(FORMS)}.")
    if form == "html":
        from interpboard.visualization.html.session import session_html  # late: a template engine

        return session_html(page)
    return json_text(page) if form == "json" else markdown(page)
