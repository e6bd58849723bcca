"""What the registry knows of one analysis."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from interpboard.errors import BadParameter
from interpboard.registry.parameter import Parameter
from interpboard.registry.reading import Reading

ScaleKind = Literal["diverging", "probability", "magnitude"]
# How long one waits, the shortest first: some passes of the prompt; gradients of it; a run for each of a
# list; a run for each cell of a grid; gradients along a path, or many methods; a search or a training.
Cost = Literal["passes", "gradients", "runs", "cells", "paths", "search"]
# What the values are of the metrics of whole runs: their difference, or that over ``clean − corrupted``.
OfRuns = Literal["", "difference", "share"]
COSTS: tuple[Cost, ...] = ("passes", "gradients", "runs", "cells", "paths", "search")


_OPTIONS = ("corrupted", "subject", "swap")  # parameters that are options of their own


WRITING_SITES = ("z", "attn_out", "mlp_out")
"""What the parts of a layer write into the stream, and what heads write it from."""


@dataclass(frozen=True)
class Analysis:
    """One analysis. ``value`` says in a line what a value is; ``reading`` what its sides say, None where
    they say nothing (sizes, shares).

    ``in_overview``: run where no analysis is named, given what it requires. ``unsigned``: a parameter and
    those of its values with which a diverging scale has no negative side. ``gaps``: the arrays (``values``,
    names of ``extra``) in which the method leaves entries out, which are NaN; elsewhere NaN is warned of.
    ``cost``: what is asked together runs in the order of ``COSTS``; ``cost_of`` parameters, where it is they
    that decide. ``cells``: what a cell of its own run is called, in the plural, where those that are
    computed are kept when it is stopped; empty: all or nothing.
    ``gives_way``: it can be put off for something quicker and gone on with; with cells it always can.
    ``insists``: why one that takes longer than some passes cannot.
    ``readings``: a parameter, and for some of its values another reading. ``neutrals``: a parameter, and
    for some of its values another neutral value than 0. ``own_measure``: the prompt's metric is not
    looked at. ``own_target``: target, foil and metric are looked up by the analysis itself, among what it
    is given (choices), and not among tokens or labels. ``title_of_labels``, ``value_of_labels`` (by
    problem): in place of title and value where a model gives labels and not tokens; ``title_in_place`` where
    it tells the token at a position (masked models). ``over_rows``: "package.module:name" of what gives it
    for several prompts at once (``runs.over_rows``); empty: each is asked by itself. ``records``: what that
    reads of the clean run beside the stream, so that one pass has it for all analyses; ``records_of``
    parameters, where it is they that decide. ``of_runs``: what
    values are of the metrics of two runs, so that in 16 bits the rounding of these is theirs
    (``runs.clean_rounding``); empty: no such.
    """

    name: str
    title: str
    function: str  # "package.module:name"
    axes: tuple[str, ...]
    value: str
    scale: ScaleKind
    reading: Reading | None = None
    parameters: tuple[Parameter, ...] = ()
    in_overview: bool = False
    unsigned: tuple[str, tuple[str, ...]] | None = None
    gaps: tuple[str, ...] = ()
    readings: tuple[str, dict[str, Reading]] | None = None
    neutrals: tuple[str, dict[str, float]] | None = None
    cost: Cost = "cells"
    cost_of: Callable[[Mapping[str, Any]], Cost] | None = None
    cells: str = ""
    gives_way: bool = False
    insists: str = ""
    own_measure: bool = False
    own_target: bool = False
    title_of_labels: str = ""
    title_in_place: str = ""
    value_of_labels: Mapping[str, str] | None = None
    over_rows: str = ""
    records: tuple[str, ...] = ()
    records_of: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    of_runs: OfRuns = ""

    def scale_with(self, params: Mapping[str, Any]) -> ScaleKind:
        """The scale of a result made with ``params``: ``magnitude`` where nothing can be negative."""
        if self.unsigned is None:
            return self.scale
        name, values = self.unsigned
        return "magnitude" if self._given(name, params) in values else self.scale

    def cost_with(self, params: Mapping[str, Any]) -> Cost:
        """How long one waits for it with ``params``."""
        return self.cost if self.cost_of is None else self.cost_of(params)

    def records_with(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """What it reads of the clean run beside the stream with ``params``."""
        return self.records if self.records_of is None else self.records_of(params)

    def neutral_with(self, params: Mapping[str, Any]) -> float:
        """The value that says "no effect" in a result made with ``params``."""
        if self.neutrals is None:
            return 0.0
        name, values = self.neutrals
        return values.get(self._given(name, params), 0.0)

    def meaning_for(self, metric: str, params: Mapping[str, Any], problem: str = "") -> str:
        """What a value is, and what larger and smaller ones say of ``metric``, with ``params``.
        ``problem``: of a model with labels; ``in place`` of a masked one."""
        sides = self.sides_for(metric, params)
        value = (
            self.value_of_labels.get(problem, self.value) if self.value_of_labels else self.value
        )
        return f"{value}; {sides}" if sides else value

    def title_for(self, problem: str, in_place: bool = False) -> str:
        """The title, of a model with labels that of theirs, of a masked one its own."""
        if in_place and self.title_in_place:
            return self.title_in_place
        return self.title_of_labels if problem and self.title_of_labels else self.title

    def sides_for(self, metric: str, params: Mapping[str, Any]) -> str:
        """The second half of that: a clause for either side; empty where nothing is said."""
        if self.scale_with(params) == "magnitude":
            return "a size, without sign"
        reading = self._reading_with(params)
        return reading.sentence(metric, self.neutral_with(params)) if reading else ""

    def _reading_with(self, params: Mapping[str, Any]) -> Reading | None:
        if self.readings is None:
            return self.reading
        name, others = self.readings
        return others.get(self._given(name, params), self.reading)

    def _given(self, name: str, params: Mapping[str, Any]) -> str:
        """The value of a parameter, its default where it was not given. In a file it may be anything."""
        usual = next(
            (parameter.default for parameter in self.parameters if parameter.name == name), None
        )
        return str(params.get(name, usual))

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
                f"Give it, e.g. {self._written(missing[0])}{self._or(known[missing[0]].instead)}.",
            )
        return {
            name: parameter.parse(given[name]) if name in given else parameter.default
            for name, parameter in known.items()
        }

    def _written(self, name: str) -> str:
        """How the parameter is given on a command line."""
        if name == "choices":
            return "--choice '...' --choice '...'"
        own = name in _OPTIONS
        return f"--{name} '...'" if own else f"--param {self.name}.{name}='...'"

    def _or(self, instead: str) -> str:
        return f", or {self._written(instead)}" if instead else ""

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters that must be given, or what may stand ``instead`` of them."""
        return tuple(parameter.name for parameter in self.parameters if parameter.required)
