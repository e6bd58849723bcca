"""The libraries that some models need: asked for before anything is loaded, and named with the line that
installs them."""

from __future__ import annotations

from importlib.util import find_spec

from interpboard.errors import MissingPackage
from interpboard.registry.loading import LIBRARIES


def require_library(extra: str, what: str) -> None:
    """Raise ``MissingPackage`` unless all packages of ``extra`` are installed. ``what`` begins a sentence."""
    library = LIBRARIES[extra]
    missing = [package for package in library.packages if find_spec(package) is None]
    if missing:
        needs, are = " and ".join(missing), "is" if len(missing) == 1 else "are"
        raise MissingPackage(f"{what} needs {needs}, which {are} not installed.", f"{library.pip}")
