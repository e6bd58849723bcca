"""An encoder–decoder as one module that is given both strips of tokens in one row.

Tokens of the prefix are coded as negative numbers, so that a row says itself where its prefix begins, and
whoever takes it for a single text fails at once. The stacks are the model's own, called as its own forward
calls them; the head is its own forward with the decoder standing aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import ModelOutput

from interpboard.errors import Unsupported


def coded(ids: torch.Tensor, border: int) -> torch.Tensor:
    """``ids`` [row, pos], those from ``border`` on marked as the prefix's."""
    return torch.cat([ids[:, :border], -1 - ids[:, border:]], dim=1)


def border_of(ids: torch.Tensor) -> int:
    """Where the prefix begins in coded ``ids`` [row, pos]. Raises ``Unsupported`` where none does."""
    border = int((ids[0] >= 0).sum())
    in_order = bool((ids[:, :border] >= 0).all()) and bool((ids[:, border:] < 0).all())
    if not in_order or border in (0, ids.shape[1]):
        raise Unsupported(
            "This is given one text, where an encoder–decoder reads a source and a prefix of its target."
        )
    return border


@dataclass
class Stacks(ModelOutput):
    """The last states of encoder and decoder, one behind the other [row, pos, d_model]."""

    last_hidden_state: Any = None


@dataclass
class Logits(ModelOutput):
    """``logits`` [row, pos, d_vocab]; at positions of the source they say nothing."""

    logits: Any = None


class StripEmbedding(nn.Module):
    """The embedding of both strips [row, pos, d_model]; of plain ids, that of the source."""

    def __init__(self, of_source: nn.Module, of_prefix: nn.Module) -> None:
        super().__init__()
        self.of_source, self.of_prefix = of_source, of_prefix

    @property
    def weight(self) -> torch.Tensor:
        """[d_vocab, d_model]; both strips have the same."""
        weight: torch.Tensor = self.of_source.weight  # type: ignore[assignment]
        return weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """What the embedding modules give; scales outside of them come later."""
        if bool((ids >= 0).all()):
            found: torch.Tensor = self.of_source(ids)
            return found
        border = border_of(ids)
        return torch.cat(
            [self.of_source(ids[:, :border]), self.of_prefix(-1 - ids[:, border:])], dim=1
        )


class StripBody(nn.Module):
    """Encoder and decoder. ``border`` and ``length`` are those of the forward that is running.

    ``edited``: how many hooks that may change the source are open; where there are none the encoder runs
    once for rows whose source is the same.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, embedding: StripEmbedding) -> None:
        super().__init__()
        self.encoder, self.decoder, self.embedding = encoder, decoder, embedding
        self.border = self.length = self.edited = 0

    def forward(self, input_ids: torch.Tensor, **_options: Any) -> Stacks:
        """``input_ids`` [row, pos], coded."""
        border = border_of(input_ids)
        self.border, self.length = border, input_ids.shape[1]
        embedded = self.embedding(input_ids)
        states = self._encoded(input_ids[:, :border], embedded[:, :border])
        decoder: Any = self.decoder
        with _embedded(self.embedding.of_prefix, embedded[:, border:]):
            out = decoder(
                input_ids=-1 - input_ids[:, border:],
                encoder_hidden_states=states,
                use_cache=False,
                return_dict=True,
            )
        return Stacks(last_hidden_state=torch.cat([states, out.last_hidden_state], dim=1))

    @contextmanager
    def every_row(self) -> Iterator[None]:
        """While open, the encoder runs for each row, whatever its source."""
        self.edited += 1
        try:
            yield
        finally:
            self.edited -= 1

    def stacks_apart(self, input_ids: torch.Tensor, ended: type[Exception]) -> None:
        """Run the encoder, then the decoder on it, each until ``ended`` is raised in it."""
        border = border_of(input_ids)
        self.border, self.length = border, input_ids.shape[1]
        embedded = self.embedding(input_ids)
        encoder: Any = self.encoder
        decoder: Any = self.decoder
        with suppress(ended), _embedded(self.embedding.of_source, embedded[:, :border]):
            encoder(input_ids=input_ids[:, :border], return_dict=True)
        with suppress(ended), _embedded(self.embedding.of_prefix, embedded[:, border:]):
            decoder(
                input_ids=-1 - input_ids[:, border:],
                encoder_hidden_states=embedded[:, :border],
                use_cache=False,
                return_dict=True,
            )

    def _encoded(self, ids: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        rows = len(ids)
        once = rows > 1 and not self.edited and not embedded.requires_grad
        once = once and all(bool((each == each[:1]).all()) for each in (ids, embedded))
        encoder: Any = self.encoder
        with _embedded(self.embedding.of_source, embedded[:1] if once else embedded):
            out = encoder(input_ids=ids[:1] if once else ids, return_dict=True)
        states: torch.Tensor = out.last_hidden_state
        return states.expand(rows, -1, -1) if once else states


class StripModel(nn.Module):
    """The whole: coded ids in, logits out. ``whole`` is the model of transformers."""

    def __init__(self, whole: nn.Module, body: StripBody) -> None:
        super().__init__()
        self.whole, self.body = whole, body
        self.config: Any = whole.config
        self.eval()

    @property
    def dtype(self) -> torch.dtype:
        """That of the weights."""
        return self.body.embedding.weight.dtype

    def forward(self, input_ids: torch.Tensor, **options: Any) -> Logits:
        """``input_ids`` [row, pos], coded; the body may stand aside."""
        states = self.body(input_ids=input_ids, **options).last_hidden_state
        whole: Any = self.whole
        with _decoded(self.body.decoder, states):
            out = whole(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                decoder_inputs_embeds=states,
                use_cache=False,
                return_dict=True,
            )
        return Logits(logits=out.logits)


@dataclass
class _Decoded(ModelOutput):
    """What the head is handed in the decoder's place."""

    last_hidden_state: Any = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def _embedded(module: nn.Module, value: torch.Tensor) -> Iterator[None]:
    """While open, ``module`` gives ``value``."""
    handle = module.register_forward_hook(lambda *_: value)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _decoded(decoder: nn.Module, states: torch.Tensor) -> Iterator[None]:
    """While open, ``decoder`` does nothing but give ``states``."""
    own = decoder.__dict__.get("forward")
    output = _Decoded(last_hidden_state=states)
    decoder.forward = lambda *_args, **_kwargs: output
    try:
        yield
    finally:
        del decoder.forward
        if own is not None:
            decoder.forward = own
