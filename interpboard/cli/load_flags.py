"""The options that say how a model is opened, given to a command from their one table.

A command that is ``opening_models`` takes them without naming each, and is handed them as one value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from interpboard.registry.loading import OPTIONS, Option, load_options


def opening_models(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with every option of ``LoadOptions``; it is handed them as ``load``."""

    @wraps(command)
    def called(**given: Any) -> Any:
        chosen = {option.name: given.pop(option.name) for option in OPTIONS}
        return command(**given, load=load_options(chosen))

    # Evaluated here, where the names in a command's annotations are known.
    declared = inspect.signature(command, eval_str=True)
    kept = [p for p in declared.parameters.values() if p.name != "load"]
    last = [p.name for p in kept].index("debug")
    added = [_parameter(option) for option in OPTIONS]
    signature = declared.replace(parameters=[*kept[:last], *added, *kept[last:]])
    called.__signature__ = signature  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return called


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any = list[str] if option.name == "adapters" else str

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in option.choices if choice.startswith(incomplete)]

    words: dict[str, Any] = {"autocompletion": complete} if option.choices else {}
    shown = typer.Option(option.flag, metavar=option.metavar, help=option.help, **words)
    return inspect.Parameter(
        option.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None,
        annotation=Annotated[kind | None, shown],
    )  # fmt: skip
