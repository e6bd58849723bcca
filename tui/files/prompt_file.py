"""A file with one prompt a line, to be stepped through, or looked at as a table.

A line is a prompt. What stands behind an arrow is as in the file of a circuit's examples,
``clean => corrupted | target | foil``: the clean prompt is the line's, and the target its right answer. JSON,
``{"clean": "…", "target": " Paris"}``, says the same as it stands. Lines that begin with ``# `` are comments.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from interpboard.errors import BadPrompt

_LARGEST = 20_000_000  # bytes
_COMMENT = re.compile(r"#(?:\s|$)")
_ARROW = re.compile(r"(?<!\\)=>")
_BAR = re.compile(r"(?:^| )\|(?= |$)")
_BY_ID = re.compile(r"#[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class PromptFile:
    """``at`` is the place of the prompt that was stepped to last, −1 before the first step."""

    name: str
    texts: tuple[str, ...]
    at: int = -1
    targets: tuple[str | None, ...] = ()  # as many as texts, or none where no line names one

    def target(self, at: int) -> str | None:
        """The target that the line of prompt ``at`` names."""
        return self.targets[at] if at < len(self.targets) else None

    def step(self, by: int, text: str) -> int:
        """Where a step leads from ``text``; from another text than the last one: there again."""
        if not 0 <= self.at < len(self.texts):
            return 0 if by > 0 else len(self.texts) - 1
        if self.texts[self.at] != text:
            return self.at
        return (self.at + by) % len(self.texts)


def read_prompt_file(path: Path) -> PromptFile:
    """The prompts of ``path``; empty lines are none. Raises ``BadPrompt``."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)  # a device may have no end
        if len(raw) > _LARGEST:
            raise BadPrompt(f"{path} has more than {_LARGEST // 10**6} MB.", "Split it.")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadPrompt(f"Cannot read {path}: {error.strerror or error}.", "Check it.") from error
    except UnicodeDecodeError:
        raise BadPrompt(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    read = [_read_line(line) for line in lines if not _COMMENT.match(line)]
    if not read:
        raise BadPrompt(f"{path} holds no prompt.", "Write one prompt a line.")
    targets = tuple(target for _, target in read)
    return PromptFile(
        path.name, tuple(prompt for prompt, _ in read), targets=targets if any(targets) else ()
    )


def _read_line(line: str) -> tuple[str, str | None]:
    """The prompt of a line, and its target where it names one."""
    found = _json(line)
    if found is not None:
        return found
    line = line.removeprefix("\\") if line.startswith("\\#") else line  # no comment: a prompt
    if _ARROW.search(line) is None:
        return line.replace("\\=>", "=>"), None
    prompt, after = _ARROW.split(line, maxsplit=1)
    parts = [part.strip() for part in _BAR.split(after)]
    target = parts[1].partition("/")[0].strip() if len(parts) > 1 else ""
    return prompt.strip().replace("\\=>", "=>"), _answer(target) if target else None


def _json(line: str) -> tuple[str, str | None] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("clean"), str):
        return None
    target = found.get("target")
    first = target[0] if isinstance(target, list) and target else target
    return found["clean"], first if isinstance(first, str) else None


def _answer(word: str) -> str:
    """A target as the line names it: behind a space, in quotes as it stands, or ``#161`` by its id."""
    if _BY_ID.fullmatch(word):
        return word
    quoted = len(word) > 2 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else " " + word
