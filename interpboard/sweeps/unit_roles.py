"""Tokens of different prompts, put together by the words or sentences they are in, counted from the first."""

from __future__ import annotations

from interpboard.results import PromptInfo
from interpboard.results.tokens import own_of_template
from interpboard.runs.units import units_of


def roles_by_unit(prompt: PromptInfo, unit: str) -> tuple[str, ...]:
    """``word 1``, ``word 2`` …: which ``unit`` of the text each token is in, counted from the first.

    Tokens without characters of the text, in front of it or behind it, are ``no word``, and so is what a
    chat's template puts around the words of a turn. Raises
    ``BadParameter`` where it is not known which characters the tokens are made of.
    """
    roles, number, template = [], 0, own_of_template(prompt)
    for own in units_of(prompt, unit):
        spans = [prompt.spans[at] for at in own.positions]
        of_text = any(begin < end for begin, end in spans) and not template[own.positions[0]]
        number += of_text
        roles += [f"{unit} {number}" if of_text else f"no {unit}"] * len(own.positions)
    return tuple(roles)
