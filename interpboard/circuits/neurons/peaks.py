"""The highest peaks of every neuron of one layer, found so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.results.examples import OUTSIDE, ExamplesInfo


@dataclass(frozen=True)
class Peaks:
    """Of a batch of windows: the highest activation [row, neuron], where ``at`` in the window's text
    [row, neuron] it is, and at how many tokens [neuron] the activation was above 0."""

    peak: torch.Tensor
    at: torch.Tensor
    positive: torch.Tensor

    def and_then(self, later: Peaks) -> Peaks:
        """Both, those of the windows of ``later`` behind."""
        return Peaks(
            torch.cat([self.peak, later.peak]),
            torch.cat([self.at, later.at]),
            self.positive + later.positive,
        )


@dataclass
class Best:
    """``activation`` [neuron, rank], ``context`` [neuron, rank, around], ``place`` [neuron, rank, 2] and
    ``positive`` [neuron], as they lie in the file; ``before``: where in its context a peak stands."""

    activation: torch.Tensor
    context: torch.Tensor
    place: torch.Tensor
    positive: torch.Tensor
    before: int

    @classmethod
    def empty(cls, lm: LanguageModel, down_proj: nn.Module, about: ExamplesInfo) -> Best:
        """Nothing found yet."""
        n, k, device = in_width(down_proj), about.top_k, lm.device
        wide = torch.float64 if lm.info.dtype == "float64" else torch.float32
        around = about.before + 1 + about.after
        return cls(
            torch.full((n, k), -torch.inf, dtype=wide, device=device),
            torch.full((n, k, around), OUTSIDE, dtype=torch.int32, device=device),
            torch.full((n, k, 2), OUTSIDE, dtype=torch.int64, device=device),
            torch.zeros(n, dtype=torch.int64, device=device),
            about.before,
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that is kept, by name."""
        names = ("activation", "context", "place", "positive")
        return {name: getattr(self, name) for name in names}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put back what ``tensors`` gave. Raises ``ValueError`` for tensors of another shape."""
        for name, value in tensors.items():
            if value.shape != getattr(self, name).shape:
                raise ValueError(f"{name} has another shape")
            getattr(self, name).copy_(value)

    def take(self, found: Peaks, ids: torch.Tensor, first: torch.Tensor) -> None:
        """Keep what is higher than the lowest kept.

        ``ids`` [row, pos]: the windows' tokens; ``first`` [row, 2]: file, and number of its first token.
        Raises ``Unsupported`` for activations that are no numbers.
        """
        device = self.activation.device
        peak, at = found.peak.to(self.activation), found.at.to(device)
        if not bool(peak.isfinite().all()):
            raise Unsupported(
                "A neuron's activation is not a finite number.", "Use --dtype float32 or bfloat16."
            )
        self.positive += found.positive.to(device)
        better = (peak > self.activation[:, -1]).any(0).nonzero().flatten()
        if not len(better):
            return
        kept = self.activation.shape[1]
        both = torch.cat([self.activation[better], peak[:, better].T], 1)
        # Stable: of equal ones the earlier in the text stays in front.
        values, order = both.sort(dim=1, descending=True, stable=True)
        values, order = values[:, :kept], order[:, :kept]
        new, old, row = order >= kept, order.clamp(max=kept - 1), (order - kept).clamp(min=0)
        at = at[:, better].T.gather(1, row)
        place = first.to(device)[row]
        place[..., 1] += at
        self.activation[better] = values
        self._move("place", better, old, new, place)
        self._move("context", better, old, new, self._around(ids.to(device), row, at))

    def _around(self, ids: torch.Tensor, row: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """The tokens around ``at`` in the windows ``row``: [neuron, rank, around]."""
        around = self.context.shape[-1]
        behind = around - 1 - self.before
        padded = nn.functional.pad(ids.to(self.context), (self.before, behind), value=OUTSIDE)
        offsets = torch.arange(around, device=ids.device)
        return padded[row.unsqueeze(-1), at.unsqueeze(-1) + offsets]

    def _move(
        self,
        name: str,
        better: torch.Tensor,
        old: torch.Tensor,
        new: torch.Tensor,
        fresh: torch.Tensor,
    ) -> None:
        kept: torch.Tensor = getattr(self, name)
        index = old.unsqueeze(-1).expand(-1, -1, kept.shape[-1])
        kept[better] = torch.where(new.unsqueeze(-1), fresh, kept[better].gather(1, index))
