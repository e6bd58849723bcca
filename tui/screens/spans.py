"""Partial repaints that send only what changed.

Textual 8 sends a changed stretch of a line from the left edge of the widget it lies in, so that a
cell at the right of a wide grid costs the whole row before it. Here a stretch begins where it begins.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class Spans(ChopsUpdate):
    """Writes each dirty stretch, cut on both sides."""

    def render_segments(self, console: Console) -> str:
        """The update as the terminal takes it."""
        written: list[str] = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= x2 or end <= x1:
                    continue
                first, last = max(x, x1), min(end, x2)
                written.append(Control.move_to(first, y).segment.text)
                written.append(strip.crop(first - x, last - x).render(console))
        return "".join(written)


class SpanCompositor(Compositor):
    """A compositor whose partial repaints are ``Spans``."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """The dirty stretches, or None."""
        update = super().render_partial_update()
        if update is None:
            return None
        return Spans(update.chops, update.spans, update.chop_ends)
