"""The options of the command line, from the help that it prints itself."""

from __future__ import annotations

from typer.testing import CliRunner

COMMANDS = (
    (),
    ("analyze",),
    ("report",),
    ("compare",),
    ("what-if",),
    ("sessions",),
    ("sessions", "name"),
    ("sessions", "delete"),
    ("tune-lens",),
    ("max-activating",),
    ("examples",),
    ("list",),
    ("config", "show"),
)


def usage() -> str:
    """What ``--help`` prints, for the program and each command."""
    from interpboard.cli.commands import app

    parts = []
    for command in COMMANDS:
        done = CliRunner().invoke(
            app,
            [*command, "--help"],
            env={"COLUMNS": "88", "NO_COLOR": "1"},
            prog_name="interpboard",
        )
        if done.exit_code:
            raise RuntimeError(f"interpboard {' '.join(command)} --help: {done.output}")
        name = " ".join(("interpboard", *command))
        parts.append(f"### `{name}`\n\n```text\n{done.stdout.strip()}\n```")
    return "\n\n".join(parts)
