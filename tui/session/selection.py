"""Where the cursors are: what the panes show together follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Selection:
    """Shared by all panes: a position of the prompt, a layer, a head.

    Layer −1 is the embedding; head None is the whole of a layer, or with ``mlp`` its MLP.
    ``neuron`` is (layer, number), and means nothing while the MLP of another layer is selected;
    ``last_head`` is (layer, head), the last head that was selected.
    """

    token: int | None = None
    layer: int | None = None
    head: int | None = None
    mlp: bool = False
    neuron: tuple[int, int] | None = None
    last_head: tuple[int, int] | None = None
    searched: object = None  # the question whose less likely tokens are looked through

    def moved(self, **places: Any) -> Selection:
        """The selection after a cursor has moved to ``places``."""
        now = replace(self, **places)
        if now.layer is None or now.head is None or now.mlp:
            return now
        return replace(now, last_head=(max(0, now.layer), now.head))
