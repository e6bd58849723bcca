"""What a key has changed is painted in the turn of the key.

Textual tells the screen of each widget that changes by messages, and the screen paints on a clock of sixty
beats a second: a key behind a progress that has just been painted waits for the next one.
"""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.widget import Widget


def paint_now(app: App[Any]) -> None:
    """Paint what has changed on the screen in front; what is to be laid out anew is left to Textual."""
    if app._exit or app._batch_count or not app.screen_stack:
        return
    screen = app.screen
    if not screen.is_mounted or not screen.is_current or screen not in screen._compositor:
        return
    dirty: list[Widget] = []
    widgets: list[Widget] = [screen]
    while widgets:
        widget = widgets.pop()
        if not widget.display:
            continue
        if widget._layout_required or widget._refresh_styles_required or widget._recompose_required:
            return
        if widget._repaint_required or widget._scroll_required:
            dirty.append(widget)
        widgets += widget._nodes
    if not (dirty or screen._dirty_widgets):
        return
    for widget in dirty:
        if widget is screen:
            continue
        screen._scroll_required |= widget._scroll_required
        if widget._repaint_required:
            screen._dirty_widgets.add(widget)
        widget._scroll_required = widget._repaint_required = False
    with screen._context():
        screen._on_timer_update()
