"""What the registry knows of one analysis."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from interpboard.errors import BadParameter
from interpboard.parameters import Parameter

ScaleKind = Literal["diverging", "probability", "magnitude"]


@dataclass(frozen=True)
class Analysis:
    """One analysis. ``meaning`` says in a line what a value is and what its sign says.

    ``in_overview``: run where no analysis is named, given what it requires. ``unsigned``: a parameter and
    those of its values with which a diverging scale has no negative side. ``gaps``: the arrays (``values``,
    names of ``extra``) in which the method leaves entries out, which are NaN; elsewhere NaN is warned of.
    """

    name: str
    title: str
    function: str  # "package.module:name"
    axes: tuple[str, ...]
    meaning: str
    scale: ScaleKind
    parameters: tuple[Parameter, ...] = ()
    in_overview: bool = False
    unsigned: tuple[str, tuple[str, ...]] | None = None
    gaps: tuple[str, ...] = ()

    def scale_with(self, params: Mapping[str, Any]) -> ScaleKind:
        """The scale of a result made with ``params``: ``magnitude`` where nothing can be negative."""
        if self.unsigned is None:
            return self.scale
        name, values = self.unsigned
        usual = next((own.default for own in self.parameters if own.name == name), None)
        return "magnitude" if params.get(name, usual) in values else self.scale

    def load(self) -> Callable[..., Any]:
        """Import the function. This is where torch comes in."""
        module, _, name = self.function.partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters: defaults, with ``given`` checked and put in their place."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise BadParameter(
                    f"{self.name} has no parameter {name!r}.",
                    f"It has: {', '.join(known)}." if known else "It takes none.",
                )
        missing = [
            name for name in self.required if name not in given and known[name].instead not in given
        ]
        if missing:
            raise BadParameter(
                f"{self.name} needs {' and '.join(missing)}: {known[missing[0]].help}.",
                f"Give it, e.g. --{missing[0]} '...'{_or(known[missing[0]].instead)}.",
            )
        return {
            name: parameter.parse(given[name]) if name in given else parameter.default
            for name, parameter in known.items()
        }

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters that must be given, or what may stand ``instead`` of them."""
        return tuple(parameter.name for parameter in self.parameters if parameter.required)


def _or(instead: str) -> str:
    return f", or --{instead} '...'" if instead else ""
