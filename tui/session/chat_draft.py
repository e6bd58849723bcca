"""A chat as it is written in the app: turns that are added, moved and taken away. JSON, and no engine.

The JSON is what ``interpboard.results.chats`` reads and ``--chat`` takes. Lines of the first screen name a
chat, so that nothing here imports numpy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

ROLES = ("system", "user", "assistant")
_NAMED = 3  # roles that are named in front of the last turn; more are counted


class DraftTurn(NamedTuple):
    """Who speaks, and what."""

    role: str = "user"
    content: str = ""


@dataclass(frozen=True)
class Draft:
    """``goes_on``: the last turn is the beginning of the answer. ``tools``, ``template``: of a file."""

    turns: tuple[DraftTurn, ...] = (DraftTurn(),)
    goes_on: bool = False
    tools: tuple[Any, ...] = ()
    template: str = ""

    @classmethod
    def of(cls, text: str) -> Draft:
        """The chat that ``text`` is the JSON of; a chat without turns has one to write."""
        whole = _whole(text)
        turns = tuple(DraftTurn(role, content) for role, content in turns_of(text))
        goes_on = whole.get("continue_final_message") is True
        tools, template = whole.get("tools"), whole.get("chat_template")
        return cls(
            turns or cls.turns,
            goes_on,
            tuple(tools) if isinstance(tools, list) else (),
            template if isinstance(template, str) else "",
        )

    @property
    def json(self) -> str:
        """The chat as ``--chat`` takes it."""
        messages = [{"role": turn.role, "content": turn.content} for turn in self.turns]
        more = {
            "continue_final_message": self.continues,
            "tools": list(self.tools),
            "chat_template": self.template,
        }
        said = {name: value for name, value in more.items() if value}
        return json.dumps(
            {"messages": messages, **said} if said else messages,
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @property
    def continues(self) -> bool:
        """Does the answer go on from the last turn? Only the assistant's can be gone on with."""
        return self.goes_on and self.turns[-1].role == "assistant"

    def continued(self, goes_on: bool) -> Draft:
        """Is the assistant's last turn the beginning of the answer?"""
        return replace(self, goes_on=goes_on)

    def write(self, at: int, content: str) -> Draft:
        """The turn ``at`` says ``content``."""
        return self._put(at, self.turns[at]._replace(content=content))

    def turn_role(self, at: int) -> Draft:
        """The next role for the turn ``at``; one that a file brought comes back only from the file."""
        role = self.turns[at].role
        following = ROLES[(ROLES.index(role) + 1) % len(ROLES)] if role in ROLES else ROLES[0]
        return self._put(at, self.turns[at]._replace(role=following))

    def add(self, at: int) -> Draft:
        """A turn behind the turn ``at``: of the user, or of the assistant where the user speaks before."""
        role = "assistant" if self.turns[at].role == "user" else "user"
        return self._with(*self.turns[: at + 1], DraftTurn(role), *self.turns[at + 1 :])

    def remove(self, at: int) -> Draft:
        """Without the turn ``at``; the last one that is left becomes empty."""
        return self._with(*(self.turns[:at] + self.turns[at + 1 :] or (DraftTurn(),)))

    def move(self, at: int, by: int) -> Draft:
        """The turn ``at`` changes its place with the one before or behind it."""
        to = at + by
        if not 0 <= to < len(self.turns):
            return self
        turns = list(self.turns)
        turns[at], turns[to] = turns[to], turns[at]
        return self._with(*turns)

    def _put(self, at: int, turn: DraftTurn) -> Draft:
        return self._with(*self.turns[:at], turn, *self.turns[at + 1 :])

    def _with(self, *turns: DraftTurn) -> Draft:
        return replace(self, turns=turns)


def turns_of(text: str) -> list[tuple[str, str]]:
    """Role and content of each turn of the JSON of a chat; nothing where it is none."""
    messages = _whole(text).get("messages")
    if not isinstance(messages, list):
        return []
    found = [
        (own.get("role"), own.get("content")) if isinstance(own, dict) else (None, None)
        for own in messages
    ]
    whole = [(r, c) for r, c in found if isinstance(r, str) and isinstance(c, str)]
    return whole if len(whole) == len(found) else []


def chat_line(text: str) -> str:
    """``system, user: Why is it blue?``: the last turn, and who spoke before."""
    turns = turns_of(text)
    if not turns:
        return text
    before = [role for role, _ in turns[:-1]]
    named = ", ".join(before) if len(before) <= _NAMED else f"{len(before)} turns"
    role, content = turns[-1]
    return f"{named}{', ' if named else ''}{role}: {content}"


def last_words(turns: Sequence[tuple[str, str]]) -> str:
    """What the user said last: what a plain text begins with."""
    return next((content for role, content in reversed(turns) if role == "user"), "")


def _whole(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    whole = {"messages": found} if isinstance(found, list) else found
    return whole if isinstance(whole, dict) else {}
