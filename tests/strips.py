"""Tiny random encoder–decoders, and what plain hooked forwards of them give: written without the product."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

import torch
import transformers as tf

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from tests.tiny import VOCAB, tiny_tokenizer

TEXT = "The Eiffel Tower is in ||| the city of"
_T5 = {
    "vocab_size": VOCAB, "d_model": 16, "d_kv": 6, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2,
    "d_ff": 24, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}  # fmt: skip
_BART = {
    "vocab_size": VOCAB, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "bos_token_id": 0,
    "max_position_embeddings": 64, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}  # fmt: skip
_PAD_BEGINS = {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}


def _of(name: str, model: str, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(tf, model)(getattr(tf, f"{name}Config")(**options))


FAMILIES: dict[str, Callable[[], Any]] = {
    "t5": _of("T5", "T5ForConditionalGeneration", **_T5),
    "mt5": _of(
        "MT5", "MT5ForConditionalGeneration", **_T5, feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    ),
    "bart": _of("Bart", "BartForConditionalGeneration", **_BART),
    "mbart": _of("MBart", "MBartForConditionalGeneration", **_BART, scale_embedding=True),
    "pegasus": _of(
        "Pegasus", "PegasusForConditionalGeneration", **(_BART | _PAD_BEGINS), scale_embedding=True
    ),
    "marian": _of("Marian", "MarianMTModel", **(_BART | _PAD_BEGINS), scale_embedding=True),
    "m2m_100": _of("M2M100", "M2M100ForConditionalGeneration", **_BART, scale_embedding=True),
}  # fmt: skip
MORE: dict[str, Callable[[], Any]] = {  # whose modules go by other names
    "bigbird_pegasus": _of(
        "BigBirdPegasus", "BigBirdPegasusForConditionalGeneration", **(_BART | _PAD_BEGINS),
        scale_embedding=True,
    ),
}  # fmt: skip
NORMS_FIRST = ("mbart", "pegasus", "m2m_100", "bigbird_pegasus")


def strips_model(family: str, dtype: torch.dtype = torch.float32) -> Any:
    """A random model of ``family``: 2 and 2 layers, 2 heads, weights large enough to matter."""
    torch.manual_seed(0)
    model = (FAMILIES | MORE)[family]().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.0 if "t5" in family else 4.0)
            elif "norm" in name or "bias" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.to(dtype)


@cache
def strips_lm(family: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """The same, looked into. Shared: tests must leave it as it was."""
    return LanguageModel.of(strips_model(family, dtype), tiny_tokenizer(), f"tiny {family}")


class Plain:
    """A prompt's plain forwards, with hooks of the test's own. Positions count within their strip."""

    def __init__(self, lm: LanguageModel, prompt: PromptInfo) -> None:
        self.model, self.border = lm.model, prompt.border
        device = lm.device
        self.source = torch.tensor([prompt.token_ids[: self.border]], device=device)
        self.prefix = torch.tensor([prompt.token_ids[self.border :]], device=device)
        self.encoder, self.decoder = self.model.get_encoder(), self.model.get_decoder()
        self.above = list(getattr(self.encoder, "block", None) or self.encoder.layers)
        self.below = list(getattr(self.decoder, "block", None) or self.decoder.layers)
        self.sublayers = hasattr(self.decoder, "block")
        self.norms_first = self.model.config.model_type in NORMS_FIRST

    @torch.no_grad()
    def logits(self, *hooks: Callable[[ExitStack], None]) -> torch.Tensor:
        """[pos, d_vocab] of the prefix, with ``hooks`` hung in."""
        with ExitStack() as stack:
            for hang in hooks:
                hang(stack)
            out = self.model(input_ids=self.source, decoder_input_ids=self.prefix, use_cache=False)
        found: torch.Tensor = out.logits[0]
        return found

    def out_proj(self, name: str) -> Any:
        """The output projection of the attention of the layer ``name``, as ``X1``."""
        block = (self.above if name[0] == "E" else self.below)[int(name[1:])]
        if self.sublayers:
            return (
                block.layer[1].EncDecAttention.o
                if name[0] == "X"
                else block.layer[0].SelfAttention.o
            )
        within = block.encoder_attn if name[0] == "X" else block.self_attn
        return getattr(within, "out_proj", None) or within.output

    def projected(
        self, name: str, site: str, head: int, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[ExitStack], None]:
        """``change`` of a head's queries, keys or values (``q``, ``k``, ``v``) [1, pos, d_head]."""
        block = (self.above if name[0] == "E" else self.below)[int(name[1:])]
        if self.sublayers:
            within = (
                block.layer[1].EncDecAttention if name[0] == "X" else block.layer[0].SelfAttention
            )
            module = getattr(within, site)
        else:
            within = block.encoder_attn if name[0] == "X" else block.self_attn
            apart = getattr(within, "self", None)
            names = {"q": "query", "k": "key", "v": "value"}
            module = getattr(apart, names[site]) if apart else getattr(within, f"{site}_proj")
        size = module.out_features // 2

        def hook(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
            new = out.clone()
            part = slice(head * size, (head + 1) * size)
            new[..., part] = change(new[..., part])
            return new

        return _post(module, hook)

    def head(
        self, name: str, head: int, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[ExitStack], None]:
        """``change`` of what a head gives [1, pos, d_head]."""
        module = self.out_proj(name)
        size = module.in_features // 2

        def hook(_module: Any, args: Any) -> Any:
            z = args[0].clone()
            part = slice(head * size, (head + 1) * size)
            z[..., part] = change(z[..., part])
            return (z, *args[1:])

        return _pre(module, hook)

    def mlp(
        self, name: str, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[ExitStack], None]:
        """``change`` of what the MLP of the layer ``name`` (of ``E`` or ``X``) adds [1, pos, d_model]."""
        block = (self.above if name[0] == "E" else self.below)[int(name[1:])]
        module = block.layer[-1].DenseReluDense.wo if self.sublayers else block.fc2
        return _post(module, lambda _m, _a, out: change(out))

    def stream_before(
        self, name: str, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[ExitStack], None]:
        """``change`` of the stream [1, pos, d_model] before the layer ``name``."""
        block = (self.above if name[0] == "E" else self.below)[int(name[1:])]
        if name[0] != "X":
            return _pre(block, lambda _m, args: (change(args[0]), *args[1:]))
        if self.sublayers:
            return _post(block.layer[0], lambda _m, _a, out: (change(out[0]), *out[1:]))
        if not self.norms_first:
            return _post(block.self_attn_layer_norm, lambda _m, _a, out: change(out))
        # What goes into the norm, and what goes around it: twice the same difference.
        seen: list[torch.Tensor] = []

        def into(_module: Any, args: Any) -> Any:
            changed = change(args[0])
            seen.append(changed - args[0])
            return (changed, *args[1:])

        def around(_module: Any, args: Any, out: Any) -> Any:
            return out + seen[-1]

        def hang(stack: ExitStack) -> None:
            _pre(block.encoder_attn_layer_norm, into)(stack)
            _post(block.encoder_attn.out_proj, around)(stack)

        return hang

    def embedding(
        self, of_source: bool, change: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[ExitStack], None]:
        """``change`` of what the embedding module gives one of the stacks."""
        stack_of = self.encoder if of_source else self.decoder
        inside: list[bool] = []

        def hang(stack: ExitStack) -> None:
            _pre(stack_of, lambda *_: inside.append(True))(stack)
            _post(stack_of, lambda *_: inside.clear())(stack)
            _post(stack_of.embed_tokens, lambda _m, _a, out: change(out) if inside else None)(stack)

        return hang

    def at(self, position: int) -> tuple[bool, int]:
        """Of a position of the prompt: whether it is in the source, and where in its strip."""
        of_source = position < self.border
        return of_source, position if of_source else position - self.border


def put(at: int, value: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change that puts ``value`` at one position."""

    def change(own: torch.Tensor) -> torch.Tensor:
        new = own.clone()
        new[:, at] = value
        return new

    return change


def _pre(module: Any, hook: Any) -> Callable[[ExitStack], None]:
    return lambda stack: stack.callback(module.register_forward_pre_hook(hook).remove)  # type: ignore[func-returns-value]


def _post(module: Any, hook: Any) -> Callable[[ExitStack], None]:
    return lambda stack: stack.callback(module.register_forward_hook(hook).remove)  # type: ignore[func-returns-value]
