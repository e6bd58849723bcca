"""A document where the user looks: figures in a notebook, the terminal's page elsewhere."""

from __future__ import annotations

import os
import shutil
import sys

from interpboard.results import Document
from interpboard.visualization.terminal import color_wanted, render

_WIDTH = 100  # where there is no terminal


def show(document: Document) -> None:
    """Show ``document``: as HTML in a notebook, else printed as the page of the terminal."""
    if _in_notebook():
        from IPython.display import display

        display(document)
        return
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    page = render(
        document,
        shutil.get_terminal_size((_WIDTH, 24)).columns,
        color=color_wanted("auto", sys.stdout.isatty()),
        dark=os.environ.get("COLORFGBG", "").rpartition(";")[2] not in ("7", "15"),
        ascii_only=not encoding.startswith("utf"),
    )
    print(page, end="")


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
