"""A small line plot, drawn by plotext into text: how a number changes from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.widget import Widget

from interpboard.display import ascii_everywhere

LEAST = (
    24,
    5,
)  # columns and rows under which a plot says nothing: then each line is a row of blocks
BLOCKS, DIGITS = "▁▂▃▄▅▆▇█", "0123456789"  # of 0 … 1, where there are only letters: in tenths


@dataclass(frozen=True)
class Series:
    """One line: its name (already visible), its values, and which end of the scale colours it."""

    name: str
    values: tuple[float, ...]
    color: int  # an entry of the 256 colours


class Plot(Widget, can_focus=False):
    """Lines over the same labels; rows of blocks where it is low, nothing where there is no room."""

    DEFAULT_CSS = "Plot { height: 1fr; width: 100%; padding: 1 0 0 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.series: tuple[Series, ...] = ()
        self.labels: tuple[str, ...] = ()
        self.title = ""

    def show(self, title: str, labels: Sequence[str], series: Sequence[Series]) -> None:
        """Show ``series``; repaints only if something changed."""
        new = (title, tuple(labels), tuple(series))
        if new != (self.title, self.labels, self.series):
            self.title, self.labels, self.series = new
            self.refresh()

    def render(self) -> Text:
        """The plot at the size there is."""
        width, height = self.content_size
        if not self.series or width < LEAST[0]:
            return Text()
        if height < LEAST[1]:
            return in_blocks(self.title, self.labels, self.series, width, height)
        return drawn(self.title, self.labels, self.series, width, height)


def drawn(
    title: str, labels: Sequence[str], series: Sequence[Series], width: int, height: int
) -> Text:
    """The plot as text of ``width`` and ``height``; shares, so the axis is 0 … 1, or more where they are."""
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, height - 1)
    plt.frame(False)
    places = list(range(len(labels)))
    every = max(1, -(-len(labels) * 5 // max(1, width - 8)))
    plt.xticks(places[::every], list(labels[::every]))
    values = [value for line in series for value in line.values]
    plt.ylim(min(0, *values), max(1, *values))
    plt.yticks([0, 0.5, 1])
    marker = "*" if ascii_everywhere.get() else "braille"
    for line in series:
        plt.plot(places, list(line.values), marker=marker, color=line.color)
    text = Text(title[: width - 1] + "\n")
    for line in series[1:]:
        text = Text(f"{title}  {line.name}"[: width - 1] + "\n")
    text.append_text(Text.from_ansi(plt.build()))
    return text


def in_blocks(
    title: str, labels: Sequence[str], series: Sequence[Series], width: int, height: int
) -> Text:
    """A row for each line, a block for each label; nothing where a row does not fit."""
    steps = DIGITS if ascii_everywhere.get() else BLOCKS
    known = (value for line in series for value in line.values if not math.isnan(value))
    most = max((1.0, *known))
    rows = []
    for line in series[:height]:
        blocks = "".join(_block(value / most, steps) for value in line.values)
        name = title if line is series[0] else line.name
        before, after = f"{name}  {labels[0]} ", f" {labels[-1]}"
        if len(before) + len(blocks) + len(after) > width:
            return Text()
        rows.append(Text.assemble(before, (blocks, f"color({line.color})"), after))
    return Text("\n").join(rows)


def _block(share: float, steps: str) -> str:
    """The block for ``share``; a gap for a number that is not there."""
    if math.isnan(share):
        return " "
    return steps[min(len(steps) - 1, int(max(0.0, share) * len(steps)))]
