"""Lines of text that hold prompts with something between them: arrows, bars, or JSON.

``\\=>`` is an arrow that belongs to a prompt, `` \\| `` such a bar. A line that is a JSON object with the
fields asked for says everything as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from interpboard.errors import BadParameter
from interpboard.runs.token_texts import shortened

ARROW = re.compile(r"(?<!\\)=>")


def lines_of(text: str) -> list[str]:
    """The lines of ``text``. Other characters that break lines in a text, U+2028 say, are its own."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")


def unescaped(text: str) -> str:
    """``text`` with the arrows and bars that belong to it."""
    return f" {text} ".replace("\\=>", "=>").replace(" \\| ", " | ")[1:-1]


def json_line(line: str, fields: Sequence[str]) -> dict[str, Any] | None:
    """The fields of a line of JSON; None for any other line. Raises ``BadParameter`` for a damaged one."""
    begins = re.match(rf'\s*\{{\s*"(?:{"|".join(fields)})"\s*:', line)
    try:
        found = json.loads(line) if line.lstrip().startswith("{") else None
    except (ValueError, RecursionError) as error:
        if begins is None:
            return None
        said = str(error).split("\n")[0]
        raise BadParameter(f"This line is no JSON ({said}): {shortened(line)!r}.") from None
    if not isinstance(found, dict) or not set(fields) & set(found):
        return None
    unknown = [name for name in found if name not in fields]
    if unknown:
        raise BadParameter(
            f"A line has the fields {', '.join(fields)}, not {shortened(unknown[0])}."
        )
    return found
