"""The examples of one neuron as text, Markdown or JSON: what ``interpboard examples`` writes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from interpboard.display import visible

if TYPE_CHECKING:  # it needs numpy, which --help does not
    from interpboard.results.examples import NeuronExample, NeuronExamples


class Form(StrEnum):
    """The views of a neuron's examples."""

    text = "text"
    md = "md"
    json = "json"


def examples_as(found: NeuronExamples, form: Form) -> str:
    """The examples of one neuron as text, Markdown or JSON."""
    if form is Form.json:
        import msgspec  # `config show` and --help do without it

        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    name = f"neuron {found.layer}.{found.neuron} of {visible(found.model)}"
    where = f"{found.tokens} tokens of {visible(found.corpus)}"
    so_far = "" if found.finished else ", not yet all of it"
    heading = f"{name}: above 0 at {found.positive:.2%} of {where}{so_far}"
    if form is Form.md:
        rows = [
            f"| {e.activation:.4g} | {_escaped(visible(e.file))}:{e.position} | {_escaped(_in_context(e))} |"
            for e in found.examples
        ]
        head = ["| activation | file:token | text |", "| ---: | --- | --- |"]
        return "\n".join([_escaped(heading), "", *head, *rows]) + "\n"
    lines = [
        f"{e.activation:>10.4g}  {visible(e.file)}:{e.position}  {_in_context(e)}"
        for e in found.examples
    ]
    return "\n".join([heading, *lines]) + "\n"


def _in_context(example: NeuronExample) -> str:
    """The text around the peak, which stands in [[ ]]."""
    words = [visible(token) for token in example.tokens]
    words[example.peak] = f"[[{words[example.peak]}]]"
    return "".join(words)


def _escaped(text: str) -> str:
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, "\\" + sign)
    return text
