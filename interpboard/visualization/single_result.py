"""A result that stands alone, outside its document."""

from __future__ import annotations

from interpboard.results import PromptInfo, Result


def prompt_of_result(result: Result) -> PromptInfo:
    """As much of the prompt as a lone result holds: the tokens of an axis over all of them."""
    names = ("token", "query")
    tokens = next((axis.labels for axis in result.axes if axis.name in names), ())
    return PromptInfo("".join(tokens), tokens, ())
