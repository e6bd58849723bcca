"""Token, prompt and model strings are data: the one function that makes them harmless to show.

A token may hold an escape sequence, a newline, a right-to-left mark or half a character. Terminals
and HTML act on those, so every string that is not our own source's passes ``visible`` first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextvars import ContextVar

from rich.cells import cell_len

# Set where everything is to be shown in ASCII, as in the app on a terminal that has no more.
ascii_everywhere: ContextVar[bool] = ContextVar("ascii_everywhere", default=False)

_OURS_IN_ASCII = str.maketrans(
    {
        "·": "-", "−": "-", "–": "-", "─": "-", "×": "x", "→": "->", "Δ": "d", "│": "|", "‖": "||",
        "…": "...", "≥": ">=", "≤": "<=", "Σ": "sum", "½": "1/2",
    }
)  # fmt: skip
_PICTURES = {"\n": "⏎", "\t": "⇥", "\x1b": "␛", "\r": "␍", "\x00": "␀", "\x7f": "␡"}
_CONTROLS = {picture: char for char, picture in _PICTURES.items()}
_ASCII_PICTURES = {"\n": "\\n", "\t": "\\t", "\x1b": "\\e", "\r": "\\r"}
# Cc control, Cf format (zero width, direction marks), Cs surrogates, Co private use, Cn unassigned,
# Zl/Zp line and paragraph separators, Me enclosing marks (their width differs between terminals).
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"})
# Letters, marks and symbols by category, yet drawn as nothing, or changing the width of what stands
# before them: grapheme joiner, Hangul fillers, Khmer inherent vowels, variation selectors, blank
# Braille.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F),
            *(0x2800, 0x3164, 0xFFA0),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
# What terminals draw together with what stands before it, each as wide as it likes: shown apart, so that
# every terminal draws as many cells as are counted. Halves of flags as letters, tones of skin as numbers.
_APART = {chr(0x1F1E6 + i): chr(0x24B6 + i) for i in range(26)} | {
    chr(0x1F3FB + i): tone for i, tone in enumerate("¹²³⁴⁵")
}
# The same in running text, where a picture reads better than an escape: what joins emoji or letters or keeps
# letters apart, a key's frame, and what only chooses between two drawings of the sign in front of it.
_IN_TEXT = {
    "\u200d": ("‿", ("S", "L", "M")), "\u200c": ("˽", ("L", "M")), "\u20e3": ("□", ("Nd", "Po")),
    "\ufe0e": ("", ("S", "Nd", "Po")), "\ufe0f": ("", ("S", "Nd", "Po")),
}  # fmt: skip
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_KEPT_APART = "ˑ"  # read from left to right, one cell everywhere
_MARKS = ("Mn", "Mc")
_MOST_MARKS = 2  # on one letter; more of them climb over the neighbouring lines


def visible(text: str, *, space: str = " ", ascii_only: bool | None = None) -> str:
    """``text`` on one line with every control, format and undefined character as a visible picture.

    ``space`` is what a space becomes: ``·`` where leading spaces of tokens matter. Then the other
    spaces of Unicode become escapes, since they are other tokens; so does what joins emoji. A combining
    mark stays on its letter; one that has none is shown on ``◌``. No picture is drawn together with its
    neighbours: the text is as wide as its characters, in every terminal. With
    ``ascii_only`` everything beyond ASCII becomes an escape; None: as ``ascii_everywhere`` says.
    """
    if ascii_only is None:
        ascii_only = ascii_everywhere.get()
    if text.isascii() and text.isprintable():
        return text if space == " " else text.replace(" ", space)
    shown: list[str] = []
    bare, marks = True, 0  # is there a letter to sit on, and how many marks sit on it
    sign = ""  # the last character but for those that choose its drawing
    for char in text:
        if space == " " and not ascii_only and char in _IN_TEXT and sign:
            picture, behind = _IN_TEXT[char]
            if unicodedata.category(sign).startswith(behind):
                shown.append(picture)
                sign = char if picture else sign
                continue
        sign = char
        if not ascii_only and char not in _INVISIBLE and unicodedata.category(char) in _MARKS:
            shown.append("◌" + char if bare else char if marks < _MOST_MARKS else _escape(char))
            bare, marks = False, marks + 1
            continue
        picture = _picture(char, space, ascii_only)
        shown.append(picture)
        bare, marks = picture != char or char == " ", 0
    return "".join(shown)


def ours_in_ascii(text: str) -> str:
    """A string of our own source in ASCII: its signs as letters. For others' strings: ``visible``."""
    return text.translate(_OURS_IN_ASCII)


def visible_token(token: str, *, ascii_only: bool | None = None) -> str:
    """A token with its spaces shown: `` Paris`` becomes ``·Paris``."""
    if ascii_only is None:
        ascii_only = ascii_everywhere.get()
    return visible(token, space="_" if ascii_only else "·", ascii_only=ascii_only)


def spelled(char: str) -> str:
    """``char`` as its escape, where it cannot be drawn; a picture as that of the character it stands for."""
    control = _CONTROLS.get(char)
    return _escape(char) if control is None else visible(control, ascii_only=True)


def fit(text: str, width: int, *, ellipsis: str = "…") -> str:
    """``text`` (already visible) cut or padded to exactly ``width`` terminal cells."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        room = width - cell_len(ellipsis)
        kept: list[str] = []
        used = 0
        for char in text:
            cells = cell_len(char)
            if used + cells > room:
                break
            kept.append(char)
            used += cells
        while kept and cell_len("".join(kept)) > room:  # joined characters can be wider
            kept.pop()
        text = "".join(kept) + ellipsis if room >= 0 else ""
    return text + " " * (width - cell_len(text))


def has_right_to_left(text: str) -> bool:
    """Has ``text`` characters that are written from right to left?"""
    return not text.isascii() and any(
        unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text
    )


def kept_apart(cells: Sequence[str]) -> list[str]:
    """The ``cells`` of a line, each at its place also where a terminal turns right-to-left text round.

    Tokens stay in the order of the text, their characters too: terminals that turn text round do so
    within a cell, and the others show it as it is stored. No invisible mark does that everywhere; the
    space at the edge of such a cell, and behind it, becomes ``ˑ``, which is read from left to right.
    """
    kept, behind = [], False
    for cell in cells:
        turned = has_right_to_left(cell)
        if (turned or behind) and cell.startswith(" "):
            cell = _KEPT_APART + cell[1:]
        if turned and cell.endswith(" "):
            cell = cell[:-1] + _KEPT_APART
        behind = turned and not cell.endswith(_KEPT_APART)
        kept.append(cell)
    return kept


def line_kept_apart(line: str) -> str:
    """The same of a whole line of cells with spaces between them, as long as it was."""
    if not has_right_to_left(line):
        return line
    turned = [unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in line]
    beside = [
        any(turned[max(0, at - 1) : at + 2]) if char == " " else False
        for at, char in enumerate(line)
    ]
    return "".join(_KEPT_APART if apart else char for char, apart in zip(line, beside, strict=True))


def _picture(char: str, space: str, ascii_only: bool) -> str:
    if char == " ":
        return space
    if ascii_only and not (char.isascii() and char.isprintable()):
        return _ASCII_PICTURES.get(char) or _escape(char)
    if char in _PICTURES:
        return _PICTURES[char]
    if char in _APART:
        return _APART[char]
    category = unicodedata.category(char)
    if category in _HIDDEN or char in _INVISIBLE:
        return _escape(char)
    if category == "Zs":  # spaces that are not the space
        return " " if space == " " else _escape(char)
    return char


def _escape(char: str) -> str:
    point = ord(char)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def spoken_bytes(size: int) -> str:
    """``900 KiB``, ``12 MiB``, ``1.5 GiB``, ``64 GiB``."""
    if size < 2**20:
        return f"{size / 2**10:.0f} KiB"
    if size < 1000 * 2**20:
        return f"{size / 2**20:.0f} MiB"
    gib = size / 2**30
    return f"{gib:,.0f} GiB" if gib >= 10 else f"{gib:.1f} GiB"


def failed_words(results: int) -> str:
    """How many ``results`` failed: a row that cannot be used has one for each analysis."""
    return f"{results:,} {'result' if results == 1 else 'results'} failed"


def spoken_seconds(seconds: float) -> str:
    """``0.4 s``, ``40 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"
