"""A document, or several side by side, as one self-contained HTML page.

The page asks no network for anything and reads without JavaScript: every figure is a table, a row of
tokens or a picture in the page itself. With JavaScript it has hover values, sortable tables, panes,
and a slider through layers. Strings from a model or a prompt pass ``display.visible``, then Jinja's
escaping; the page's own policy lets no script but ours run, by its hash.
"""

from interpboard.visualization.html.page import fragment, report

__all__ = ["fragment", "report"]
