"""Source and prefix of an encoder–decoder's prompt as one text, ``source ||| prefix``.

Three bars between them, as files of sentence pairs have them. A prefix may be left out: the model then begins
its answer. So everything that takes a text, a corrupted prompt or a line of a dataset say, takes both.
"""

from __future__ import annotations

from interpboard.errors import BadPrompt

BARS = "|||"
SEPARATOR = f" {BARS} "


class SourceAndPrefix(str):
    """Both as one text, known to be two: a model that reads one text is not given it."""


def two_texts(text: str) -> tuple[str, str, int]:
    """Source, prefix, and at which character of ``text`` the prefix begins. Raises ``BadPrompt``.

    A space on either side of the bars belongs to them.
    """
    count = text.count(BARS)
    if count > 1 or f"{BARS}|" in text:
        raise BadPrompt(
            f"The prompt has {BARS} more than once: source and prefix of the target stand on its two sides.",
            "Leave one.",
        )
    source, bars, prefix = text.partition(BARS)
    if bars and source.endswith(" "):
        source = source[:-1]
    begin = len(text) - len(prefix) + prefix.startswith(" ") if bars else len(text)
    return source, text[begin:], begin


def one_text(source: str, prefix: str) -> str:
    """Both as one text; a source that has bars already is refused (``BadPrompt``)."""
    if BARS in source or BARS in prefix:
        raise BadPrompt(
            f"Neither the source nor the prefix of the target may hold {BARS}.", "Give one of each."
        )
    return f"{source}{SEPARATOR}{prefix}" if prefix else source
