"""The screen as a picture: what is drawn now, as SVG."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments
from textual.geometry import Region
from textual.screen import Screen

from tui.terminal.pending import strips


def picture(screen: Screen[Any], region: Region) -> str:
    """A part of the screen as SVG."""
    console = Console(
        width=region.width, height=region.height, file=StringIO(), force_terminal=True,
        color_system="truecolor", record=True, legacy_windows=False, safe_box=False,
    )  # fmt: skip
    drawn = strips(screen)[region.y : region.bottom]
    lines = (strip.crop(region.x, region.right) for strip in drawn)
    segments = [segment for line in lines for segment in (*line, Segment.line())]
    console.print(Segments(segments), end="")
    return console.export_svg(title="InterpBoard")
