"""A file with one prompt a line, to be stepped through, or looked at as a table.

Its lines are those of a dataset: the clean prompt is the line's, and the first target its right answer. A
line that cannot be used is there with its reason. A prompt alone in its line keeps the spaces around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interpboard.datasets.dataset_lines import DatasetLine, dataset_lines, dataset_text
from interpboard.errors import BadParameter, BadPrompt


@dataclass(frozen=True)
class PromptFile:
    """``at`` is the place of the prompt that was stepped to last, −1 before the first step."""

    name: str
    texts: tuple[str, ...]
    at: int = -1
    targets: tuple[str | None, ...] = ()  # as many as texts, or none where no line names one
    problems: tuple[str, ...] = ()  # as many as texts, or none where every line can be used

    def target(self, at: int) -> str | None:
        """The target that the line of prompt ``at`` names."""
        return self.targets[at] if at < len(self.targets) else None

    def problem(self, at: int) -> str:
        """Why the line of prompt ``at`` cannot be used, or nothing; its text is then the line."""
        return self.problems[at] if at < len(self.problems) else ""

    @property
    def usable(self) -> tuple[int, ...]:
        """The places of the prompts that can be used."""
        return tuple(at for at in range(len(self.texts)) if not self.problem(at))

    def step(self, by: int, text: str) -> int | None:
        """Where a step leads from ``text``; from another text than the last one: there again.

        Lines that cannot be used are passed by; None where no line can be.
        """
        usable = self.usable
        if not usable:
            return None
        if self.at not in usable:
            return usable[0 if by > 0 else -1]
        if self.texts[self.at] != text:
            return self.at
        return usable[(usable.index(self.at) + by) % len(usable)]


def read_prompt_file(path: Path) -> PromptFile:
    """The prompts of ``path``. Raises ``BadPrompt`` for a file that cannot be read or holds none."""
    lines = _lines(path)
    targets = tuple(line.target[0] if line.target else None for line in lines)
    problems = tuple(_problem(line) for line in lines)
    return PromptFile(
        path.name,
        tuple(_prompt(line) for line in lines),
        targets=targets if any(targets) else (),
        problems=problems if any(problems) else (),
    )


def check_dataset(path: Path) -> None:
    """Raise ``BadPrompt`` where ``path`` holds no dataset, or a line of it cannot be used."""
    for line in _lines(path):
        try:
            line.usable()
        except BadParameter as error:
            raise BadPrompt(error.message, error.remedy) from None


def _lines(path: Path) -> list[DatasetLine]:
    try:
        lines = dataset_lines(dataset_text(path), path.name)
    except BadParameter as error:
        raise BadPrompt(error.message, error.remedy) from None
    if not lines:
        raise BadPrompt(f"{path} holds no prompt.", "Write one prompt a line.")
    return lines


def _prompt(line: DatasetLine) -> str:
    if line.problem:
        return line.text
    return line.clean if line.separated else line.written[0]


def _problem(line: DatasetLine) -> str:
    return str(line.refusal(line.problem, line.remedy)) if line.problem else ""
