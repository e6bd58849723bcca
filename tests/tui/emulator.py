"""A terminal's screen: what escape sequences and text leave on it. As much of one as Textual uses."""

from __future__ import annotations

import re

from rich._palettes import EIGHT_BIT_PALETTE
from rich.cells import cell_len

_PART = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([^\x1b])", re.DOTALL)
_VISIBLE_ON_SPACE = {"4", "5", "6", "7", "9", "21", "51", "52", "53"}
Look = tuple[frozenset[str], str, str]  # attributes, foreground, background
DEFAULT: Look = (frozenset(), "", "")


class Emulator:
    """Cells with their looks. ``unknown`` is on the screen at first: what nobody wrote."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.width, self.height = size
        self.texts = [["?"] * self.width for _ in range(self.height)]
        self.looks = [[DEFAULT] * self.width for _ in range(self.height)]
        self.x = self.y = 0
        self.look = DEFAULT

    def write(self, output: str) -> None:
        """Take what a program writes."""
        for numbers, how, char in _PART.findall(output):
            if char == "\b":
                self.x -= 1
            elif char == "\r":
                self.x = 0
            elif char == "\n":
                self.y += 1
            elif char:
                self._put(char)
            elif how == "H":
                y, _, x = numbers.partition(";")
                self.y, self.x = int(y or 1) - 1, int(x or 1) - 1
            elif how == "G":
                self.x = int(numbers) - 1
            elif how in "ABCD":
                assert self.x < self.width, (
                    "where the cursor is behind the last column is not known"
                )
                by = int(numbers or 1) * (1 if how in "BC" else -1)
                self.x, self.y = (self.x + by, self.y) if how in "CD" else (self.x, self.y + by)
            elif how == "m":
                self.look = _changed(self.look, numbers)
            else:
                raise AssertionError(f"a sequence that is not expected: {numbers}{how}")

    def _put(self, char: str) -> None:
        row, width = self.texts[self.y], cell_len(char)
        if width == 0:
            at = self.x - 1
            while row[at] == "":
                at -= 1
            row[at] += char
            return
        if row[self.x] == "":  # the half of a wide character: the other half goes
            row[self.x - 1] = " "
        after = self.x + width
        if after < self.width and row[after] == "":
            row[after] = " "
        row[self.x : after] = [char, *[""] * (width - 1)]
        assert len(row) == self.width, "written beyond the right edge"
        self.looks[self.y][self.x : after] = [self.look] * width
        self.x = after

    def shown(self) -> list[list[tuple[str, Look]]]:
        """Each cell as it is seen: a space has no colour but its background."""
        return [
            [(text, _seen(text, look)) for text, look in zip(*row, strict=True)]
            for row in zip(self.texts, self.looks, strict=True)
        ]


def _seen(text: str, look: Look) -> Look:
    if text == " " and not look[0] & _VISIBLE_ON_SPACE:
        return (frozenset(), "", look[2])
    return look


_OFF = {"22": "12", "23": "3", "24": "4", "25": "56", "27": "7", "28": "8", "29": "9"}


def _changed(look: Look, codes: str) -> Look:
    attributes, foreground, background = set(look[0]), look[1], look[2]
    for code in re.findall(r"[34]8;5;\d+|[34]8;2;\d+;\d+;\d+|\d+", codes) or ["0"]:
        if code == "0":
            attributes, foreground, background = set(), "", ""
        elif code in _OFF:
            attributes -= set(_OFF[code])
        elif code == "39":
            foreground = ""
        elif code == "49":
            background = ""
        elif re.fullmatch(r"38;.*|3\d|9\d", code):
            foreground = _color(code)
        elif re.fullmatch(r"48;.*|4\d|10\d", code):
            background = _color(code)
        else:
            attributes.add(code)
    return frozenset(attributes), foreground, background


def _color(code: str) -> str:
    """The colour itself, however it was named."""
    where, _, number = code.partition(";5;")
    if not number or int(number) < 16:
        return code
    red, green, blue = EIGHT_BIT_PALETTE[int(number)]
    return f"{where};2;{red};{green};{blue}"
