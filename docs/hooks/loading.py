"""How a model can be opened, from the one table that the command line is made of."""

from __future__ import annotations

from docs.hooks.tables import code, table
from interpboard.models.named_parts import TEMPLATE
from interpboard.registry.loading import LIBRARIES, OPTIONS, QUANTIZE


def options() -> str:
    """Each option of the command line, its argument of ``open_model``, and what it is."""
    heads = ("option", "in Python", "what it is")
    rows = [(code(f"{o.flag} {o.metavar}"), code(f"{o.name}="), o.help) for o in OPTIONS]
    return table(heads, rows)


def formats() -> str:
    """What ``--quantize`` packs weights into."""
    return table(("format", "what it is"), [(code(name), what) for name, what in QUANTIZE.items()])


def libraries() -> str:
    """What some models need, with the line that installs it."""
    heads = ("what is opened", "needs", "installed by", "on a CPU its weights are")
    rows = [
        (each.opens, ", ".join(map(code, each.packages)), code(each.pip), each.on_cpu)
        for each in LIBRARIES.values()
    ]
    return table(heads, rows)


def parts() -> str:
    """The template of a file for ``--parts``."""
    return f"```toml\n{TEMPLATE}```"
