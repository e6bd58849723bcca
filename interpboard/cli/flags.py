"""The options that several commands take, and what completes their values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interpboard.cli.options import DTYPES, Color, Format, Theme
from interpboard.registry import ANALYSES
from interpboard.registry.metric_names import EVERY_METRIC


def _starting(with_: tuple[str, ...], incomplete: str) -> list[str]:
    return [name for name in with_ if name.startswith(incomplete)]


def complete_analysis(incomplete: str) -> list[str]:
    return _starting(tuple(ANALYSES), incomplete)


def complete_metric(incomplete: str) -> list[str]:
    return _starting(EVERY_METRIC, incomplete)


def complete_dtype(incomplete: str) -> list[str]:
    return _starting(DTYPES, incomplete)


def complete_param(incomplete: str) -> list[str]:
    keys = {f"{p.name}=" for analysis in ANALYSES.values() for p in analysis.parameters}
    return _starting(tuple(sorted(keys)), incomplete)


ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="demo, demo-chat, demo-t5, demo-bert, a folder with a model, or a name on the hub.",
    ),
]


Device = Annotated[
    str | None,
    typer.Option(
        help="auto, cpu, cuda, cuda:1, mps. cuda:0,cuda:1: app and analyze divide grids between them."
    ),
]


Dtype = Annotated[
    str | None, typer.Option(help=", ".join(DTYPES) + ".", autocompletion=complete_dtype)
]


Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Let the model run code of its own.")
]


Pickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Load weights that can run code (not safetensors).")
]


Unused = Annotated[
    bool,
    typer.Option(
        "--ignore-unused-weights", help="Open a model although its files hold more than it uses."
    ),
]


Unchecked = Annotated[
    bool, typer.Option("--no-check-weights", help="Do not look for NaN and infinity in weights.")
]


Special = Annotated[
    bool | None,
    typer.Option(
        "--no-special-tokens",
        help="Put nothing around the text that the tokenizer would: no beginning, no end of text.",
    ),
]


Paint = Annotated[
    Color | None, typer.Option(help="How many colours; auto follows the terminal and NO_COLOR.")
]


Background = Annotated[Theme | None, typer.Option(help="The terminal's background.")]


AsciiOnly = Annotated[bool | None, typer.Option("--ascii", help="Draw with ASCII characters only.")]


OutputFormat = Annotated[
    Format | None, typer.Option("--format", "-f", help="By default by --output, or text.")
]


OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead.")
]


Debug = Annotated[
    bool, typer.Option("--debug", help="Tracebacks and the libraries' messages, on stderr.")
]


def off(flag: bool | None) -> bool | None:
    """What a ``--no-`` flag says of its setting."""
    return False if flag else None


def choice_value(choice: StrEnum | None) -> str | None:
    return None if choice is None else choice.value


Target = Annotated[
    str | None,
    typer.Option(help="The token explained, as text or as #161 by id (the model's own first)."),
]


Foil = Annotated[
    str | None,
    typer.Option(help="The token it is contrasted with, for logit_diff; as text or as #161."),
]


RowTarget = Annotated[
    str | None, typer.Option(help="The token explained, where a row names none of its own.")
]


RowFoil = Annotated[
    str | None, typer.Option(help="The token it is contrasted with, where a row names none.")
]


Position = Annotated[
    int, typer.Option(help="Where the next token is predicted, from 0; -1: the end of the text.")
]


MetricName = Annotated[
    str | None,
    typer.Option(help=", ".join(EVERY_METRIC) + ".", autocompletion=complete_metric),
]


ParamFlags = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        autocompletion=complete_param,
        help="A parameter, of one analysis as analysis.key=value; see interpboard list.",
    ),
]
