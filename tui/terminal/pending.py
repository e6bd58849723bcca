"""What is on its way to the screen, and what the screen shows: read from Textual's own books."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget


def resizing(app: App[Any]) -> bool:
    """Does Textual still gather the sizes that a dragged window sends?"""
    return app._resize_event is not None or app._resize_timer is not None


def unpainted(screen: Screen[Any]) -> bool:
    """Is anything on its way to the screen?"""
    return bool(screen._dirty_widgets or screen._compositor._dirty_regions) or any(
        widget.message_queue_size
        or (
            (widget._repaint_required or widget._layout_required or widget._scroll_required)
            and _displayed(widget)  # in a pane that is not shown they stay as they are
        )
        for widget in screen.walk_children(Widget, with_self=True)
    )


def _displayed(widget: Widget) -> bool:
    return all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))


def unpainted_behind(app: App[Any]) -> bool:
    """Is anything on its way to the screen behind a line over it? The screen on top paints it."""
    if app.screen.styles.background.a > 0:
        return False
    return any(
        bool(screen._dirty_widgets or screen._compositor._dirty_regions)
        or any(
            widget._layout_required or widget.message_queue_size
            for widget in screen.walk_children(Widget, with_self=True)
        )
        for screen in app.screen_stack[-2:-1]
    )


def failure(app: App[Any]) -> Exception | None:
    """What has ended the app, if it was a fault."""
    return app._exception


def left(app: App[Any]) -> bool:
    """Is the app being left?"""
    return app._exit


def strips(screen: Screen[Any]) -> list[Strip]:
    """The lines of the screen as they are laid out now, with their styles."""
    return screen._compositor.render_strips()
