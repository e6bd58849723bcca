"""Tensors that a checkpoint may hold although the model does not use them: one table, a reason each.

Most are buffers that older versions of transformers saved and newer ones compute. A name alone proves
nothing (``attn.bias`` is a causal mask in GPT-2 and could be a weight elsewhere), so each row also looks
at the shape, and at the values where those could differ: a mask that is not causal, or rotary
frequencies other than those the configuration gives, are of another model and are not ignorable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from interpboard.models.checkpoint.headers import TensorHeader, layer_of


@dataclass(frozen=True)
class Surroundings:
    """What a row may ask about the model that does not use a tensor.

    ``buffers``: shapes of the buffers that it computes itself. ``parts``: every word between dots in the
    names of its weights. ``fills_masks``: whether it is an encoder with a masked-language-model head.
    """

    config: Mapping[str, Any]
    layers: int
    buffers: Mapping[str, tuple[int, ...]]
    parts: frozenset[str]
    fills_masks: bool

    @classmethod
    def of(cls, model: Any, config: Mapping[str, Any], layers: int) -> Surroundings:
        """Of a model, which may be on the meta device, and the ``config.json`` that it was made from."""
        state = model.state_dict()
        return cls(
            config={**config, **(config.get("text_config") or {})},
            layers=layers,
            buffers={n: tuple(b.shape) for n, b in model.named_buffers() if n not in state},
            parts=frozenset(part for name in state for part in name.split(".")),
            fills_masks=type(model).__name__.endswith("ForMaskedLM"),
        )


Fits = Callable[[TensorHeader, str, Surroundings], bool]
Proof = Callable[[torch.Tensor, str, Any], bool]


@dataclass(frozen=True)
class Ignorable:
    """A row: ``what`` it is and ``why`` a model does without.

    ``fits`` looks at name and shape, ``proof`` at the values beside the loaded model. ``told``: results
    say that such tensors were left out, since somebody could have meant them.
    """

    what: str
    why: str
    name: re.Pattern[str]
    fits: Fits
    proof: Proof | None = None
    told: bool = False


def ignorable(tensor: TensorHeader, renamed: str, around: Surroundings) -> Ignorable | None:
    """The row that allows ``tensor`` to be left out, if there is one."""
    for row in TABLE:
        if row.name.search(renamed) and row.fits(tensor, renamed, around):
            return row
    return None


def _is_own_buffer(tensor: TensorHeader, renamed: str, around: Surroundings) -> bool:
    return any(
        (name == renamed or name.endswith(f".{renamed}")) and shape == tensor.shape
        for name, shape in around.buffers.items()
    )


def _equals_own_buffer(value: torch.Tensor, renamed: str, model: Any) -> bool:
    return any(
        _near(value, buffer)
        for name, buffer in model.named_buffers()
        if name == renamed or name.endswith(f".{renamed}")
    )


def _is_short_vector(tensor: TensorHeader, _renamed: str, around: Surroundings) -> bool:
    longest = max((s[0] for n, s in around.buffers.items() if n.endswith("inv_freq")), default=0)
    return len(tensor.shape) == 1 and tensor.is_floating and tensor.shape[0] <= longest


def _are_own_frequencies(value: torch.Tensor, _renamed: str, model: Any) -> bool:
    """Whether they are those of the configuration; where it stretches them, files hold either."""
    text: Any = model.config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    named = [rope, *(r for r in rope.values() if isinstance(r, dict))]
    if any(r.get("rope_type", "default") != "default" for r in named):
        return True
    return any(_near(value, b) for n, b in model.named_buffers() if n.endswith("inv_freq"))


def _near(value: torch.Tensor, buffer: torch.Tensor) -> bool:
    if value.shape != buffer.shape:
        return False
    # Files in float16 hold small frequencies as multiples of 6e-8.
    return torch.allclose(value.double(), buffer.double().to(value.device), rtol=1e-2, atol=1e-7)


def _is_square_mask(tensor: TensorHeader, _renamed: str, _around: Surroundings) -> bool:
    shape = tensor.shape
    return len(shape) in (2, 4) and shape[-1] == shape[-2] and shape[:-2] in ((), (1, 1))


def _is_causal(value: torch.Tensor, _renamed: str, model: Any) -> bool:
    """All ones up to the diagonal, or (gpt_neo) the last few of them, and zero behind it."""
    mask = value.reshape(value.shape[-2:]) != 0
    ones = torch.ones_like(mask)
    window = getattr(model.config, "window_size", None)
    banded = isinstance(window, int) and torch.equal(mask, (ones.tril() & ~ones.tril(-window)))
    return torch.equal(mask, ones.tril()) or banded


def _is_one_number(tensor: TensorHeader, _renamed: str, _around: Surroundings) -> bool:
    return tensor.numbers == 1


def _is_far_below(value: torch.Tensor, _renamed: str, _model: Any) -> bool:
    return bool(value.double().max() <= -1e4)


def _is_integer(tensor: TensorHeader, _renamed: str, _around: Surroundings) -> bool:
    return tensor.dtype in ("I64", "I32", "I16", "U8", "I8") and len(tensor.shape) in (1, 2)


def _counts_up(value: torch.Tensor, _renamed: str, _model: Any) -> bool:
    return torch.equal(value.flatten().long(), torch.arange(value.numel()))


def _is_zero(value: torch.Tensor, _renamed: str, _model: Any) -> bool:
    return not bool(value.any())


def _is_later_prediction(_tensor: TensorHeader, renamed: str, around: Surroundings) -> bool:
    """Behind the last layer as many layers predict further tokens as the configuration says."""
    layer = layer_of(renamed)
    further = around.config.get("num_nextn_predict_layers") or 0
    return layer is not None and around.layers <= layer < around.layers + int(further)


def _is_not_a_part(_tensor: TensorHeader, renamed: str, around: Surroundings) -> bool:
    return not any(part in around.parts for part in renamed.split(".") if "mtp" in part)


def _shares_keys(_tensor: TensorHeader, renamed: str, around: Surroundings) -> bool:
    layer, sharing = layer_of(renamed), around.config.get("num_kv_shared_layers") or 0
    return layer is not None and around.layers - int(sharing) <= layer < around.layers


def _is_of_another_sense(_tensor: TensorHeader, renamed: str, around: Surroundings) -> bool:
    """A part for images or sound, of a model for those, none of which the loaded class has."""
    found = _SENSES.search(renamed)
    named = any(key in around.config for key in ("vision_config", "audio_config", "text_config"))
    says = any("Conditional" in a for a in around.config.get("architectures") or ())
    return found is not None and found[1] not in around.parts and (named or says)


def _beside_masks(_tensor: TensorHeader, _renamed: str, around: Surroundings) -> bool:
    return around.fills_masks


_SENSES = re.compile(
    r"(?:^|\.)(vision_tower|vision_model|vision_encoder|visual|audio_tower|audio_encoder|embed_vision"
    r"|embed_audio|multi_modal_projector|mm_projector|image_newline|talker|token2wav|code2wav)(?:\.|$)"
)

TABLE: tuple[Ignorable, ...] = (
    Ignorable(
        "the buffer of that name", "the model computes it itself",
        re.compile(""), _is_own_buffer, _equals_own_buffer,
    ),
    Ignorable(
        "the rotary frequencies", "computed from the configuration, once for all layers",
        re.compile(r"(^|\.)inv_freq$"), _is_short_vector, _are_own_frequencies,
    ),
    Ignorable(
        "the causal mask", "made for each prompt",
        re.compile(r"(^|\.)(attn|attention|self_attn|self_attention)\.(bias|causal_mask)$"),
        _is_square_mask, _is_causal,
    ),
    Ignorable(
        "the number in place of a masked score", "part of the causal mask",
        re.compile(r"(^|\.)masked_bias$"), _is_one_number, _is_far_below,
    ),
    Ignorable(
        "the positions 0, 1, 2 …", "counted for each prompt",
        re.compile(r"(^|\.)position_ids$"), _is_integer, _counts_up,
    ),
    Ignorable(
        "the segments, all 0", "a prompt has one segment",
        re.compile(r"(^|\.)token_type_ids$"), _is_integer, _is_zero,
    ),
    Ignorable(
        "keys and values of later layers", "those layers use the ones of an earlier layer",
        re.compile(r"\.self_attn\.(k_proj|v_proj|k_norm|v_norm)\."), _shares_keys,
    ),
    Ignorable(
        "layers that predict further tokens", "the next token does not depend on them",
        re.compile(r"\.\d+\."), _is_later_prediction, told=True,
    ),
    Ignorable(
        "layers that predict further tokens", "the next token does not depend on them",
        re.compile(r"(^|\.)mtp(_\w+)?\."), _is_not_a_part, told=True,
    ),
    Ignorable(
        "parts for images or sound", "the class that is opened reads text alone",
        _SENSES, _is_of_another_sense, told=True,
    ),
    Ignorable(
        "the pooler and the heads of other training tasks", "masked tokens are predicted without them",
        re.compile(r"(^|\.)(pooler|seq_relationship|sop_classifier|mask_predictions)\."),
        _beside_masks, told=True,
    ),
)  # fmt: skip
