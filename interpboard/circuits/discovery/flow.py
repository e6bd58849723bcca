"""Gradients of all receivers of a stream, followed back along it to where senders wrote.

A receiver's own gradient is that at what it reads; from there it goes back through each norm of a sum, as
that norm acts in this run. To first order that is what taking the edge away does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from interpboard.models.frozen import frozen
from interpboard.models.language_model import LanguageModel

Written = tuple[int, Callable[[], torch.Tensor]]
"""The first sender, and what makes the changes [sender, batch, pos, d_model] that it and the next write."""


class ReceiverFlow:
    """At one place of a stream, of the receivers that read behind it; it is followed from the end to the
    beginning. ``scores`` [sender, receiver] are filled; products are summed in ``dtype``."""

    def __init__(self, lm: LanguageModel, scores: np.ndarray, dtype: torch.dtype) -> None:
        self._lm, self._scores, self._dtype = lm, scores, dtype
        self._receivers = np.zeros(0, dtype=int)
        self._gradients: torch.Tensor | None = None

    def join(self, receivers: slice, gradients: torch.Tensor) -> None:
        """``receivers`` read here; ``gradients`` [receiver, batch, pos, d_model] at what they read."""
        added = np.arange(self._scores.shape[1])[receivers]
        self._receivers = np.concatenate([added, self._receivers])
        both = (gradients,) if self._gradients is None else (gradients, self._gradients)
        self._gradients = torch.cat(both)

    def back(self, norm: nn.Module | None, given: torch.Tensor | None) -> None:
        """To what ``norm`` was ``given`` [batch, pos, d_model]; nothing to do where there is none."""
        if norm is not None and self._gradients is not None:
            assert given is not None
            self._gradients = pulled(self._lm, norm, given, self._gradients)

    def put(self, first: int, make: Callable[[], torch.Tensor]) -> None:
        """What ``make`` gives [sender, batch, pos, d_model] is written here, by the senders from ``first``
        on."""
        if self._gradients is None:
            return
        changes = make()
        flow = self._gradients.flatten(1).to(self._dtype)
        product = changes.flatten(1).to(self._dtype) @ flow.T
        senders = np.arange(first, first + len(changes))
        self._scores[np.ix_(senders, self._receivers)] = product.double().cpu().numpy()


class SummedFlow:
    """The same where no sum is normed: a receiver's gradient is that of all it hears, and is not kept.

    ``written``: all that is put onto the stream, in the order of writing. Which senders a receiver hears is
    in ``edges`` [sender, receiver].
    """

    def __init__(
        self, edges: np.ndarray, scores: np.ndarray, dtype: torch.dtype, written: Sequence[Written]
    ) -> None:
        self._edges, self._scores, self._first = edges, scores, written[0][0]
        self._changes = torch.cat([make() for _, make in written]).flatten(1).to(dtype)

    def join(self, receivers: slice, gradients: torch.Tensor) -> None:
        """See ``ReceiverFlow``."""
        heard = self._edges[self._first : self._first + len(self._changes), receivers]
        seen = int(heard.any(1).sum())  # those that write first
        read = gradients.flatten(1).to(self._changes.dtype)
        product = (self._changes[:seen] @ read.T).double().cpu().numpy()
        self._scores[self._first : self._first + seen, receivers] = product * heard[:seen]

    def back(self, norm: nn.Module | None, given: torch.Tensor | None) -> None:
        """There is none to go through."""

    def put(self, first: int, make: Callable[[], torch.Tensor]) -> None:
        """It is there."""


def pulled(
    lm: LanguageModel, norm: nn.Module, given: torch.Tensor, gradients: torch.Tensor
) -> torch.Tensor:
    """``gradients`` [receiver, batch, pos, d_model] at what ``norm`` gives, at what it was ``given``
    [batch, pos, d_model]."""
    if isinstance(norm, nn.Identity):
        return gradients
    with torch.enable_grad(), frozen(lm.model):
        given = given.detach()
        streams = given.expand(len(gradients), *given.shape).flatten(0, 1).clone().requires_grad_()
        (back,) = torch.autograd.grad(norm.forward(streams), streams, gradients.flatten(0, 1))
    return back.view(gradients.shape)
