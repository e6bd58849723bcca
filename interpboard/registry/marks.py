"""What of a prompt may be taken together, and the spans that a user marks for it."""

from __future__ import annotations

from interpboard.registry.parameter import Parameter

UNITS = ("token", "word", "sentence", "turn", "span")
SPANS = Parameter(
    "spans",
    object,
    "",
    "for the unit span: positions, e.g. 2-5,7-9, or texts of the prompt, apart by a semicolon; what stands "
    "between two spans is a unit too",
)
