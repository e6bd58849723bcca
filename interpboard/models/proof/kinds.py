"""Kinds of layers: what is proved of one layer holds for those built alike.

Two layers are of one kind if all their modules have the same classes, the same shapes and formats of
parameters, and the same settings (a sliding window, whether there is rotary embedding, the type that the
layer calls itself), the layer's own number left out, and by what attention scales, which what stands in for
it reads. A layer with hooks of others in it, or with a ``forward`` that somebody put into it, is one of its
own: two that were written alike may have been given other numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from interpboard.models.anatomy import Anatomy
from interpboard.models.module_hooks import is_of

_IN_ATTENTION = (bool, int, str, type(None))
_SETTINGS = (*_IN_ATTENTION, float)
_OWN_NUMBER = ("layer_idx", "layer_id", "layer_index", "layer_number", "layer", "idx", "index")


def kinds_of_layers(anatomy: Anatomy) -> tuple[int, ...]:
    """For each layer the first layer of its kind."""
    first: dict[Hashable, int] = {}
    both = zip(anatomy.layers, anatomy.attention, strict=True)
    return tuple(first.setdefault(_kind(*parts), i) for i, parts in enumerate(both))


def layers_to_prove(kinds: Sequence[int]) -> list[int]:
    """Of each of ``kinds`` the first layer, and the model's first and last."""
    return sorted({*kinds, 0, len(kinds) - 1})


def _kind(layer: nn.Module, attention: nn.Module) -> Hashable:
    attending = set(attention.modules())
    return tuple(
        (
            path,
            _class(module),
            tuple((n, tuple(p.shape), p.dtype) for n, p in module.named_parameters(recurse=False)),
            id(module) if _is_more_than_its_class(module) else None,
            tuple(
                (name, value)
                for name, value in sorted(vars(module).items())
                if name != "training"
                and name not in _OWN_NUMBER
                # gpt2 may scale each layer's attention by its number.
                and isinstance(value, _IN_ATTENTION if module in attending else _SETTINGS)
            ),
        )
        for path, module in layer.named_modules()
    )


def _class(module: nn.Module) -> type:
    # A parametrized module has a class of its own, made of its former one.
    return type(module).__mro__[1] if is_parametrized(module) else type(module)


def _is_more_than_its_class(module: nn.Module) -> bool:
    own = vars(module).get("forward")
    put = own is not None and not is_of(own, "accelerate.")  # which moves weights to and fro
    return put or bool(module._forward_hooks or module._forward_pre_hooks)
