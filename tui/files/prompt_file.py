"""A file with one prompt a line, to be stepped through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interpboard.errors import BadPrompt

LARGEST = 20_000_000  # bytes


@dataclass(frozen=True)
class PromptFile:
    """``at`` is the place of the prompt that was stepped to last, −1 before the first step."""

    name: str
    texts: tuple[str, ...]
    at: int = -1

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
            raw = file.read(LARGEST + 1)  # a device may have no end
        if len(raw) > LARGEST:
            raise BadPrompt(f"{path} has more than {LARGEST // 10**6} MB.", "Split it.")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadPrompt(f"Cannot read {path}: {error.strerror or error}.", "Check it.") from error
    except UnicodeDecodeError:
        raise BadPrompt(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    texts = tuple(line for line in text.replace("\r\n", "\n").split("\n") if line.strip())
    if not texts:
        raise BadPrompt(f"{path} holds no prompt.", "Write one prompt a line.")
    return PromptFile(path.name, texts)
