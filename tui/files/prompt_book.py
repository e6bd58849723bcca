"""Prompts that were run, and prompts with names: kept in the state folder, newest last.

One file, one JSON list a line: ``["ran", text]``, ``["named", name, text]``, ``["forgot", text]`` or
``["unnamed", name]``; of a chat, which is JSON itself, ``["chat", json]``, ``["named_chat", name, json]``.
Lines are only ever added, so that two apps can write at once and a crash costs the last line at most; a
line that cannot be read is passed over. A file that has grown long is written anew when it is opened,
whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from interpboard.files import atomic

KEEP = 1000  # prompts that were run
LONG = 3 * KEEP  # lines of the file


@dataclass
class PromptBook:
    """``ran`` has the newest last, each once; ``named`` maps names to texts.

    What is told holds at once; ``open`` and ``save`` touch the disk: they block and raise ``OSError``.
    """

    ran: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    chats: set[str] = field(default_factory=set)  # those of them that are chats
    _unsaved: list[tuple[str, ...]] = field(default_factory=list)

    def open(self, path: Path) -> None:
        """Read the file, behind what has been told already."""
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        self.ran, self.named, self.chats = [], {}, set()
        for entry in (*map(_entry, lines), *self._unsaved):
            self._obey(entry)
        if sum(bool(line) for line in lines) > LONG:
            self._rewrite(path)

    def save(self, path: Path) -> None:
        """Add what is new to the file; what cannot be written is tried again the next time."""
        entries = tuple(self._unsaved)
        # A line of its own in any case: a full disk may have left half of one.
        written = "".join(f"\n{json.dumps(entry)}" for entry in entries)
        with open(path, "a", encoding="ascii", opener=atomic.open_private) as file:
            file.write(f"{written}\n" if written else "")
        del self._unsaved[: len(entries)]

    def add(self, text: str, *, chat: bool = False) -> None:
        """``text`` was run."""
        if text and (self.ran[-1:] != [text] or chat != (text in self.chats)):
            self._told("chat" if chat else "ran", text)

    def name(self, name: str, text: str, *, chat: bool = False) -> None:
        """Call ``text`` ``name``; what had the name before loses it."""
        self._told("named_chat" if chat else "named", name, text)

    def forget(self, text: str) -> None:
        """Take ``text`` out of those that were run."""
        self._told("forgot", text)

    def unname(self, name: str) -> None:
        """Give up a name."""
        self._told("unnamed", name)

    def _told(self, *entry: str) -> None:
        self._obey(entry)
        self._unsaved.append(entry)

    def _obey(self, entry: tuple[str, ...]) -> None:
        match entry:
            case ("ran" | "chat" as kind, text):
                self.ran = [*(one for one in self.ran if one != text), text][-KEEP:]
                self._is(text, kind == "chat")
            case ("named" | "named_chat" as kind, name, text):
                self.named[name] = text
                self._is(text, kind == "named_chat")
            case ("forgot", text):
                self.ran = [one for one in self.ran if one != text]
            case ("unnamed", name):
                self.named.pop(name, None)

    def _is(self, text: str, chat: bool) -> None:
        if chat:
            self.chats.add(text)
        else:
            self.chats.discard(text)

    def _rewrite(self, path: Path) -> None:
        chats = self.chats
        named = [
            ("named_chat" if text in chats else "named", name, text)
            for name, text in self.named.items()
        ]
        entries = [*(("chat" if text in chats else "ran", text) for text in self.ran), *named]
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        atomic.write_text(path, lines, mode=atomic.PRIVATE)


def _entry(line: str) -> tuple[str, ...]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    good = isinstance(entry, list) and all(isinstance(part, str) for part in entry)
    return tuple(entry) if good else ()
