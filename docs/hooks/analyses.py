"""The registered analyses: overview, parameters and the functions behind them."""

from __future__ import annotations

from docs.hooks.tables import code, table
from interpboard.registry import ANALYSES, Analysis
from interpboard.registry.parameter import Parameter


def overview() -> str:
    """A row for every analysis: axes, what a value means, and where its section is."""
    heads = ("analysis", "values over", "what a value is")
    return table(heads, [_row(analysis) for analysis in ANALYSES.values()])


def _row(analysis: Analysis) -> tuple[str, str, str]:
    axes = " × ".join(axis.replace("_", " ") for axis in analysis.axes)
    return f"[{code(analysis.name)}](#{analysis.name})", axes, _meaning(analysis)


def _meaning(analysis: Analysis) -> str:
    """What a value is, and what its sides say: of the usual metrics, and where it differs of the others."""
    usual = analysis.sides_for("logit", {})
    others = {metric: analysis.sides_for(metric, {}) for metric in ("rank", "kl")}
    parts = [analysis.value, *([usual] if usual else [])]
    parts += [f"of {code(metric)}, {said}" for metric, said in others.items() if said != usual]
    return "; ".join(parts)


def functions() -> str:
    """For every analysis its parameters and the documentation of its function."""
    return "\n\n".join(_function(analysis) for analysis in ANALYSES.values())


def _function(analysis: Analysis) -> str:
    module, _, name = analysis.function.partition(":")
    rows = [_parameter(parameter) for parameter in analysis.parameters]
    heads = ("parameter", "default", "what it is")
    parameters = table(heads, rows) if rows else "It takes no parameters of its own."
    return (
        f"## {analysis.title} {{ #{analysis.name} }}\n\n{parameters}\n\n"
        f"[Formula, sign, source and pitfalls](../methods.md#{analysis.name})\n\n"
        f"::: {module}.{name}\n    options:\n      heading_level: 3"
    )


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    if parameter.required:
        default = "must be given"
    elif parameter.many and parameter.default is None:
        default = "all"
    else:
        default = code(str(parameter.default)) if str(parameter.default) else "empty"
    choices = ", ".join(code(choice) for choice in parameter.choices)
    about = parameter.help + (f" ({choices})" if choices else "")
    return code(parameter.name), default, about
