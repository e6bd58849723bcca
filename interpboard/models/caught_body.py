"""The body of a model that has none to call: all of it up to what the unembedding is given.

Code that is not of transformers may name its arguments otherwise, hand a bare tensor to its head, or keep
embedding, layers and norm in a dictionary that cannot be called at all. Its whole forward then runs as far
as the unembedding. The head is the unembedding and nothing more; ``selfcheck`` refuses one that does more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers.utils.generic import ModelOutput

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.division import device_of
from interpboard.models.layer_caches import EnoughSeen

_THEIRS = "transformers."  # whose bodies can be called
_CALL = "It must take input_ids and use_cache, and give logits."
_OTHER_CALL = (TypeError, AttributeError, NotImplementedError, IndexError, KeyError)


class CaughtBody(nn.Module):
    """Runs ``model`` until its ``unembedding`` is called, and gives what that was given."""

    model: Any
    unembedding: Any

    def __init__(self, model: nn.Module, unembedding: nn.Module) -> None:
        super().__init__()
        # Not as modules of its own: it is no part of the model, and the model no part of it.
        self.__dict__["model"], self.__dict__["unembedding"] = model, unembedding
        self.config: Any = model.config

    def modules(self, *args: Any, **kwargs: Any) -> Iterator[nn.Module]:
        """Those of the model but for the unembedding."""
        return (m for m in self.model.modules(*args, **kwargs) if m is not self.unembedding)

    def forward(
        self, input_ids: torch.Tensor, return_dict: bool = True, **options: Any
    ) -> ModelOutput:
        """The last hidden state [row, pos, d_model] for ``input_ids`` [row, pos]."""
        if options.get("output_attentions"):
            raise TypeError("what it reports as its attention cannot be reached")
        caught: list[torch.Tensor] = []

        def catch(_head: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught.append(args[0] if args else next(iter(kwargs.values())))
            raise EnoughSeen

        handle = self.unembedding.register_forward_pre_hook(catch, with_kwargs=True)
        try:
            self.model(input_ids=input_ids, **options)
        except EnoughSeen:
            if not caught:  # somebody else has seen enough
                raise
        finally:
            handle.remove()
        return ModelOutput(last_hidden_state=caught[0])


def with_a_body(anatomy: Anatomy) -> Anatomy:
    """``anatomy``, with a ``CaughtBody`` where its own cannot be called as transformers' are.

    Raises ``NotALanguageModel`` for a model that cannot be called so itself.
    """
    model: Any = anatomy.model
    if type(model).__module__.startswith(_THEIRS):
        return anatomy
    ids = torch.zeros((1, 2), dtype=torch.long, device=device_of(anatomy.embedding))
    name = type(model).__name__
    with torch.no_grad():
        try:
            model(input_ids=ids, use_cache=False).logits  # noqa: B018 - whether it is there
        except _OTHER_CALL as error:
            raise NotALanguageModel(
                f"{name} is called in another way than a language model of transformers "
                f"({first_line(error)}).",
                _CALL,
            ) from error
        try:
            body: Any = anatomy.base
            found = body(input_ids=ids, use_cache=False, return_dict=True).last_hidden_state
            if body is not model and isinstance(found, torch.Tensor):
                return anatomy
        except _OTHER_CALL:
            pass
    return replace(anatomy, base=CaughtBody(model, anatomy.unembedding), bodies=())
