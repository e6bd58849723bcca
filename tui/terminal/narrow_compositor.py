"""A repaint that draws what has changed, and what lies over or under it; nothing beside it.

Textual 8 renders every widget in the rectangle around all that has changed: a word in the status line and a
number in a readout at the bottom make it the whole screen, at every key and every progress of a job. Here
a widget is asked for lines only where a changed part of them is not yet covered by a widget in front of it.
What is sent is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class NarrowCompositor(Compositor):
    """Textual's, with partial updates that cost what they change."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed since the last update; None where nothing has."""
        regions = self._dirty_regions.copy()
        self._dirty_regions.clear()
        if not regions:
            return None
        cuts = self.cuts
        spans = [span for span in self._regions_to_spans(regions) if span[0] < len(cuts)]
        wanted = _wanted(spans, cuts)
        pieces: dict[int, dict[int, Strip | None]] = {
            y: dict.fromkeys(cuts[y][:-1]) for y in wanted
        }
        for widget, (region, clip) in self.visible_widgets.items():  # the foremost first
            shown = region.intersection(clip)
            left, right = shown.column_span
            rows = [
                y
                for y in shown.line_range
                if y in wanted and any(left <= cut < right for cut in wanted[y])
            ]
            if not rows:
                continue
            top = rows[0]
            part = Region(left - region.x, top - region.y, shown.width, rows[-1] + 1 - top)
            strips = widget.render_lines(part)
            for y in rows:
                own = [cut for cut in cuts[y] if left <= cut <= right]
                divided = strips[y - top].divide([cut - left for cut in own[1:]])
                for cut, strip in zip(own, divided, strict=False):
                    if cut in wanted[y]:
                        wanted[y].remove(cut)
                        pieces[y][cut] = strip
                if not wanted[y]:
                    del wanted[y]
            if not wanted:
                break
        empty: dict[int, Strip | None] = {}
        lines = [pieces.get(y, empty) for y in range(len(cuts))]
        return ChopsUpdate(lines, spans, [line_cuts[1:] for line_cuts in cuts])


def _wanted(spans: Iterable[tuple[int, int, int]], cuts: list[list[int]]) -> dict[int, set[int]]:
    """By line: where the pieces begin that the spans (line, from, to) touch; cuts part a line into pieces."""
    wanted: dict[int, set[int]] = {}
    for y, left, right in spans:
        line = cuts[y]
        touched = {at for at, end in pairwise(line) if at < right and end > left}
        wanted.setdefault(y, set()).update(touched)
    return {y: at for y, at in wanted.items() if at}
