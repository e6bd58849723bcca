"""How a model is to be opened, as it is typed behind its name."""

from __future__ import annotations

from interpboard.errors import BadParameter
from interpboard.registry.loading import LoadOptions, read_option_words
from tui.files.models import SIZES


def read_opening(typed: str) -> tuple[str, LoadOptions]:
    """Number format (empty: none was said) and options of ``--dtype bfloat16 --quantize 4bit``.

    Raises ``BadParameter`` for what cannot be read.
    """
    dtype, rest = "", []
    words = iter(typed.split(" "))
    for word in words:
        flag, equals, value = word.partition("=")
        if flag != "--dtype":
            rest.append(word)
            continue
        dtype = value if equals else next((w for w in words if w), "")
        if dtype not in SIZES:
            raise BadParameter(
                f"No number format is called {dtype[:40]!r}.", f"There are: {', '.join(SIZES)}."
            )
    bare, options = read_option_words(" ".join(rest))
    if bare:
        raise BadParameter(f"{bare[0][:40]!r} belongs to no option.")
    return dtype, options
