"""What the command line takes, checked before anything heavy is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from interpboard.cli.examples_command import Form
from interpboard.errors import BadParameter, BadPrompt
from interpboard.files import atomic
from interpboard.registry import ANALYSES, analyses_for, find_analysis
from interpboard.registry.metric_names import EVERY_METRIC

if TYPE_CHECKING:  # it needs numpy, which --help does not
    from interpboard.results import MetricRequest

F = TypeVar("F", "Format", Form)
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


class Format(StrEnum):
    """The views of a document."""

    text = "text"
    md = "md"
    csv = "csv"
    json = "json"
    html = "html"
    dot = "dot"
    mermaid = "mermaid"
    svg = "svg"
    plot = "plot"


class ListFormat(StrEnum):
    """The views of the registry."""

    text = "text"
    json = "json"


class Color(StrEnum):
    """How many colours; ``auto`` asks the terminal and NO_COLOR."""

    auto = "auto"
    truecolor = "truecolor"
    many = "256"
    few = "16"
    none = "none"


class Theme(StrEnum):
    """The background of the terminal."""

    auto = "auto"
    dark = "dark"
    light = "light"


_BY_SUFFIX = {
    ".txt": Format.text,
    ".md": Format.md,
    ".csv": Format.csv,
    ".json": Format.json,
    ".html": Format.html,
    ".dot": Format.dot,
    ".gv": Format.dot,
    ".mmd": Format.mermaid,
    ".svg": Format.svg,
    ".htm": Format.html,
}


def choose_analyses(names: Iterable[str] | None, given: Iterable[str] = ()) -> tuple[str, ...]:
    """The analyses named, each once, in the order given.

    If none is, all that can run with the options (``corrupted``, ``subject``) that are ``given``.
    """
    chosen = tuple(dict.fromkeys(find_analysis(name).name for name in names or ()))
    return chosen or analyses_for(tuple(given))


def choose_metric(
    name: str | None, target: str | None, foil: str | None, position: int, usual: str = "logit"
) -> MetricRequest:
    """The metric asked for: ``usual`` unless named; a foil alone asks for the difference to it."""
    from interpboard.results import MetricRequest

    name = name or ("logit_diff" if foil is not None else usual)
    if name not in EVERY_METRIC:
        raise BadParameter(f"There is no metric {name!r}.", _nearest(name, EVERY_METRIC))
    for text in (target, foil):
        if text is not None:
            _check_unicode(text)
    return MetricRequest(name, target, foil, position)


def choose_params(items: Iterable[str], analyses: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``key=value`` for every chosen analysis that has ``key``; ``analysis.key=value`` for one.

    Raises ``BadParameter`` for a key that none has, an analysis not chosen, and a bad value.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for name, given in split_params(items, analyses).items():
        parsed = ANALYSES[name].parse(given)
        if given:
            chosen[name] = {key: parsed[key] for key in given}
    return chosen


def split_params(items: Iterable[str], analyses: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is written for each of ``analyses``, as text. Errors as in ``choose_params``, but for values."""
    everywhere: dict[str, dict[str, str]] = {name: {} for name in analyses}
    particular: dict[str, dict[str, str]] = {name: {} for name in analyses}
    known = {name: [p.name for p in ANALYSES[name].parameters] for name in analyses}
    for item in items:
        key, equals, value = item.partition("=")
        owner, dot, own_key = key.strip().rpartition(".")
        if not equals or not own_key:
            raise BadParameter(f"--param takes key=value, not {item!r}.")
        if dot:
            if find_analysis(owner).name not in particular:
                raise BadParameter(f"--param {item!r}: {owner} is not among the chosen analyses.")
            particular[owner][own_key] = value
            continue
        owners = [name for name in analyses if own_key in known[name]]
        if not owners:
            every = sorted({key for keys in known.values() for key in keys})
            raise BadParameter(
                f"No chosen analysis has a parameter {own_key!r}.", _nearest(own_key, every)
            )
        for name in owners:
            everywhere[name][own_key] = value
    for name in analyses:
        for parameter in ANALYSES[name].parameters:
            if parameter.name in everywhere[name]:  # what would stand in for it is for the others
                everywhere[name].pop(parameter.instead, None)
    return {name: everywhere[name] | particular[name] for name in analyses}


def read_text(text: str) -> str:
    """``text``, or standard input for ``-`` without the newline at its end. Checked to be text."""
    if text == "-":
        if sys.stdin is None:
            raise BadPrompt("There is no standard input to read the prompt from.")
        raw = sys.stdin.buffer.read()
        try:
            text = raw.decode("utf-8-sig")  # editors put a mark in front that is no text
        except UnicodeDecodeError as error:
            raise BadPrompt(f"Standard input is not UTF-8 text: {error.reason}.") from None
        text = text.removesuffix("\n").removesuffix("\r")
    _check_unicode(text)
    if not text:
        raise BadPrompt("The prompt is empty.", "Give some text.")
    return text


def needs_no_text(analyses: Sequence[str], params: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the prompt can be the first of the circuit's own dataset, or the beginning of the file."""
    if tuple(analyses) == ("token_losses",):
        return bool(params.get("token_losses", {}).get("file"))
    circuit = params.get("circuit", {})
    return tuple(analyses) == ("circuit",) and bool(
        circuit.get("dataset") or circuit.get("behavior")
    )


def swap_of(swap: str) -> tuple[str, str]:
    """OLD and NEW of ``OLD=NEW``. Raises ``BadParameter``."""
    old, equals, new = (part.strip() for part in swap.partition("="))
    if not (old and equals and new):
        raise BadParameter(f"--swap takes OLD=NEW, not {swap!r}.", "E.g. 'Eiffel Tower=Colosseum'.")
    return old, new


def choose_output(path: Path | None, chosen: Format | None) -> Format:
    """The format, by the file's ending where none is named; the file is tried before anything is computed.

    Raises ``BadParameter`` for a file that cannot be written, and for an ending that no format has.
    """
    return _by_ending(path, chosen, _BY_SUFFIX, Format.text)


def choose_form(path: Path | None, chosen: Form | None) -> Form:
    """The same for the examples of a neuron."""
    endings = {".txt": Form.text, ".md": Form.md, ".json": Form.json}
    return _by_ending(path, chosen, endings, Form.text)


def _by_ending(path: Path | None, chosen: F | None, endings: Mapping[str, F], plain: F) -> F:
    if path is None:
        return chosen or plain
    try_file(path, "--output")
    ending = path.suffix.lower()
    if chosen is None and ending and ending not in endings:
        raise BadParameter(
            f"--output {path}: there is no format for {ending}.",
            f"Name one with --format, or let the file end in {', '.join(endings)}.",
        )
    return chosen or endings.get(ending, plain)


def try_file(path: Path, option: str) -> None:
    """Raise ``BadParameter`` where ``path`` cannot be written."""
    if os.path.isdir(path):
        raise BadParameter(f"{option} {path} is a folder.", "Name a file in it.")
    if not os.path.isdir(path.parent):
        raise BadParameter(f"There is no folder {path.parent}.", "Create it first.")
    try:
        atomic.try_place(path)
    except OSError as error:
        raise BadParameter(
            f"Cannot write {path}: {error.strerror}.", "Name another file."
        ) from error


def try_folder(path: Path, option: str) -> None:
    """Raise ``BadParameter`` where files cannot be written in ``path``, which is not made yet."""
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    if not os.path.isdir(there):
        raise BadParameter(f"{option} {path}: {there} is no folder.", "Name another one.")
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadParameter(f"Cannot make the folder {path}: {error.strerror}.") from error
    try:
        atomic.try_place(there / "config.json")
    except OSError as error:
        raise BadParameter(
            f"Cannot write in {there}: {error.strerror}.", "Name another place."
        ) from error


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadPrompt(f"{text[:60]!r} is not valid UTF-8 text.", "Check its encoding.") from None


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known) or 'none'}."
