"""How a model's parts are wired to the residual stream: what each reads it through and writes to it.

A receiver reads the stream through the layer's norm and, in attention, its own rows of the query, key or
value projection; a head writes through its own columns of the output projection. The weights are used
where they lie: under grouped queries nothing is repeated, and a fused projection is split as a view. Packed
ones are unpacked a module at a time, each time they are asked for, perhaps in another number format.
Everything else (rotary embedding, query norms, the attention itself, the MLP) stays the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import torch
from torch import nn

from interpboard.circuits.discovery.graph import Graph
from interpboard.circuits.discovery.scaled_sums import scales_of_sums
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import Act, on_output
from interpboard.models.plain_linear import plain_linear
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body

_NORM = (
    "input_layernorm",
    "ln_1",
    "self_attn_layer_norm",
    "operator_norm",
    "attention_layernorm",
    "norm_1",
    "layernorm1",
)
_APART = (
    ("q_proj", "k_proj", "v_proj"),
    ("query", "key", "value"),
    ("q_lin", "k_lin", "v_lin"),
    ("query_proj", "key_proj", "value_proj"),
    ("q", "k", "v"),
    ("Wq", "Wk", "Wv"),
)
_FUSED = ("c_attn", "qkv_proj", "Wqkv")  # queries, keys and values one after the other
_BY_HEADS = ("in_proj", "query_key_value")  # a head's query, key and value one after the other


@dataclass(frozen=True)
class Projection:
    """One linear map whose output holds a slice for each of its receivers, in the order of the graph.

    ``by_heads``: what it makes of one head stands together, else all queries, then all keys, then all values.
    ``called``: which of its ``calls`` in a pass is of the stream; the others are of constants (deberta's
    relative positions).
    """

    module: nn.Module
    heads: tuple[int, ...]  # of each of q, k, v that it makes
    d_head: int
    by_heads: bool = False
    called: int = 0
    calls: int = 1

    @property
    def weights(self) -> tuple[torch.Tensor, ...]:
        """[head, d_head, d_model] for each of q, k, v that it makes."""
        return self._split(_known_linear(self.module)[0], 0)

    @property
    def biases(self) -> tuple[torch.Tensor | None, ...]:
        """[head, d_head] for each of them; None where it has none."""
        _, bias = _known_linear(self.module)
        if bias is None:
            return (None,) * len(self.heads)
        return self._split(bias, 0)

    @property
    def n_receivers(self) -> int:
        """Heads of all its parts."""
        return sum(self.heads)

    @contextmanager
    def on_stream(self, act: Act) -> Iterator[None]:
        """While open, ``act`` sees what the module gives of the stream, and may put something else."""
        number = count()

        def of_stream(output: torch.Tensor) -> torch.Tensor | None:
            return act(output) if next(number) % self.calls == self.called else None

        with on_output(self.module, of_stream):
            yield

    def gives(self, normed: torch.Tensor) -> torch.Tensor:
        """What the module gives [batch, pos, out] where all read ``normed`` [batch, pos, d_model], which
        hooks hear nothing of."""
        found: torch.Tensor = self.module.forward(normed)
        return found

    def project(self, normed: torch.Tensor) -> torch.Tensor:
        """What the module would give [batch, pos, out], each head reading its own ``normed`` stream
        [receiver, batch, pos, d_model]."""
        parts, first = [], 0
        for weight, bias in zip(self.weights, self.biases, strict=True):
            streams = normed[first : first + len(weight)]
            part = torch.einsum("hbpd,hed->bphe", streams, weight.to(streams))
            parts.append(part if bias is None else part + bias.to(part))
            first += len(weight)
        return self._joined(parts)

    def of_each(self, outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the module would give [batch, pos, out], of each receiver that of its own of ``outputs``."""
        parts, first = [], 0
        for letter, heads in enumerate(self.heads):
            own = (
                self._split(outputs[first + head], -1)[letter][..., head, :]
                for head in range(heads)
            )
            parts.append(torch.stack(list(own), dim=2))
            first += heads
        return self._joined(parts)

    def pull_back(self, gradient: torch.Tensor, _normed: torch.Tensor, /) -> torch.Tensor:
        """Gradient at each head's own normed stream [receiver, batch, pos, d_model] from that at the
        module's output [batch, pos, out], where all read ``_normed`` [batch, pos, d_model]."""
        parts = [
            torch.einsum("bphe,hed->hbpd", outputs, weight.to(outputs))
            for weight, outputs in zip(self.weights, self._split(gradient, -1), strict=True)
        ]
        return torch.cat(parts)

    def _joined(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.by_heads:
            return torch.stack(list(parts), dim=3).flatten(2)
        return torch.cat([part.flatten(2) for part in parts], dim=-1)

    def _split(self, outputs: torch.Tensor, dim: int) -> tuple[torch.Tensor, ...]:
        """For each of q, k, v that it makes, with [head, d_head] in place of the dimension ``dim``."""
        if self.by_heads:
            by_head = outputs.unflatten(dim, (self.heads[0], len(self.heads), self.d_head))
            return by_head.unbind(dim + 1 if dim >= 0 else dim - 1)
        parts = outputs.split([heads * self.d_head for heads in self.heads], dim=dim)
        return tuple(part.unflatten(dim, (-1, self.d_head)) for part in parts)


@dataclass(frozen=True)
class LayerWiring:
    """One layer: the norm before attention, its projections, and the output projection.

    ``rounds_to``: the narrowest number format among its maps; packed ones may multiply in another than the
    stream's. ``scale``: by what the layer multiplies what attention and MLP give before it is added; the edge
    carries it.
    """

    norm: nn.Module
    projections: tuple[Projection, ...]
    out_proj: nn.Module
    n_heads: int
    rounds_to: torch.dtype
    scale: float = field(default=1.0, kw_only=True)

    @property
    def write(self) -> torch.Tensor:
        """Each head's columns of the output projection [head, d_head, d_model]."""
        return _known_linear(self.out_proj)[0].T.unflatten(0, (self.n_heads, -1))

    def normed(self, streams: torch.Tensor) -> torch.Tensor:
        """The norm of ``streams`` [receiver, batch, pos, d_model]."""
        out: torch.Tensor = self.norm(streams.flatten(0, 1))
        return out.view(streams.shape)

    def adds(self, z: torch.Tensor) -> torch.Tensor:
        """What attention adds to the stream [batch, pos, d_model] for ``z``; hooks hear nothing of it."""
        added: torch.Tensor = self.out_proj.forward(z.flatten(2))
        return self.scaled(added)

    def written(self, z: torch.Tensor) -> torch.Tensor:
        """What heads add to the stream [head, batch, pos, d_model] for ``z`` [batch, pos, head, d_head]."""
        return self.scaled(torch.einsum("bphe,hed->hbpd", z, self.write.to(z)))

    def scaled(self, given: torch.Tensor) -> torch.Tensor:
        """What is added to the stream where attention or MLP has ``given`` it."""
        return given if self.scale == 1 else self.scale * given

    def behind_attention(self, streams: torch.Tensor) -> torch.Tensor:
        """The stream [..., pos, d_model] that goes on where ``streams`` are its sums with attention."""
        return streams

    def behind_mlp(self, streams: torch.Tensor) -> torch.Tensor:
        """Likewise of the sums with what the MLP adds."""
        return streams


@dataclass(frozen=True)
class Wiring:
    """A model as a graph of senders and receivers."""

    lm: LanguageModel
    graph: Graph
    layers: tuple[LayerWiring, ...]


def find_wiring(lm: LanguageModel) -> Wiring:
    """The wiring of ``lm``; not yet proved. Raises ``Unsupported`` naming what does not fit."""
    anatomy = lm.anatomy
    lm.verified.require_lens()
    for site in ("z", "mlp_out", "resid_pre", "resid_post"):
        if site not in lm.verified.sites:
            raise unsupported(lm, f"{site} is not available on it")
    if "resid_mid" not in lm.verified.sites:
        raise unsupported(lm, _why_no_middle(lm))
    graph = Graph(anatomy.n_layers, anatomy.n_heads, anatomy.n_kv_heads)
    layers = [_layer(lm, layer) for layer in range(anatomy.n_layers)]
    scales = scales_of_sums(lm, some_ids(lm))
    scaled = (replace(own, scale=scale) for own, scale in zip(layers, scales, strict=True))
    return Wiring(lm, graph, tuple(scaled))


def some_ids(lm: LanguageModel) -> torch.Tensor:
    """A few tokens [1, pos] for a run that shows how parts are wired."""
    return torch.arange(min(6, lm.anatomy.d_vocab), device=lm.device)[None]


@torch.no_grad()
def _why_no_middle(lm: LanguageModel) -> str:
    """Why there is no stream between attention and MLP: whether the first MLP answers what attention adds."""
    seen: list[torch.Tensor] = []
    for factor in (1.0, 2.0):
        with (
            at_site(lm.anatomy, "attn_out", 0, lambda added, factor=factor: factor * added),  # type: ignore[misc]
            at_site(lm.anatomy, "mlp_out", 0, lambda added: seen.append(added.clone())),
        ):
            run_body(lm.anatomy, some_ids(lm))
    if torch.equal(*seen):
        return "its MLPs do not read behind attention (parallel blocks)"
    return (
        "the stream between its attention and its MLPs is more than what was added: normed (post-norm, which "
        "is followed in encoders and encoder–decoders), scaled or added to"
    )


def unsupported(lm: LanguageModel, reason: str) -> Unsupported:
    """The refusal of a model whose graph would be wrong."""
    return Unsupported(
        f"Circuits are not available on {lm.info.family}: {reason}.",
        "Use activation_patching or path_patching.",
    )


def _layer(lm: LanguageModel, layer: int) -> LayerWiring:
    module, anatomy = lm.anatomy.layers[layer], lm.anatomy
    if anatomy.attn_out[layer] is not anatomy.out_proj[layer]:
        raise unsupported(lm, "it norms what attention adds, so heads do not add up")
    norm = _first(module, _NORM)
    if norm is None:
        raise unsupported(lm, "no norm before attention was found")
    projections = projections_of(lm, layer)
    rounds_to = narrowest(lm, anatomy.out_proj[layer], projections)
    return LayerWiring(norm, projections, anatomy.out_proj[layer], anatomy.n_heads, rounds_to)


def narrowest(
    lm: LanguageModel, out_proj: nn.Module, projections: tuple[Projection, ...]
) -> torch.dtype:
    """The narrowest number format among a layer's maps. Raises ``Unsupported`` where one is no plain map."""
    maps = (out_proj, *(projection.module for projection in projections))
    formats = {_plain_linear(lm, module)[0].dtype for module in maps}
    return max(formats, key=lambda dtype: torch.finfo(dtype).eps)


def projections_of(lm: LanguageModel, layer: int) -> tuple[Projection, ...]:
    """What makes queries, keys and values of a layer's stream. Raises ``Unsupported``."""
    attention, size = lm.anatomy.attention[layer], lm.anatomy.d_head[layer]
    counts = [lm.anatomy.n_heads, lm.anatomy.n_kv_heads, lm.anatomy.n_kv_heads]
    inner = {path.rpartition(".")[2]: m for path, m in attention.named_modules()}
    for names in _APART:
        if all(name in inner for name in names):
            named = zip(names, counts, strict=True)
            return tuple(_projection(lm, inner[name], [count], size) for name, count in named)
    for name in _FUSED:
        if name in inner:
            return (_projection(lm, inner[name], counts, size),)
    for name in _BY_HEADS:
        if name in inner and len(set(counts)) == 1:
            return (replace(_projection(lm, inner[name], counts, size), by_heads=True),)
    raise unsupported(lm, "its queries, keys and values cannot be told apart")


def _projection(lm: LanguageModel, module: nn.Module, counts: list[int], size: int) -> Projection:
    weight, _ = _plain_linear(lm, module)
    if weight.shape != (sum(counts) * size, lm.anatomy.d_model):
        raise unsupported(lm, f"a projection of shape {tuple(weight.shape)} does not split")
    return Projection(module, tuple(counts), size)


def _plain_linear(lm: LanguageModel, module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight [out, in] and bias of a linear map that is nothing more than that."""
    found = plain_linear(module)
    if found is None:
        raise unsupported(lm, f"{type(module).__name__} is no plain linear map")
    return found


def _known_linear(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The same of a module that was seen to be one."""
    found = plain_linear(module)
    assert found is not None
    return found


def _first(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    """The first part of ``module`` that goes by one of ``names``."""
    for name in names:
        found = getattr(module, name, None)
        if isinstance(found, nn.Module):
            return found
    return None
