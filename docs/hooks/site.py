"""The hooks of mkdocs: fill in what is read from the program, take in pages that live elsewhere.

A line ``<!-- generated: keys -->`` of a page is replaced by the table of that name in ``FILLINGS``.
Run mkdocs as ``python -m mkdocs`` in the repository's root: these modules are imported from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

from docs.hooks import analyses, commands, ground_truth, keys, loading, models, settings

ROOT = Path(__file__).parent.parent.parent

FILLINGS: dict[str, Callable[[], str]] = {
    "analyses": analyses.overview,
    "commands": commands.usage,
    "families": models.table_of_families,
    "functions": analyses.functions,
    "ground-truth": ground_truth.tables,
    "keys": keys.tables,
    "load-formats": loading.formats,
    "load-libraries": loading.libraries,
    "load-options": loading.options,
    "model-types": models.table_of_types,
    "parts": loading.parts,
    "settings": settings.listed,
}
# Pages that are files of the repository, and where their relative links lead from the site.
ELSEWHERE = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
_MARKER = re.compile(r"^<!-- generated: (.*?) -->$", re.MULTILINE)


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages whose source lies outside ``docs/``."""
    for uri, source in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the tables in the place of their markers."""
    return fill(markdown, page.file.src_uri)


def fill(markdown: str, where: str) -> str:
    """``markdown`` with its markers replaced. Raises ``PluginError`` for a name without a table."""

    def table(match: re.Match[str]) -> str:
        name = match[1]
        if name not in FILLINGS:
            raise PluginError(f"{where}: nothing is generated as {name!r}; {sorted(FILLINGS)} are.")
        return FILLINGS[name]()

    return _MARKER.sub(table, markdown)
