"""The registry of analyses for readers of a terminal and for programs."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from interpboard.registry import ANALYSES, Analysis
from interpboard.registry.metric_names import METRICS
from interpboard.registry.parameter import Parameter

_WIDTH = 96
KIND_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    object: "text",
}


def registry_text() -> str:
    """Every analysis: its title, axes, meaning and parameters."""
    parts = []
    for analysis in ANALYSES.values():
        lines = [f"{analysis.name}  ({analysis.title}; {' x '.join(analysis.axes)})"]
        for sentence in (analysis.value, *_sides(analysis)):
            lines += textwrap.wrap(sentence, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        for parameter in analysis.parameters:
            given = (
                f"--{parameter.name} ..."
                if parameter.required
                else f"--param {parameter.name}={_default(parameter)}"
            )
            lines += textwrap.wrap(
                f"{given}  {_kind(parameter)}: {parameter.help}",
                _WIDTH,
                initial_indent="    ",
                subsequent_indent="        ",
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def registry_json() -> str:
    """The same as JSON."""
    listed = [
        {
            "name": analysis.name,
            "title": analysis.title,
            "axes": list(analysis.axes),
            "meaning": analysis.value,
            "sides": {metric: analysis.sides_for(metric, {}) for metric in METRICS},
            "scale": analysis.scale,
            "parameters": [_plain(parameter) for parameter in analysis.parameters],
        }
        for analysis in ANALYSES.values()
    ]
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


def _sides(analysis: Analysis) -> list[str]:
    """What the sides of the neutral value say, with default parameters: a line for metrics of one kind."""
    sides = {metric: analysis.sides_for(metric, {}) for metric in METRICS}
    if len(set(sides.values())) == 1:
        return [text for text in {*sides.values()} if text]
    return [
        f"{', '.join(metric for metric in METRICS if sides[metric] == text)}: {text}"
        for text in dict.fromkeys(sides.values())
        if text
    ]


def _plain(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.kind.__name__,
        "many": parameter.many,
        "required": parameter.required,
        "default": parameter.default,
        "choices": list(parameter.choices),
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "help": parameter.help,
    }


def _default(parameter: Parameter) -> str:
    return "all" if parameter.many and parameter.default is None else str(parameter.default)


def _kind(parameter: Parameter) -> str:
    if parameter.choices:
        return " or ".join(parameter.choices)
    kind = KIND_WORDS[parameter.kind]
    least = "" if parameter.minimum is None else f" from {parameter.minimum:g}"
    return f"{kind}s with commas{least}" if parameter.many else f"{kind}{least}"
