"""A small line plot, drawn by plotext into text: how a number changes from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.widget import Widget

from interpboard.display import ascii_everywhere

LEAST = (24, 5)  # columns and rows under which a plot says nothing


@dataclass(frozen=True)
class Series:
    """One line: its name (already visible), its values, and which end of the scale colours it."""

    name: str
    values: tuple[float, ...]
    color: int  # an entry of the 256 colours


class Plot(Widget, can_focus=False):
    """Lines over the same labels. Draws nothing where there is no room."""

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
        if not self.series or width < LEAST[0] or height < LEAST[1]:
            return Text()
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
