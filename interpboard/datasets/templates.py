"""Rows from templates: a TOML file with texts that have slots, and what goes into them.

::

    text = "When {A} and {B} went to the {place}, {B} gave a {object} to"
    target = " {A}"
    foil = " {B}"
    distinct = ["A", "B"]     # slots that take different values in a row
    combine = "product"       # or "pair": the first values together, the second ones, …

    [slots]
    A = ["Mary", "John", "Tom"]
    B = ["Mary", "John", "Tom"]
    place = ["store", "park"]
    object = ["drink", "book"]

``text`` may be a list: each is taken with every combination, and ``template`` is kept as a column that says
which. Values of slots are kept as columns too, so rows can be grouped by them.

``table = "capitals.csv"``, a file of rows beside the template, gives its columns as slots: every row of it is
taken with every combination of the others, of which there need be none.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpboard.datasets.columns import Columns, filled, slots_of
from interpboard.datasets.rows import KNOWN_COLUMNS, UnusableRow
from interpboard.errors import BadParameter

_FILLED = tuple(name for name in KNOWN_COLUMNS if name not in ("messages", "position"))
_COMBINE = ("product", "pair")


@dataclass(frozen=True)
class Template:
    """What a template file says. ``fixed``: texts of the columns but ``text``; ``table``: the file whose
    columns are slots too, None: there is none."""

    texts: list[str]
    fixed: Mapping[str, str]
    slots: Mapping[str, list[str]]
    distinct: tuple[str, ...]
    combine: str
    table: Path | None

    def records(self) -> Iterator[dict[str, Any]]:
        """The records without a table, one a combination, made as they are asked for."""
        for made, columns in self._combined():
            yield {**columns, **{name: filled(own, columns) for name, own in made.items()}}

    def columns(self) -> Iterator[TemplateColumns]:
        """How the table is read, once a combination of the slots."""
        for made, columns in self._combined():
            yield TemplateColumns(tuple(made.items()), tuple(columns.items()))

    def _combined(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """The texts of our columns, with the value of each slot."""
        ways = itertools.product if self.combine == "product" or not self.slots else zip
        for number, text in enumerate(self.texts):
            for values in ways(*self.slots.values()):
                chosen: dict[str, Any] = dict(zip(self.slots, values, strict=True))
                apart = [chosen[name] for name in self.distinct]
                if len(set(apart)) < len(apart):
                    continue
                numbered = {"template": number} if len(self.texts) > 1 else {}
                yield {"text": text, **self.fixed}, {**chosen, **numbered}


@dataclass(frozen=True)
class TemplateColumns(Columns):
    """``taken``: of each of our columns a text; its slots are the columns of a row of the table, and
    ``values``."""

    values: tuple[tuple[str, Any], ...] = ()

    def named(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """``record`` and ``values``, with our columns filled from both. Raises ``UnusableRow``."""
        values = dict(self.values)
        if again := [name for name in values if name in record]:
            raise UnusableRow(f"has a column {again[0]!r}, which is a slot too")
        both = {**record, **values}
        return {**both, **{ours: filled(text, both) for ours, text in self.taken}}

    def missing(self, columns: Iterable[str]) -> list[str]:
        """The slots that are neither values nor among ``columns``."""
        there = {*columns, *dict(self.values)}
        used = [name for _, text in self.taken for name in slots_of(text)]
        return [name for name in dict.fromkeys(used) if name not in there]


def read_template(path: Path, raw: bytes) -> Template:
    """The template file ``path``. Raises ``BadParameter`` where it is none."""
    try:
        given = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadParameter(
            f"{path} is no TOML: {str(error).splitlines()[0]}.", "Mend it."
        ) from None
    texts, fixed, slots = _checked(path, given)
    distinct = tuple(given.get("distinct", ()))
    table = path.parent / given["table"] if "table" in given else None
    return Template(texts, fixed, slots, distinct, given.get("combine", "product"), table)


def _checked(
    path: Path, given: Mapping[str, Any]
) -> tuple[list[str], dict[str, str], dict[str, list[str]]]:
    unknown = set(given) - {*_FILLED, "slots", "distinct", "combine", "table"}
    if unknown:
        raise BadParameter(
            f"{path} has {sorted(unknown)[0]!r}.",
            f"A template file has {', '.join(_FILLED)}, slots, distinct, combine and table.",
        )
    text = given.get("text")
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list) or not texts or not all(isinstance(own, str) for own in texts):
        raise BadParameter(f"{path} has no text.", 'Write text = "… {slot} …", or a list of them.')
    table = given.get("table")
    if table is not None and (not isinstance(table, str) or not table.strip()):
        raise BadParameter(f"{path}: table is no name of a file.", "Mend it.")
    slots = given.get("slots", {} if table else None)
    if not isinstance(slots, dict) or (not slots and not table):
        raise BadParameter(
            f"{path} has no slots.", "Write [slots] and name = [values], or table = a file of rows."
        )
    for name, values in slots.items():
        if (
            not isinstance(values, list)
            or not values
            or not all(isinstance(v, str) for v in values)
        ):
            raise BadParameter(f"{path}: slot {name!r} is no list of texts.", "Mend it.")
        if name in KNOWN_COLUMNS:
            raise BadParameter(
                f"{path}: {name} is a column of its own.", "Call the slot otherwise."
            )
        if name == "template" and len(texts) > 1:
            raise BadParameter(
                f"{path}: template says which of several texts a row was made from.",
                "Call the slot otherwise.",
            )
    if given.get("combine", "product") not in _COMBINE:
        raise BadParameter(f"{path}: combine is {' or '.join(_COMBINE)}.", "Mend it.")
    lengths = {len(values) for values in slots.values()}
    if given.get("combine") == "pair" and len(lengths) > 1:
        raise BadParameter(
            f"{path}: slots of {', '.join(map(str, sorted(lengths)))} values cannot be paired.",
            "Give as many of each.",
        )
    fixed = {name: own for name, own in given.items() if name in _FILLED and name != "text"}
    for name, own in fixed.items():
        if not isinstance(own, str):
            raise BadParameter(f"{path}: {name} is no text.", "Mend it.")
    used = {slot for own in (*texts, *fixed.values()) for slot in slots_of(own)}
    if not table and (missing := sorted(used - set(slots))):
        raise BadParameter(f"{path} has no values for {{{missing[0]}}}.", "Add it to [slots].")
    distinct = given.get("distinct", [])
    if not isinstance(distinct, list) or not set(map(str, distinct)) <= set(slots):
        raise BadParameter(f"{path}: distinct names slots, as a list.", "Mend it.")
    if given.get("combine", "product") == "product":
        _refuse_rows_twice(path, texts, fixed, slots)
    return texts, fixed, slots


def _refuse_rows_twice(
    path: Path, texts: list[str], fixed: Mapping[str, str], slots: Mapping[str, list[str]]
) -> None:
    """Raise ``BadParameter`` where a combination would give the same row again: an interval over such rows
    would be narrower than what is known."""
    for name, values in slots.items():
        if again := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
            raise BadParameter(
                f"{path}: slot {name!r} has {again[0]!r} twice.", "Name each value once."
            )
        for text in texts:
            if len(values) > 1 and not any(name in slots_of(t) for t in (text, *fixed.values())):
                times = f"each row would stand there {len(values)} times"
                raise BadParameter(
                    f"{path}: {name!r} is no slot of {text!r}: {times}.",
                    'Leave the slot out, put it into the text, or write combine = "pair".',
                )
