"""Interventions as text: heads and MLPs off, states patched, tokens swapped.

One intervention is ``PLACE=WHAT``; several are separated by semicolons or line breaks.

| place | what is edited |
|---|---|
| ``2.5`` | the output ``z`` of head 5 of layer 2 |
| ``1.mlp``, ``1.attn`` | what the MLP, or attention, of layer 1 adds to the stream |
| ``3.resid`` | the stream after layer 3 |
| ``2.e5``, ``2.router`` | the weights that tokens give expert 5 of a mixture, or all its experts |
| ``@4`` | the token at position 4 |
| ``"strongest 2"{2.5, 1.mlp}`` | a set of places, put on and taken off as one; its name may be left out |

``adapter=off`` is the whole model without the adapters that it was opened with.

In an encoder–decoder a layer is written with its group: ``E2.5`` of the encoder, ``D2.5`` of the decoder's
self-attention, ``X2.5`` of its cross attention, behind which its MLP stands (``X2.mlp``).

A place of a layer may end in positions, ``3.resid@4`` or ``2.5@1-3``; without them it is edited at all.

| what | is put there |
|---|---|
| ``zero`` | zeros |
| ``mean`` | its mean over the prompt's positions |
| ``patch`` | its value on the prompt ``source``, position by position |
| ``steer "v.npy"``, ``steer "v.npy" * 2.5`` | itself plus a vector of a file (stream, MLP, attention) |
| ``" Rome"`` | at a token's place: that token; it must be one token |

Text in double quotes is a JSON string, so a token, a path or a name may hold anything. No torch here: the
app reads and writes the same text; ``resolve`` makes edits of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from interpboard.errors import BadParameter

_SITES = {"mlp": "mlp_out", "attn": "attn_out", "resid": "resid_post", "router": "router"}
GRAMMAR = 'Write for example 2.5=zero; 1.mlp=mean; 3.resid@4=patch; @4=" Rome"; {2.5, 2.6}=zero.'
ADAPTER = "adapter"
REPLACED = ("zero", "mean", "patch")  # one of them at a place excludes the others

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ITEM = re.compile(rf'(?:[^;\n"]|{_QUOTED})+')
_SET = re.compile(
    rf"(?P<name>{_QUOTED})?\s*\{{(?P<places>[^{{}}\"]*)\}}\s*=\s*(?P<what>.*)", re.DOTALL
)
_PLACE = re.compile(
    r"(?:(?P<group>[EDX])?(?P<layer>\d+)\.(?:(?P<head>\d+)|(?P<part>mlp|attn|resid|router)|e(?P<expert>\d+)))?(?:@(?P<at>\d+)(?:-(?P<to>\d+))?)?"
)
_STEER = re.compile(rf"steer\s*(?P<file>{_QUOTED})\s*(?:\*\s*(?P<scale>[-+.\deE]+))?")


class Intervention(NamedTuple):
    """One of them, read but not yet resolved on a model. ``layer`` None: a token's place."""

    text: str
    what: str  # zero, mean, patch, steer, token, off
    layer: int | None = None
    head: int | None = None
    part: str | None = None
    positions: tuple[int, ...] | None = None
    value: str = ""  # the token, or the path
    scale: float = 1.0
    group: str = ""  # of the layer, in an encoder–decoder
    expert: int | None = None

    @property
    def site(self) -> str:
        """Where it acts."""
        if self.layer is None:
            return "embed"
        if self.expert is not None:
            return "router"
        return "z" if self.part is None else _SITES[self.part]


class StackItem(NamedTuple):
    """What is put on and taken off as one: a lone intervention, or a set of them with its ``name``."""

    text: str
    members: tuple[Intervention, ...]
    name: str = ""
    is_set: bool = False

    @property
    def label(self) -> str:
        """How a result names it: the name of a set with how many places it has, else the text."""
        if not self.is_set or not self.name:
            return self.text
        return f"{self.name}: {len(self.members)} at once, {self.members[0].what}"


def parse_interventions(text: str) -> tuple[Intervention, ...]:
    """The interventions of ``text``, in order, those of sets one by one.

    Raises ``BadParameter`` naming what cannot be read, and a place at which two things are put at once.
    """
    return tuple(member for item in parse_items(text) for member in item.members)


def parse_items(text: str) -> tuple[StackItem, ...]:
    """The same, a set as one."""
    items = tuple(map(_item, split_items(text)))
    if not items:
        raise BadParameter("There is no intervention.", GRAMMAR)
    _refuse_contradictions([member for item in items for member in item.members])
    return items


def split_items(text: str) -> list[str]:
    """The items of ``text`` as they are written. Raises ``BadParameter`` for a quote that stays open."""
    if _ITEM.sub("", text).strip("; \n"):
        raise BadParameter("An intervention has an open quote.", GRAMMAR)
    return [item for item in map(str.strip, _ITEM.findall(text)) if item]


def set_text(name: str, places: Sequence[str], what: str) -> str:
    """A set as the grammar writes it: ``"strongest 2"{2.5, 1.mlp}=zero``."""
    quoted = json.dumps(name, ensure_ascii=False) if name else ""
    return f"{quoted}{{{', '.join(places)}}}={what}"


def place_and_what(item: str) -> tuple[str, str]:
    """What stands before the equals sign of an item, and after; of a set its braces and its name too."""
    found = _SET.fullmatch(item.strip())
    if found is not None:
        what = found["what"].strip()
        return item.strip()[: found.start("what")].rstrip("= \n\t"), what
    place, _, what = item.partition("=")
    return place.strip(), what.strip()


def places_of(item: str) -> tuple[str, ...]:
    """The places that an item edits: those in the braces of a set, else its own."""
    found = _SET.fullmatch(item.strip())
    if found is None:
        return (place_and_what(item)[0],)
    return tuple(place.strip() for place in found["places"].split(",") if place.strip())


def name_of_set(item: str) -> str:
    """The name of a set; empty for a lone intervention and for a set without one."""
    found = _SET.fullmatch(item.strip())
    if found is None or found["name"] is None:
        return ""
    return _unquoted(found["name"], item)


def is_set(item: str) -> bool:
    """Whether an item is a set."""
    return _SET.fullmatch(item.strip()) is not None


def _item(item: str) -> StackItem:
    found = _SET.fullmatch(item)
    if found is None:
        return StackItem(item, (_parse(item),))
    name = _unquoted(found["name"], item) if found["name"] else ""
    what, places = found["what"].strip(), places_of(item)
    if what not in REPLACED:
        raise BadParameter(f"{item!r}: a set takes {', '.join(REPLACED)}.", GRAMMAR)
    if not places:
        raise BadParameter(f"{item!r}: the set is empty.", GRAMMAR)
    members = tuple(_parse(f"{place}={what}") for place in places)
    if len({member.text for member in members}) < len(members):
        raise BadParameter(f"{item!r}: a place stands in the set twice.", GRAMMAR)
    return StackItem(item, members, name, is_set=True)


def _refuse_contradictions(members: Sequence[Intervention]) -> None:
    """One place cannot be zero and its mean: the later would win without a word."""
    first: dict[tuple[object, ...], Intervention] = {}
    for each in members:
        if each.what not in REPLACED:
            continue
        place = (each.group, each.layer, each.head, each.expert, each.part, each.positions)
        other = first.setdefault(place, each)
        if other.what != each.what:
            raise BadParameter(
                f"{each.text.partition('=')[0]} is put to {other.what} and to {each.what} at once.",
                "Keep one of them.",
            )


def _parse(item: str) -> Intervention:
    place, equals, what = (part.strip() for part in item.partition("="))
    if place == ADAPTER:
        if what != "off":
            raise BadParameter(
                f"{item!r}: an adapter can only be off.",
                f"Write {ADAPTER}=off; other interventions behind a semicolon.",
            )
        return Intervention(item, "off")
    match = _PLACE.fullmatch(place)
    if not equals or not place or match is None:
        raise BadParameter(f"Cannot read the intervention {item!r}.", GRAMMAR)
    layer, head, expert, at, to = (
        int(match[name]) if match[name] is not None else None
        for name in ("layer", "head", "expert", "at", "to")
    )
    positions = None if at is None else tuple(range(at, (at if to is None else to) + 1))
    if positions == ():
        raise BadParameter(f"{item!r}: the positions run backwards.", GRAMMAR)
    common = {"layer": layer, "head": head, "part": match["part"], "positions": positions}
    common |= {"group": match["group"] or "", "expert": expert}
    steer = _STEER.fullmatch(what)
    if layer is None:
        if positions is None or len(positions) != 1 or not what.startswith('"'):
            raise BadParameter(f"{item!r}: a token is replaced by a token in quotes.", GRAMMAR)
        return Intervention(item, "token", **common, value=_unquoted(what, item))  # type: ignore[arg-type]
    if steer is not None and match["part"] not in (None, "router"):
        value, scale = _unquoted(steer["file"], item), _number(steer["scale"], item)
        return Intervention(item, "steer", **common, value=value, scale=scale)  # type: ignore[arg-type]
    if what not in REPLACED:
        raise BadParameter(f"{item!r}: {what!r} cannot be put there.", GRAMMAR)
    return Intervention(item, what, **common)  # type: ignore[arg-type]


def _unquoted(text: str, item: str) -> str:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        raise BadParameter(f"{item!r}: the quotes do not hold a text.", GRAMMAR) from None
    return str(value)


def _number(text: str | None, item: str) -> float:
    try:
        number = 1.0 if text is None else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadParameter(f"{item!r}: {text!r} is no number.", GRAMMAR)
    return number
