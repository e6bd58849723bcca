"""Tiny random masked models, and what plain hooks on them give: modules named by hand, for each family.

Nothing here asks the program where a part is. A layer that is one module called several times (albert) is
hooked on the given model and acts at the call that is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import transformers as tf
from torch import nn

from interpboard.models.language_model import LanguageModel
from tests.models.test_encoders import WORDS, tokenizer

TEXT = "the capital of france is [MASK] in the city"
OTHER = "the tower of rome is [MASK] in the city"
LAYERS, HEADS = 2, 4
_SIZES: dict[str, Any] = {
    "vocab_size": len(WORDS) + 5, "hidden_size": 32, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "intermediate_size": 48, "max_position_embeddings": 40,
}  # fmt: skip
Act = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Family:
    """How to build one, and where its parts are: paths of modules, ``{i}`` the layer's number."""

    make: Callable[[], Any]
    layer: str
    attn: str  # its output projection, from the layer
    mlp: str  # its last linear map
    head: Callable[[Any, torch.Tensor], torch.Tensor]
    mid: str = ""  # the norm behind attention; none where blocks norm first
    qkv: str = "attention.self.query attention.self.key attention.self.value"  # or all three in one
    shared: bool = False
    divided: float = 1.0  # by what attention's and the MLP's output is divided where it is added

    def module(self, model: Any, site: str, i: int) -> tuple[nn.Module, bool]:
        """The module at ``site`` of a layer, and whether it is its input that is meant."""
        layer = model.get_submodule(self.layer.format(i=i))
        if site in ("resid_pre", "resid_post"):
            return layer, site == "resid_pre"
        if site in ("q", "k", "v"):
            maps = self.qkv.split()
            return layer.get_submodule(maps["qkv".index(site) if len(maps) > 1 else 0]), False
        path, is_input = {
            "z": (self.attn, True),
            "attn_out": (self.attn, False),
            "neuron": (self.mlp, True),
            "mlp_out": (self.mlp, False),
            "resid_mid": (self.mid, False),
        }[site]
        return layer.get_submodule(path), is_input


def _bert_like(
    prefix: str, make: Callable[[], Any], head: Callable[[Any, torch.Tensor], Any]
) -> Family:
    return Family(
        make, prefix + ".encoder.layer.{i}", "attention.output.dense", "output.dense", head,
        "attention.output.LayerNorm",
    )  # fmt: skip


MASKED: dict[str, Family] = {
    "bert": _bert_like(
        "bert", lambda: tf.BertForMaskedLM(tf.BertConfig(**_SIZES)), lambda m, h: m.cls(h)
    ),
    "roberta": _bert_like(
        "roberta", lambda: tf.RobertaForMaskedLM(tf.RobertaConfig(**_SIZES)), lambda m, h: m.lm_head(h)
    ),
    "electra": _bert_like(
        "electra",
        lambda: tf.ElectraForMaskedLM(tf.ElectraConfig(**_SIZES, embedding_size=16)),
        lambda m, h: m.generator_lm_head(m.generator_predictions(h)),
    ),
    "deberta-v2": replace(_bert_like(
        "deberta",
        lambda: tf.DebertaV2ForMaskedLM(
            tf.DebertaV2Config(
                **_SIZES, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8,
                norm_rel_ebd="layer_norm", share_att_key=True,
            )
        ),
        lambda m, h: m.cls(h),
    ), qkv="attention.self.query_proj attention.self.key_proj attention.self.value_proj"),
    "esm": Family(
        lambda: tf.EsmForMaskedLM(
            tf.EsmConfig(
                **_SIZES, pad_token_id=0, mask_token_id=4, position_embedding_type="rotary",
                token_dropout=False,
            )
        ),
        "esm.encoder.layer.{i}", "attention.output.dense", "output.dense",
        lambda m, h: m.lm_head(m.esm.encoder.emb_layer_norm_after(h)),
    ),
    "esmc": Family(  # what is added is scaled; queries and keys are normed over all heads
        lambda: tf.EsmcForMaskedLM(tf.EsmcConfig(**_SIZES, num_key_value_heads=HEADS)),
        "esmc.layers.{i}", "self_attn.o_proj", "mlp.down_proj",
        lambda m, h: m.lm_head(m.esmc.norm(h)),
        qkv="self_attn.q_norm self_attn.k_norm self_attn.v_proj", divided=(LAYERS / 36) ** 0.5,
    ),
    "deberta": Family(
        lambda: tf.DebertaForMaskedLM(
            tf.DebertaConfig(**_SIZES, relative_attention=True, pos_att_type=["p2c", "c2p"])
        ),
        "deberta.encoder.layer.{i}", "attention.output.dense", "output.dense", lambda m, h: m.cls(h),
        "attention.output.LayerNorm", "attention.self.in_proj",
    ),
    "distilbert": Family(
        lambda: tf.DistilBertForMaskedLM(
            tf.DistilBertConfig(
                vocab_size=_SIZES["vocab_size"], dim=32, n_layers=LAYERS, n_heads=HEADS, hidden_dim=48,
                max_position_embeddings=40,
            )
        ),
        "distilbert.transformer.layer.{i}", "attention.out_lin", "ffn.lin2",
        lambda m, h: m.vocab_projector(m.vocab_layer_norm(m.activation(m.vocab_transform(h)))),
        "sa_layer_norm", "attention.q_lin attention.k_lin attention.v_lin",
    ),
    "mpnet": Family(
        lambda: tf.MPNetForMaskedLM(tf.MPNetConfig(**_SIZES)),
        "mpnet.encoder.layer.{i}", "attention.attn.o", "output.dense", lambda m, h: m.lm_head(h),
        "attention.LayerNorm", "attention.attn.q attention.attn.k attention.attn.v",
    ),
    "albert": Family(
        lambda: tf.AlbertForMaskedLM(
            tf.AlbertConfig(**_SIZES, embedding_size=16, num_hidden_groups=1)
        ),
        "albert.encoder.albert_layer_groups.0.albert_layers.0", "attention.dense", "ffn_output",
        lambda m, h: m.predictions(h), "attention.LayerNorm", shared=True,
    ),
    "modernbert": Family(
        lambda: tf.ModernBertForMaskedLM(
            tf.ModernBertConfig(
                **_SIZES, global_attn_every_n_layers=2, local_attention=6, pad_token_id=0,
                bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3,
            )
        ),
        "model.layers.{i}", "attn.Wo", "mlp.Wo",
        lambda m, h: m.decoder(m.head(m.model.final_norm(h))),
        qkv="attn.Wqkv",
    ),
}  # fmt: skip


def masked_model(family: str, dtype: torch.dtype = torch.float64) -> Any:
    """A random one whose effects are large enough to be seen. Shared: tests must leave it as it was."""
    return _made(family, dtype)


def masked_lm(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    """The same, looked into."""
    return _looked_into(family, dtype)


@cache
def _made(family: str, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    model = MASKED[family].make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.to(dtype)


@cache
def _looked_into(family: str, dtype: torch.dtype) -> LanguageModel:
    return LanguageModel.of(masked_model(family, dtype), tokenizer(), f"tiny {family}")


@torch.no_grad()
def plain(
    family: str, model: Any, ids: torch.Tensor, done: list[tuple[str, int, Act]]
) -> torch.Tensor:
    """Logits [pos, vocabulary] of the given model with each of ``done``: (site, layer, act)."""
    handles = [_hang(family, model, site, i, act) for site, i, act in done]
    try:
        logits: torch.Tensor = model(input_ids=ids).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return logits


def seen(family: str, model: Any, ids: torch.Tensor, site: str, layer: int) -> torch.Tensor:
    """The activation [1, pos, …] at ``site``."""
    found: list[torch.Tensor] = []

    def look(value: torch.Tensor) -> torch.Tensor:
        found.append(value.clone())
        return value

    plain(family, model, ids, [(site, layer, look)])
    return found[0]


def _hang(family: str, model: Any, site: str, i: int, act: Act) -> Any:
    if site == "embed":
        embedding = model.get_input_embeddings()
        return embedding.register_forward_hook(lambda _m, _a, out: act(out))
    of = MASKED[family]
    if site == "resid_mid" and not of.mid:
        return _between(family, model, i, act)
    module, is_input = of.module(model, site, i)
    calls = [0]

    def due() -> bool:
        calls[0] += 1
        return not of.shared or calls[0] == i + 1

    if is_input:
        return module.register_forward_pre_hook(
            lambda _m, args: (act(args[0]), *args[1:]) if due() else None
        )

    def behind(_m: Any, _a: Any, out: Any) -> Any:
        if not due():
            return None
        return (act(out[0]), *out[1:]) if isinstance(out, tuple) else act(out)

    return module.register_forward_hook(behind)


class _Both:
    """Two handles removed as one."""

    def __init__(self, *handles: Any) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def _between(family: str, model: Any, i: int, act: Act) -> Any:
    """The sum of stream and attention, where no module gives it: what is done to it is done to the part."""
    of, stream = MASKED[family], []
    layer, _ = of.module(model, "resid_pre", i)
    attn, _ = of.module(model, "attn_out", i)

    def part(_m: Any, _a: Any, out: torch.Tensor) -> torch.Tensor:
        return of.divided * (act(stream[-1] + out / of.divided) - stream[-1])

    return _Both(
        layer.register_forward_pre_hook(lambda _m, args: stream.append(args[0])),
        attn.register_forward_hook(part),
    )
