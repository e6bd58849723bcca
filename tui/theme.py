"""Colours of the app, light and dark, all exact entries of the 256-colour cube.

The frames stay muted so that the only saturated things on screen are the values and the focus. Blue
and orange belong to the values' scale; the accent is neither.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rich.style import Style
from textual.theme import Theme


class Inks(NamedTuple):
    """The few colours that texts use."""

    dark: bool
    background: str
    text: str
    muted: str
    frame: str
    accent: str
    warning: str
    cursor: str

    def style(self, name: str, *, bold: bool = False) -> Style:
        """Ink ``name`` on the app's background."""
        return Style(color=getattr(self, name), bgcolor=self.background, bold=bold)


DARK_INKS = Inks(True, "#121212", "#d0d0d0", "#8a8a8a", "#444444", "#87d7af", "#ff8787", "#eeeeee")
LIGHT_INKS = Inks(
    False, "#ffffff", "#303030", "#6c6c6c", "#c6c6c6", "#00875f", "#af0000", "#303030"
)


def _theme(name: str, inks: Inks) -> Theme:
    return Theme(
        name=name,
        primary=inks.accent,
        secondary=inks.accent,
        accent=inks.accent,
        warning=inks.warning,
        error=inks.warning,
        success=inks.accent,
        foreground=inks.text,
        background=inks.background,
        surface=inks.background,
        panel=inks.background,
        dark=inks.dark,
        variables=variables(inks),
    )


def variables(inks: Inks = DARK_INKS) -> dict[str, str]:
    """What ``interpboard.tcss`` may use besides Textual's own names."""
    return {"frame": inks.frame, "muted": inks.muted, "ink": inks.text}


THEMES = (_theme("interpboard-dark", DARK_INKS), _theme("interpboard-light", LIGHT_INKS))


def name(dark: bool) -> str:
    """What Textual calls the theme."""
    return THEMES[0 if dark else 1].name


def inks(dark: bool) -> Inks:
    """The colours for texts drawn by hand."""
    return DARK_INKS if dark else LIGHT_INKS


@lru_cache(maxsize=64)
def level_style(level: int, dark: bool) -> Style:
    """Style of a cell at one of the nine levels of the scale. The neutral one steps back."""
    from interpboard.visualization import colors

    background = (colors.DARK if dark else colors.LIGHT)[level]
    if level == colors.MIDDLE:
        return Style(color=inks(dark).muted if dark else "#4e4e4e", bgcolor=background)
    return Style(color=colors.text_on(background), bgcolor=background)


@lru_cache(maxsize=2)
def cursor_style(dark: bool) -> Style:
    """The cell under a cursor that has the focus; reversed, so that it shows without colour too."""
    ink = inks(dark)
    return Style(color=ink.cursor, bgcolor=ink.background, bold=True, reverse=True)
