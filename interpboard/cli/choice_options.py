"""Choices from the command line, for a model of multiple choice: a file, or one an option."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from interpboard.errors import BadParameter


@dataclass(frozen=True)
class ChoiceFlags:
    """The second texts that are compared."""

    choice: Annotated[
        list[str] | None,
        typer.Option(
            help="A choice that a model of multiple choice compares with others; repeat it. Target and foil "
            "are then choices, by text or as #1.",
        ),
    ] = None
    choices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The choices, one a line of a file.")
    ] = None

    def pairs(self) -> tuple[str, ...]:
        """The choices as a parameter of the analyses that compare them; none: none were given. Raises
        ``BadParameter``."""
        if self.choices is not None and self.choice:
            raise BadParameter("--choice and --choices both give choices.", "Use one.")
        if self.choices is not None:
            return (f"choices={_read(self.choices)}",)
        if not self.choice:
            return ()
        if any(len(text.splitlines()) != 1 or not text.strip() for text in self.choice):
            raise BadParameter("A choice is a text of one line.", "Write it on one.")
        return ("choices=" + "\n".join(self.choice),)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadParameter(f"Cannot read {file}: {error.strerror}.", "Check the name.") from error
    except UnicodeDecodeError:
        raise BadParameter(f"{file} is not UTF-8 text.", "Check its encoding.") from None
