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
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpboard.datasets.columns import filled, slots_of
from interpboard.datasets.rows import KNOWN_COLUMNS
from interpboard.errors import BadParameter

_FILLED = tuple(name for name in KNOWN_COLUMNS if name not in ("messages", "position"))
_COMBINE = ("product", "pair")


def template_records(path: Path, raw: bytes) -> Iterator[dict[str, Any]]:
    """The records of the template file ``path``, one a combination, made as they are asked for.

    Raises ``BadParameter`` where the file is none of that kind.
    """
    try:
        given = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadParameter(
            f"{path} is no TOML: {str(error).splitlines()[0]}.", "Mend it."
        ) from None
    texts, fixed, slots = _checked(path, given)
    distinct = tuple(given.get("distinct", ()))
    return _records(texts, fixed, slots, distinct, given.get("combine", "product"))


def _records(
    texts: list[str],
    fixed: Mapping[str, str],
    slots: Mapping[str, list[str]],
    distinct: tuple[str, ...],
    combine: str,
) -> Iterator[dict[str, Any]]:
    ways = itertools.product if combine == "product" else zip
    for number, text in enumerate(texts):
        for values in ways(*slots.values()):
            record: dict[str, Any] = dict(zip(slots, values, strict=True))
            apart = [record[name] for name in distinct]
            if len(set(apart)) < len(apart):
                continue
            made = {"text": text, **fixed}
            columns = {**record, **({"template": number} if len(texts) > 1 else {})}
            yield {**columns, **{name: filled(own, record) for name, own in made.items()}}


def _checked(
    path: Path, given: Mapping[str, Any]
) -> tuple[list[str], dict[str, str], dict[str, list[str]]]:
    unknown = set(given) - {*_FILLED, "slots", "distinct", "combine"}
    if unknown:
        raise BadParameter(
            f"{path} has {sorted(unknown)[0]!r}.",
            f"A template file has {', '.join(_FILLED)}, slots, distinct and combine.",
        )
    text = given.get("text")
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list) or not texts or not all(isinstance(own, str) for own in texts):
        raise BadParameter(f"{path} has no text.", 'Write text = "… {slot} …", or a list of them.')
    slots = given.get("slots")
    if not isinstance(slots, dict) or not slots:
        raise BadParameter(f"{path} has no slots.", "Write [slots] and name = [values].")
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
    if missing := sorted(used - set(slots)):
        raise BadParameter(f"{path} has no values for {{{missing[0]}}}.", "Add it to [slots].")
    distinct = given.get("distinct", [])
    if not isinstance(distinct, list) or not set(map(str, distinct)) <= set(slots):
        raise BadParameter(f"{path}: distinct names slots, as a list.", "Mend it.")
    return texts, fixed, slots
