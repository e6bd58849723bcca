"""The registry: every analysis by name, with its function, parameters and the meaning of its values.

The command line, the engine and the app all read this table and nothing else, so an analysis that is
entered here is everywhere. Functions are named, not imported: reading the table needs no torch. The table
itself is made when it is first asked for: the app's first screen needs names from this package, and no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpboard.registry.spec import Analysis
    from interpboard.registry.table import ANALYSES, Overview, analyses_for, find_analysis, in_order

__all__ = ["ANALYSES", "Analysis", "Overview", "analyses_for", "find_analysis", "in_order"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'interpboard.registry' has no attribute {name!r}")
    from interpboard.registry import table

    return getattr(table, name)


def __dir__() -> list[str]:
    return sorted(__all__)
