"""The reference shows what a caller of an analysis gets: a ``Result``, made by its decorator."""

from __future__ import annotations

from typing import Any

import griffe

_DECORATOR = "analysis"


class AnalysisFunctions(griffe.Extension):
    """Read from the source, a function under ``@analysis(...)`` would be said to return ``Computed``."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        if any(str(own.value).startswith(f"{_DECORATOR}(") for own in func.decorators):
            func.returns = "Result"
