"""Options that belong together, each group declared once: a command is handed a group as one value.

A group is a dataclass whose fields are options. A command under ``option_groups`` names a group as the type
of a parameter; in its place stand the group's options, those of ``LoadOptions`` from their own table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from interpboard import config
from interpboard.cli import flags
from interpboard.cli.compute import ModelChoice
from interpboard.cli.opening import pass_on
from interpboard.cli.options import choose_metric
from interpboard.registry.loading import NOTHING_ASKED, OPTIONS, LoadOptions, Option, load_options

if TYPE_CHECKING:
    from interpboard.results import MetricRequest


@dataclass(frozen=True)
class PageFlags:
    """How a page looks."""

    color: flags.Paint = None
    theme: flags.Background = None
    ascii: flags.AsciiOnly = None

    def settings(self) -> dict[str, object]:
        """What they say, by name of the setting."""
        color, theme = flags.choice_value(self.color), flags.choice_value(self.theme)
        return {"color": color, "theme": theme, "ascii": self.ascii}


@dataclass(frozen=True)
class ModelFlags:
    """Which model, where, and how it is opened."""

    model: flags.ModelName = None
    device: flags.Device = None
    dtype: flags.Dtype = None
    no_special_tokens: flags.Special = None
    load: LoadOptions = NOTHING_ASKED

    def settings(self) -> dict[str, object]:
        """What they say, by name of the setting."""
        special = flags.off(self.no_special_tokens)
        return {
            "model": self.model, "device": self.device, "dtype": self.dtype,
            "special_tokens": special,
        }  # fmt: skip

    def choice(self, settings: config.Settings) -> ModelChoice:
        """The model that is opened; ``settings`` have these flags in them."""
        pass_on(settings)
        return ModelChoice(
            settings.model, settings.device, settings.dtype,
            special_tokens=settings.special_tokens, load=self.load,
        )  # fmt: skip


@dataclass(frozen=True)
class OpenedModelFlags(ModelFlags):
    """The same, and what the model may do and hold when it is opened."""

    trust_remote_code: flags.Trust = False
    allow_pickle: flags.Pickle = False
    ignore_unused_weights: flags.Unused = False
    no_check_weights: flags.Unchecked = False

    def choice(self, settings: config.Settings) -> ModelChoice:
        """The model that is opened; ``settings`` have these flags in them."""
        opened = super().choice(settings)
        return opened._replace(
            trust_remote_code=self.trust_remote_code,
            allow_pickle=self.allow_pickle,
            ignore_unused_weights=self.ignore_unused_weights,
            check_weights=not self.no_check_weights,
        )


@dataclass(frozen=True)
class MetricFlags:
    """What is explained, and where."""

    target: flags.Target = None
    foil: flags.Foil = None
    position: flags.Position = -1
    metric: flags.MetricName = None

    def request(self, settings: config.Settings) -> MetricRequest:
        """The metric asked for; the settings' where none is named. Raises ``BadParameter``."""
        return choose_metric(self.metric, self.target, self.foil, self.position, settings.metric)


@dataclass(frozen=True)
class RowMetricFlags(MetricFlags):
    """The same for rows, which may name tokens of their own."""

    target: flags.RowTarget = None
    foil: flags.RowFoil = None


def settings_with(*groups: ModelFlags | PageFlags) -> config.Settings:
    """The settings, with what the groups say before all else. Raises ``BadConfig``."""
    given = {name: value for group in groups for name, value in group.settings().items()}
    return config.read_settings(given).settings


def option_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with the options of its groups in place of the groups."""
    # Evaluated here, where the names in a command's annotations are known.
    declared = inspect.signature(command, eval_str=True)
    groups = {p.name: p.annotation for p in declared.parameters.values() if _is_group(p.annotation)}

    @wraps(command)
    def called(**given: Any) -> Any:
        values = {name: _group(group, given) for name, group in groups.items()}
        return command(**given, **values)

    options = [
        option
        for parameter in declared.parameters.values()
        for option in (
            _options(groups[parameter.name]) if parameter.name in groups else [parameter]
        )
    ]
    called.__signature__ = declared.replace(parameters=options)  # type: ignore[attr-defined]
    called.__annotations__ = {option.name: option.annotation for option in options}
    return called


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)


def _group(group: type, given: dict[str, Any]) -> Any:
    """The value of a group, its options taken out of ``given``."""
    if group is LoadOptions:
        return load_options({option.name: given.pop(option.name) for option in OPTIONS})
    hints = get_type_hints(group)
    values = {
        name: _group(hint, given) if _is_group(hint) else given.pop(name)
        for name, hint in hints.items()
    }
    return group(**values)


def _options(group: type) -> Iterator[inspect.Parameter]:
    if group is LoadOptions:
        yield from map(_load_option, OPTIONS)
        return
    for name, hint in get_type_hints(group, include_extras=True).items():
        if _is_group(hint):
            yield from _options(hint)
        else:
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=getattr(group, name), annotation=hint
            )


def _load_option(option: Option) -> inspect.Parameter:
    kind: Any = list[str] if option.name == "adapters" else str

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in option.choices if choice.startswith(incomplete)]

    words: dict[str, Any] = {"autocompletion": complete} if option.choices else {}
    shown = typer.Option(option.flag, metavar=option.metavar, help=option.help, **words)
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[kind | None, shown],
    )  # fmt: skip
