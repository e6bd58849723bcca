"""Styles as a terminal takes them, and the shortest way from one to the next."""

from __future__ import annotations

from functools import lru_cache

# Attributes that are seen on a space too: underlines, blinking, reverse, strike, frames, overline.
_ON_BLANKS = frozenset({"4", "5", "6", "7", "9", "21", "51", "52", "53"})
# What switches them off again.
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28",
        "9": "29", "21": "24", "51": "54", "52": "54", "53": "55"}  # fmt: skip
_LEVELS = {str(value): at for at, value in enumerate((0, 95, 135, 175, 215, 255))}


class Rendition:
    """Attributes, foreground and background as SGR codes; empty: the terminal's own.

    Made by ``rendition`` and ``rendition_of`` only, which give equal ones as the same object, so that
    most comparisons are of whole lines of them.
    """

    __slots__ = ("attributes", "background", "blank", "foreground")

    def __init__(self, attributes: frozenset[str], foreground: str, background: str) -> None:
        self.attributes, self.foreground, self.background = attributes, foreground, background
        seen = bool(attributes & _ON_BLANKS)
        plain = not attributes and not foreground
        self.blank: Rendition = self if seen or plain else rendition(frozenset(), "", background)

    def behind(self, other: Rendition) -> Rendition:
        """A rendition in which a space looks as in this one, the nearest to ``other``."""
        if self.blank.attributes or other.attributes & _ON_BLANKS:
            return self.blank
        return rendition(other.attributes, other.foreground, self.background)


@lru_cache(maxsize=4096)
def rendition(attributes: frozenset[str], foreground: str, background: str) -> Rendition:
    """The one rendition of these codes."""
    return Rendition(attributes, foreground, background)


PLAIN = rendition(frozenset(), "", "")


@lru_cache(maxsize=4096)
def rendition_of(codes: str) -> Rendition:
    """The rendition of what a style is for a terminal: SGR codes with semicolons between them."""
    attributes, foreground, background = set(), "", ""
    rest = iter(codes.split(";") if codes else ())
    for code in rest:
        if code in ("38", "48"):
            kind = next(rest)
            color = f"{code};{_short(kind, [next(rest) for _ in range(1 if kind == '5' else 3)])}"
            foreground, background = (color, background) if code == "38" else (foreground, color)
        elif int(code) in (*range(30, 40), *range(90, 98)):
            foreground = code
        elif int(code) in (*range(40, 50), *range(100, 108)):
            background = code
        else:
            attributes.add(code)
    return rendition(frozenset(attributes), foreground, background)


def _short(kind: str, numbers: list[str]) -> str:
    """A colour that is exactly one of the 256 by its number there: half the bytes."""
    if kind == "2" and all(number in _LEVELS for number in numbers):
        red, green, blue = (_LEVELS[number] for number in numbers)
        return f"5;{16 + 36 * red + 6 * green + blue}"
    if kind == "2" and len(set(numbers)) == 1:
        grey, rest = divmod(int(numbers[0]) - 8, 10)
        if rest == 0 and 0 <= grey < 24:
            return f"5;{232 + grey}"
    return ";".join([kind, *numbers])


@lru_cache(maxsize=4096)
def rendition_change(old: Rendition, new: Rendition) -> str:
    """The escape sequence from ``old`` to ``new``: what differs, or all from anew."""
    if old is new:
        return ""
    off = {_OFF[code] for code in old.attributes - new.attributes}
    kept = {code for code in old.attributes if _OFF[code] not in off}
    changes = [*off, *(new.attributes - kept)]
    if new.foreground != old.foreground:
        changes.append(new.foreground or "39")
    if new.background != old.background:
        changes.append(new.background or "49")
    anew = [code for code in (*new.attributes, new.foreground, new.background) if code]
    parts = [";".join(sorted(changes, key=len)), ";".join(["0", *sorted(anew, key=len)])]
    return f"\x1b[{min(parts, key=len)}m"
