"""Every private name of Textual's and rich's that is used here, and why: read it on an upgrade.

A test compares the list with what the files of this folder use, and with the versions installed.
"""

from __future__ import annotations

from typing import NamedTuple


class PrivateName(NamedTuple):
    """``owner`` is ``module:Class``, or a module that is private itself; ``overrides``: ours is called."""

    owner: str
    name: str
    why: str
    overrides: bool = False


PRIVATE_NAMES = (
    PrivateName("textual._compositor", "ChopsUpdate", "an update of parts: its cells are compared"),
    PrivateName("textual._compositor", "LayoutUpdate", "an update of a region: its cells are compared"),
    PrivateName("textual._compositor", "CompositorUpdate", "what Textual writes without rendering it"),
    PrivateName("textual.app:App", "_display", "the only way out to the terminal", overrides=True),
    PrivateName("textual.screen:Screen", "_compositor", "the lines of the screen, and all of it again"),
    PrivateName("textual._compositor", "Compositor", "a repaint draws only what has changed"),
    PrivateName("textual._compositor:Compositor", "_dirty_regions", "what has changed; is a paint to come?"),
    PrivateName("textual._compositor:Compositor", "_regions_to_spans", "parts of lines that have changed"),
    PrivateName("textual.screen:Screen", "_dirty_widgets", "is a paint on its way? the first is made once"),
    PrivateName("textual.screen:Screen", "_refresh_layout", "a first screen is painted once", overrides=True),
    PrivateName("textual.screen:Screen", "_screen_resized", "it is laid out for its size", overrides=True),
    PrivateName("textual.widget:Widget", "_post_register", "names of the size before styles", overrides=True),
    PrivateName("textual.widget:Widget", "_repaint_required", "is a paint on its way?"),
    PrivateName("textual.widget:Widget", "_layout_required", "is a layout on its way?"),
    PrivateName("textual.widget:Widget", "_scroll_required", "is a scroll on its way?"),
    PrivateName("textual.widget:Widget", "_on_focus", "focus repaints the cursor only", overrides=True),
    PrivateName("textual.widget:Widget", "_on_blur", "and so does its loss", overrides=True),
    PrivateName("textual.app:App", "_filters", "letters and colours that the terminal does not have"),
    PrivateName("textual.app:App", "_resize_event", "are sizes of a dragged window gathered?"),
    PrivateName("textual.app:App", "_resize_timer", "are sizes of a dragged window gathered?"),
    PrivateName("textual.app:App", "_disable_tooltips", "every screen would have a widget for them"),
    PrivateName("textual.app:App", "_disable_notifications", "every screen would have one for toasts"),
    PrivateName("textual.app:App", "_exception", "a fault that ended the app"),
    PrivateName("textual.app:App", "_exit", "is the app being left?"),
    PrivateName("textual.app:App", "_batch_count", "while changes are gathered nothing is painted"),
    PrivateName("textual.app:App", "_check_bindings", "a key is looked up, not all of them", overrides=True),
    PrivateName("textual.app:App", "_keymap", "keys as they are rebound"),
    PrivateName("textual.dom:DOMNode", "_bindings", "what a key is bound to"),
    PrivateName("textual.dom:DOMNode", "_nodes", "all widgets, to find those that have changed"),
    PrivateName("textual.widget:Widget", "_forward_event", "a paste is sent on"),
    PrivateName("textual.widget:Widget", "_recompose_required", "then a paint is Textual's affair"),
    PrivateName("textual.widget:Widget", "_refresh_styles_required", "then a paint is Textual's affair"),
    PrivateName("textual.screen:Screen", "_on_timer_update", "the paint of what has changed"),
    PrivateName("textual.message_pump:MessagePump", "_closed", "what is closed is not waited for"),
    PrivateName("textual.message_pump:MessagePump", "_closing", "what is closed is not waited for"),
    PrivateName("textual.message_pump:MessagePump", "_context", "a widget takes a key in the app's turn"),
    PrivateName("textual.message_pump:MessagePump", "_get_dispatch_methods", "what a widget does with a key"),
    PrivateName("textual.message:Message", "_set_forwarded", "a key that acts is not sent again"),
    PrivateName("textual.message:Message", "_stop_propagation", "a key that was taken goes no further"),
    PrivateName("textual._parser", "ParseError", "what a terminal sends that is no sequence"),
    PrivateName("textual._parser:Parser", "_timeout_time", "is a sequence waited for that Escape begins?"),
    PrivateName("textual._xterm_parser", "XTermParser", "keys from what a terminal sends"),
    PrivateName("textual.drivers._writer_thread", "WriterThread", "what a terminal does not take at once"),
    PrivateName("textual.timer:Timer", "_start", "a timer of our own that skips no tick"),
    PrivateName("textual.message_pump:MessagePump", "_timers", "it is stopped with its owner"),
    PrivateName("textual.widgets:Input", "_on_paste", "newlines are kept", overrides=True),
    PrivateName("textual.widgets:Input", "_position_to_cell", "cells of what is drawn", overrides=True),
    PrivateName("textual.widgets:Input", "_cell_offset_to_index", "where the mouse is", overrides=True),
    PrivateName("textual.widgets:Input", "_watch_selection", "no layout as the text grows", overrides=True),
    PrivateName("rich.style:Style", "_ansi", "the codes of a style, kept by rich"),
    PrivateName("rich.console:Console", "_color_system", "how many colours the terminal has"),
)  # fmt: skip
