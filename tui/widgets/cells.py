"""What a view shows, cell by cell, so that it can be searched; and the search itself. Pure.

A view lists its cells: where its cursor goes, and by which names that place is found. A search takes the
first tier of cells in which anything fits: what stands in a grid before its headers, its headers before
a header of a row and one of a column together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

# Whatever a cursor is: a row, a row and a column, a part of a view and a place in it. Of one view they
# can be compared.
CursorPlace = Any
NOWHERE = -1  # the place of a view in which a search has marked nothing, where places are numbers
MOST_AFTER = 64  # characters behind a token in which a search goes on
_SPACES = str.maketrans("", "", " ·_▁Ġ\xa0")  # as tokens, tokenizers and screens write a space
_ADDRESS = re.compile(r"\d+\.\w+")  # 3.7, 0.mlp


class SearchCell(NamedTuple):
    """One place, its ``names`` (as shown, and as it really is); of a piece of a text what goes on behind it,
    nothing behind the last. ``note`` is said with it where the place alone does not show what was found."""

    place: CursorPlace
    names: tuple[str, ...]
    tier: int = 0
    after: str | None = None
    note: str = ""


class Searched(Protocol):
    """A view that can be searched."""

    @property
    def place(self) -> CursorPlace:
        """Where its cursor is."""

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """What it shows. A header is found in the row or column of ``around``."""

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """What fits ``query`` in the data behind what is shown; asked where nothing shown is called so."""

    def go(self, place: CursorPlace) -> None:
        """The cursor goes there, as if keys had moved it."""

    def leave(self) -> None:
        """Something was found in the view beside it: what was marked in this one is so no longer."""


def fitting_cells(cells: Sequence[SearchCell], query: str) -> list[SearchCell]:
    """The cells that fit ``query``, of the first tier that has any, in the order of their places.

    Spaces do not count, nor does case unless the query has capitals.
    """
    plain = _plain(query, query)
    if not plain:
        return []
    found: dict[CursorPlace, SearchCell] = {}
    for tier in sorted({cell.tier for cell in cells}):
        for cell in cells:
            if cell.tier == tier and _fits(cell, plain, query):
                found.setdefault(cell.place, cell)
        if found:
            break
    return [found[place] for place in sorted(found)]


def cells_found(view: Searched, query: str, around: CursorPlace) -> list[SearchCell]:
    """What of ``view`` fits ``query``: of what it shows, and of the data behind it what is called just so,
    or whatever fits where nothing shown does."""
    found = fitting_cells(view.cells(around), query)
    if not query or any(_called(cell, query) for cell in found):
        return found
    more = [cell for cell in view.beyond(query) if not found or _called(cell, query)]
    return sorted([*found, *more], key=lambda cell: cell.place)


def first_match(found: Sequence[SearchCell], query: str, around: CursorPlace) -> int:
    """Which is gone to first: what is called just so, from ``around`` on; else the next one there is."""
    exact = [_called(cell, query) for cell in found]
    for wanted in (True, False):
        of_kind = [at for at, each in enumerate(exact) if each or not wanted]
        onward = [at for at in of_kind if found[at].place >= around]
        if of_kind:
            return (onward or of_kind)[0]
    return 0


def _called(cell: SearchCell, query: str) -> bool:
    """Is the cell called just so?"""
    return any(_plain(name, query) == _plain(query, query) for name in cell.names)


def as_searched(text: str, capitals: bool) -> str:
    """``text`` as a search compares it: without spaces, and in lower case unless ``capitals`` count."""
    return (text if capitals else text.lower()).translate(_SPACES)


def _plain(text: str, query: str) -> str:
    """``text`` in lower case unless the query has capitals, without spaces unless it has nothing else."""
    capitals = query != query.lower()
    if query.translate(_SPACES):
        return as_searched(text, capitals)
    return text if capitals else text.lower()


def _fits(cell: SearchCell, plain: str, query: str) -> bool:
    if cell.after is not None:
        plain_name = _plain(cell.names[0], query)
        at = (plain_name + _plain(cell.after, query)).find(plain)
        if 0 <= at < len(plain_name):
            return True
    for name in cell.names:
        plain_name = _plain(name, query)
        # 3.7 is not in 13.7.
        if plain_name.startswith(plain) if _ADDRESS.fullmatch(plain_name) else plain in plain_name:
            return True
    return False


def token_cells(
    tokens: Sequence[str], places: Sequence[CursorPlace], shown: Sequence[str] = (), tier: int = 0
) -> list[SearchCell]:
    """Tokens in their order: a word is found where it begins, also if it goes on in the next tokens."""
    after = [
        "".join(tokens[at + 1 : at + 1 + MOST_AFTER])[:MOST_AFTER] for at in range(len(tokens))
    ]
    return [
        SearchCell(place, tuple(dict.fromkeys((token, *shown[at : at + 1]))), tier, after[at])
        for at, (token, place) in enumerate(zip(tokens, places, strict=True))
    ]


class Search:
    """A search under way in ``view``; what does not fit leaves the cursor where it was before."""

    def __init__(self, view: Searched, query: str = "") -> None:
        self.view, self.query, self.origin = view, query, view.place
        self.found: list[SearchCell] = []
        self.at = -1

    def typed(self, query: str) -> None:
        """The cursor goes to the first place that fits what is typed so far."""
        self.query = query
        self.found = cells_found(self.view, query, self.origin)
        self.at = first_match(self.found, query, self.origin) if self.found else -1
        self.view.go(self.found[self.at].place if self.found else self.origin)

    def step(self, by: int) -> None:
        """The next place that fits, from where the cursor is now; behind the last the first."""
        here = self.view.place
        self.found = cells_found(self.view, self.query, here)
        places = [cell.place for cell in self.found]
        if not places:
            self.at = -1
            return
        if by > 0:
            later = [at for at, place in enumerate(places) if place > here]
            self.at = later[0] if later else 0
        else:
            earlier = [at for at, place in enumerate(places) if place < here]
            self.at = earlier[-1] if earlier else len(places) - 1
        self.view.go(places[self.at])

    def back(self) -> None:
        """The cursor returns to where it was."""
        self.view.go(self.origin)

    @property
    def said(self) -> str:
        """``2 of 7``, or that nothing fits; empty where nothing is asked."""
        if not self.query:
            return ""
        if not self.found:
            return "nothing found here"
        note = self.found[self.at].note
        return f"{self.at + 1} of {len(self.found)}{f': {note}' if note else ''}"


class Several:
    """Views beside each other, searched as one; a place is the number of the view and the place there."""

    def __init__(self, *views: Searched) -> None:
        self.views, self.now = views, 0

    @property
    def place(self) -> CursorPlace:
        """The view in which something was found last, and where its cursor is."""
        return (self.now, self.views[self.now].place)

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """Those of all of them."""
        return [
            cell._replace(place=(at, cell.place))
            for at, view in enumerate(self.views)
            for cell in view.cells(around[1] if at == around[0] else view.place)
        ]

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """What is behind all of them."""
        return [
            cell._replace(place=(at, cell.place))
            for at, view in enumerate(self.views)
            for cell in view.beyond(query)
        ]

    def go(self, place: CursorPlace) -> None:
        """To a place in one of the views."""
        if place[0] != self.now:
            self.views[self.now].leave()
        self.now = place[0]
        self.views[self.now].go(place[1])

    def leave(self) -> None:
        """The first view has the cursor again."""
        for view in self.views:
            view.leave()
        self.now = 0
