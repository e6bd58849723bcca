"""What an analysis will take, known before it runs."""

from __future__ import annotations

import msgspec

from interpboard.display import spoken_bytes, spoken_seconds


class Plan(msgspec.Struct, frozen=True):
    """Of one ``analysis`` of a prompt of so many ``tokens``.

    ``rows``: edited runs and gradients that it is made of. ``forward_passes``: of the whole prompt, in all; a
    run that begins late counts for the share that it runs. ``bytes_peak``: the most memory above the loaded
    model, None where the system does not say. ``seconds``: all of it, the prompt's own run included.
    ``because``: what the numbers rest on.
    """

    analysis: str
    tokens: int
    rows: int
    forward_passes: float
    bytes_peak: int | None
    seconds: float
    because: str

    @property
    def line(self) -> str:
        """In words."""
        memory = "" if self.bytes_peak is None else f", {spoken_bytes(self.bytes_peak)}"
        return f"{self.analysis}: {spoken_seconds(self.seconds)}{memory}; {self.because}"
