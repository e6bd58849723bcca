"""A box whose frame says where the focus is, and repaints by itself: what is in it covers the rest."""

from __future__ import annotations

from typing import Protocol, Self

from rich.style import Style
from textual.color import Color
from textual.containers import Vertical
from textual.geometry import Region

from tui.theme import Inks, inks

EDGES = ("border_top", "border_right", "border_bottom", "border_left")


class Ink(Protocol):
    """A style by the name of its colour, as ``FramedBox.ink`` gives it."""

    def __call__(self, name: str, *, bold: bool = False) -> Style:
        """The style ``name``."""


class Body(Vertical, can_focus=False):
    """Holds what a pane shows; its height is what the grid may use."""

    DEFAULT_CSS = "Body { height: 1fr; overflow: hidden hidden; }"


class FramedBox(Vertical, can_focus=False):
    """Base of the panes. Where there is no room for a frame there is none."""

    _framed: tuple[bool, bool, bool] | None = None  # focused, dark, frameless

    @property
    def frameless(self) -> bool:
        """Is there no frame round it?"""
        return self._framed is not None and self._framed[2]

    @property
    def inks(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    def frame(self, focused: bool, frameless: bool = False) -> None:
        """Focus shows by the weight and the colour of the frame, where there is room for one."""
        ink = self.inks
        before, self._framed = self._framed, (focused, ink.dark, frameless)
        if before == self._framed:
            return
        if frameless:
            for edge in EDGES:
                self.styles.clear_rule(edge)
            self.styles.border = ("none", Color.parse(ink.frame))
            return
        kind, color = ("heavy", ink.accent) if focused else ("round", ink.frame)
        # Rules, not ``styles.border``: that would repaint everything in the pane as well.
        for edge in EDGES:
            self.styles.set_rule(edge, (kind, Color.parse(color)))
        title = Color.parse(ink.accent if focused else ink.muted)
        self.styles.set_rule("border_title_color", title)
        self.refresh(layout=before is not None and before[2])

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Repaint the frame only: its contents cover the rest and repaint themselves."""
        framed = self._framed is None or not self._framed[2]
        if not regions and repaint and not layout and self.size and framed:
            width, height = self.outer_size
            regions = (
                Region(-1, -1, width, 1),
                Region(-1, height - 2, width, 1),
                Region(-1, 0, 1, height - 2),
                Region(width - 2, 0, 1, height - 2),
            )
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def ink(self, name: str, *, bold: bool = False) -> Style:
        """A style for texts in lines."""
        return Style(color=getattr(self.inks, name), bold=bold)
