"""``interpboard config show`` and ``interpboard config path``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Annotated, Any, NamedTuple

import typer

from interpboard import config
from interpboard.cli.options import ListFormat
from interpboard.cli.streams import write_out

config_app = typer.Typer(
    help="The settings: their values and where each comes from.", rich_markup_mode=None
)


class SettingRow(NamedTuple):
    """One line of ``config show``."""

    name: str
    value: Any
    origin: str
    help: str


@config_app.command("show")
def show_settings(
    form: Annotated[ListFormat, typer.Option("--format", "-f")] = ListFormat.text,
) -> None:
    """Print each setting and each key binding with its origin."""
    rows = list(_rows(config.read_settings()))
    if form is ListFormat.json:
        table = {
            row.name: {"value": row.value, "origin": row.origin, "help": row.help} for row in rows
        }
        write_out(json.dumps(table, indent=2, ensure_ascii=False) + "\n")
        return
    shown = [(_assigned(row), row) for row in rows]
    widest = min(40, max(len(left) for left, _ in shown))
    lines = [f"{left:<{widest}}  # {row.origin}: {row.help}" for left, row in shown]
    write_out("\n".join(lines) + "\n")


@config_app.command("path")
def path() -> None:
    """Print where the configuration file is, or would be."""
    write_out(f"{config.config_file()}\n")


def _rows(found: config.Configuration) -> Iterator[SettingRow]:
    from tui import catalogue

    for setting in fields(config.Settings):
        if setting.name != "keys":
            value = getattr(found.settings, setting.name)
            yield SettingRow(
                setting.name, value, found.origins[setting.name], setting.metadata["help"]
            )
    for command in catalogue.rebound_table(found.settings.keys):
        origin = found.key_origins.get(command.id, "default")
        yield SettingRow(f"keys.{command.id}", command.keys, origin, command.help)


def _assigned(row: SettingRow) -> str:
    """What the file would refuse is a comment: a command without a key, and one whose key is fixed."""
    from tui.commands.keymap import FIXED

    if row.name.startswith("keys.") and not row.value:
        return f"# {row.name} has no key"
    fixed = row.name.removeprefix("keys.") in FIXED
    return f"{'# ' if fixed else ''}{row.name} = {_toml(row.value)}"


def _toml(value: Any) -> str:
    """The value as a TOML file has it. JSON's strings, lists and truths are TOML's as well."""
    assert not isinstance(value, Mapping)
    return json.dumps(value, ensure_ascii=False)
