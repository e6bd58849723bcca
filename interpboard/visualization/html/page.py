"""Cards into a page: the template, the style and the script, put together."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from interpboard import __version__
from interpboard.comparison import same_name_other_weights
from interpboard.display import visible
from interpboard.results import Document, PromptInfo, Result, opened_as
from interpboard.visualization.colors import DARK, LIGHT, text_on
from interpboard.visualization.html.cards import Section, letter, section_of, sections
from interpboard.visualization.html.figures import LOOK

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = files("interpboard.visualization.html")


def report(
    shown: Result | Document | Sequence[Document] | Sequence[Result],
    *,
    title: str | None = None,
    prompt: PromptInfo | None = None,
) -> str:
    """One page of all results of a document, of several documents side by side, or of lone results.

    Several: a card each in every pane, on one scale, and the difference to the first where the axes
    agree. ``title``: the page's; the prompt or the models otherwise. ``prompt``: of a lone result.
    """
    alone = _lone(shown)
    documents = _documents(shown)
    chosen = [section_of(result, prompt) for result in alone] or sections(documents)
    return framed(
        "page.html",
        title=visible(title) if title else _title(documents, chosen),
        documents=[(letter(i), d, _facts(d, documents[0])) for i, d in enumerate(documents)],
        panes=chosen,
    )


def fragment(shown: Result | Document, prompt: PromptInfo | None = None) -> str:
    """The figures without a page around them, as a notebook shows them: style, no script."""
    chosen = (
        [section_of(shown, prompt)] if isinstance(shown, Result) else sections(_documents(shown))
    )
    return (
        environment().get_template("fragment.html").render(panes=chosen, style=Markup(page_style()))
    )


def _lone(shown: Result | Document | Sequence[Document] | Sequence[Result]) -> list[Result]:
    if isinstance(shown, Result):
        return [shown]
    return [] if isinstance(shown, Document) else [r for r in shown if isinstance(r, Result)]


def _documents(shown: Result | Document | Sequence[Document] | Sequence[Result]) -> list[Document]:
    if isinstance(shown, Result):
        return []
    if isinstance(shown, Document):
        return [shown]
    return [document for document in shown if isinstance(document, Document)]


def _title(documents: Sequence[Document], shown: Sequence[Section]) -> str:
    if len(documents) == 1:
        return visible(documents[0].prompt.text)
    if documents:
        return f"{len(documents)} side by side"
    return shown[0].title if len(shown) == 1 else f"{len(shown)} results on one prompt"


def _facts(document: Document, first: Document) -> str:
    model = document.model
    other = ("other weights than in A",) if same_name_other_weights(first, document) else ()
    size = f"{model.layers} layers × {model.heads} heads"
    parts = (model.name, model.family, size, model.dtype)
    parts += (*opened_as(model), model.device, *model.notes, *other)
    return " · ".join(visible(part) for part in parts)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates; every string in them is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the values come first
    return environment


@lru_cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def framed(template: str, **fields: object) -> str:
    """A page of its own: ``template`` fills the blocks of ``frame.html``, which has style and script."""
    script = page_script()
    return (
        environment()
        .get_template(template)
        .render(
            **fields,
            style=Markup(page_style()),
            script=Markup(script),
            script_hash=script_hash(script),
            version=__version__,
            token=LOOK.token,
        )
    )


@lru_cache(maxsize=1)
def page_style() -> str:
    """The style with the scale's colours, light and dark, as the terminal has them."""
    light, dark = (
        "".join(f"--c{i}:{color};--t{i}:{text_on(color)};" for i, color in enumerate(colors))
        for colors in (LIGHT, DARK)
    )
    return _read("page.css").replace("/*light*/", light).replace("/*dark*/", dark)


def page_script() -> str:
    """The script of every page."""
    return _read("page.js")


def script_hash(script: str) -> str:
    """How the page's policy names the one script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
