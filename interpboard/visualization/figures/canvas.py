"""What every figure stands on: matplotlib in our style, sizes of a printed page, colours, labels.

A figure is drawn and saved in the style's settings and leaves those of the program as they were; it
is no part of pyplot and opens no window. Strings of a result are drawn as they are: mathematics in
dollar signs does not act in them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import as_file, files
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from interpboard.display import spelled, visible, visible_token
from interpboard.errors import BadParameter, MissingPackage
from interpboard.results import Result
from interpboard.results.intervals import unsure_words
from interpboard.results.metric_words import metric_words
from interpboard.visualization import reading
from interpboard.visualization.colors import LIGHT, MIDDLE, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS = {1: 3.35, 2: 6.9}  # inches of one and of two columns of a journal's page
HATCH, HATCHED = "//////", "0.35"  # of what may be no effect: the pattern and its grey
_FONT = "DejaVu Sans"
_FURTHER_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "Hiragino Sans",
    "PingFang SC", "Microsoft YaHei", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Noto Sans Symbols2", "Symbola", "Arial Unicode MS",
)  # fmt: skip
_LABEL_MOST = 18  # characters of a tick label
_CHARS_AN_INCH = 19  # of text at 7 points
_TICKS_AN_INCH = 9


def matplotlib() -> Any:
    """The module. Raises ``MissingPackage`` with the command that installs it."""
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError:
        raise MissingPackage(
            "A figure needs matplotlib.", "pip install 'interpboard[plots]'"
        ) from None
    return matplotlib


@contextmanager
def style() -> Iterator[None]:
    """Our settings of matplotlib, on top of its defaults, for as long as it lasts."""
    mpl = matplotlib()
    sheet = files("interpboard.visualization.styles") / "interpboard.mplstyle"
    with as_file(sheet) as path, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(path, use_default_template=False)
        mpl.rcParams["font.family"] = list(font_families())
        yield


@lru_cache(maxsize=1)
def font_families() -> tuple[str, ...]:
    """Ours, which comes with matplotlib, and those installed that hold what it lacks."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return (_FONT, *(name for name in _FURTHER_FONTS if name in installed))


@lru_cache(maxsize=1)
def _drawn() -> frozenset[int]:
    """Code points that one of the fonts holds."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(
        code for name in font_families() for code in FT2Font(findfont(name)).get_charmap()
    )


def drawable(text: str) -> str:
    """``text`` with what no font at hand can draw as its escape: a box would say nothing."""
    if text.isascii():
        return text
    return "".join(
        char if ord(char) in _drawn() or char == "\n" else spelled(char) for char in text
    )


def new_figure(columns: int, height: float) -> Figure:
    """An empty figure ``columns`` (1 or 2) wide, ``height`` inches high; call within ``style``.

    It saves itself in the style, whatever the settings are by then.
    """
    if columns not in WIDTHS:
        raise BadParameter(f"A figure is 1 or 2 columns wide, not {columns!r}.", "Give columns=1.")
    mpl = matplotlib()

    class Styled(mpl.figure.Figure):  # type: ignore[name-defined]
        def savefig(self, *args: Any, **kwargs: Any) -> None:
            with style():
                super().savefig(*args, **kwargs)

        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

        def draw(self, renderer: Any) -> None:
            for text in self.findobj(mpl.text.Text):
                text.set_text(drawable(text.get_text()))
            super().draw(renderer)

    return Styled(figsize=(WIDTHS[columns], height), layout="constrained")


def colors_of(scale: Scale) -> tuple[Any, Any]:
    """Colour map and normalisation of ``scale``: the nine levels of every view, blended between."""
    mpl = matplotlib()
    levels = LIGHT if scale.diverging else LIGHT[MIDDLE:]
    shades = mpl.colors.LinearSegmentedColormap.from_list("interpboard", levels, N=257)
    shades = shades.with_extremes(bad="white")
    return shades, mpl.colors.Normalize(*scale.ends)


def numeric_scale_of(result: Result, values: np.ndarray) -> Scale:
    """The scale of ``values`` of ``result``; raises ``BadParameter`` for values that are text."""
    if values.dtype == object:
        raise BadParameter(f"{visible(result.analysis)} holds text, which is not drawn.", "")
    return reading.scale_of(result, values)


def title_of(result: Result) -> str:
    """The analysis and the metric it explains; of a mean which rows it is of, of a partial result how much of
    it there is."""
    params = result.params
    rows = f", {visible(str(params['group']))}" if {"rows", "group"} <= params.keys() else ""
    partial = f" (partial: {result.partial})" if result.partial is not None else ""
    return f"{analysis_name(result)}: {metric_words(result.metric, between='−')}{rows}{partial}"


def analysis_name(result: Result) -> str:
    """The title of the analysis."""
    return visible(reading.name_of(result))


def meaning_of(result: Result) -> str:
    """What a value is and what its sides say, as the result has it; else the bare word."""
    return visible(result.meaning) or "value"


def put_title(figure: Figure, text: str, columns: int) -> None:
    """A title over as many lines as it takes, as wide as the figure; nothing in it acts."""
    figure.suptitle(wrapped(text, columns), x=0.01, ha="left", parse_math=False)


def put_meaning(figure: Figure, text: str, columns: int) -> None:
    """What values and signs mean, below everything, as wide as the figure."""
    figure.supxlabel(wrapped(text, columns), fontsize=6.5, parse_math=False)


def wrapped(text: str, columns: int, share: float = 1.0) -> str:
    """``text`` in lines that a part of the figure's width holds."""
    return textwrap.fill(text, max(16, int(WIDTHS[columns] * _CHARS_AN_INCH * share)))


def hatch(axes: Axes, unsure: np.ndarray) -> None:
    """Hatching on the cells [row, column] of ``heat`` that may be no effect."""
    for row, column in np.argwhere(unsure):
        axes.add_patch(
            matplotlib().patches.Rectangle(
                (column, row), 1, 1, fill=False, hatch=HATCH, edgecolor=HATCHED, linewidth=0
            )
        )


def with_hatching(label: str, result: Result, unsure: np.ndarray) -> str:
    """``label``, and what hatching says where there is some."""
    return f"{label}; hatched: {unsure_words(result)}" if unsure.any() else label


def color_bar(figure: Figure, drawn: Any, axes: Axes, label: str, columns: int) -> None:
    """The legend below ``axes``: the colours, and below the figure what they and their sign mean."""
    bar = figure.colorbar(drawn, ax=axes, location="bottom", aspect=40, shrink=0.8, pad=0.03)
    bar.outline.set_linewidth(0.4)
    as_shapes(bar)
    put_meaning(figure, label, columns)


def as_shapes(bar: Any) -> None:
    """Draw the colours of a legend as vector shapes; matplotlib makes a picture of many. Few numbers at
    it, since it may be narrow."""
    bar.locator = matplotlib().ticker.MaxNLocator(4 if bar.ax.get_position().width > 0.3 else 2)
    bar.update_ticks()
    bar.solids.set(rasterized=False, edgecolor="face")


def shown_labels(labels: Sequence[str], *, tokens: bool) -> list[str]:
    """Labels harmless, and short enough to stand at an axis."""
    shown = (visible_token(text) if tokens else visible(text) for text in labels)
    return [text if len(text) <= _LABEL_MOST else text[: _LABEL_MOST - 1] + "…" for text in shown]


def put_labels(
    axes: Axes, which: str, labels: Sequence[str], inches: float, *, rotate: bool = False
) -> None:
    """Label the cells of the x or y axis, every n-th where all do not fit into ``inches``."""
    step = max(1, -(-len(labels) // max(1, int(inches * _TICKS_AN_INCH))))
    ticks = range(0, len(labels), step)
    place: Callable[..., Any] = getattr(axes, f"set_{which}ticks")
    angle = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if rotate else {}
    place([i + 0.5 for i in ticks], [labels[i] for i in ticks], parse_math=False, **angle)


def heat(axes: Axes, values: np.ndarray, scale: Scale, *, first_on_top: bool = True) -> Any:
    """Cells of [row, column] as vector shapes. What is not known stays white."""
    shades, norm = colors_of(scale)
    masked = np.ma.masked_invalid(values.astype(np.float64))
    drawn = axes.pcolormesh(masked, cmap=shades, norm=norm, edgecolors="white", linewidth=0.3)
    if first_on_top:
        axes.invert_yaxis()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawn
