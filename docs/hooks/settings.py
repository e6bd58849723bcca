"""The settings, from the one table that also checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from docs.hooks.tables import code, table
from interpboard.config.settings import ENVIRONMENT_PREFIX, Settings


def listed() -> str:
    """Name, default, variable, allowed values and meaning of each setting."""
    heads = ("setting", "default", "variable", "what it is")
    return table(heads, [_row(setting.name, setting.metadata) for setting in fields(Settings)])


def _row(name: str, about: Mapping[str, Any]) -> tuple[str, str, str, str]:
    choices = about["choices"]
    allowed = f" ({', '.join(code(choice) for choice in choices)})" if choices else ""
    variable = code(ENVIRONMENT_PREFIX + name.upper())
    return code(name), _default(about["default"]), variable, about["help"] + allowed


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, str | int):
        return code(str(value)) if value != "" else "empty"
    return "none"
