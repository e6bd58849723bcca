"""Runs of which all is kept that paths through norms of sums, and across a border, are followed by."""

from __future__ import annotations

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.strips import stands_in_source
from interpboard.models.sum_norms import norms_of_sums
from interpboard.registry.layer_names import has_mlp
from interpboard.results import PromptInfo
from interpboard.runs.joins import first_of_decoder
from interpboard.runs.record import Run, record

_SITES = ("z", "attn_out", "mlp_out")


def record_whole(lm: LanguageModel, prompt: PromptInfo) -> Run:
    """A run with all that is needed of it. Raises ``Unsupported``."""
    if lm.verified.path != "replay":
        raise Unsupported(
            "Path patching calls layers again, which on this model is not exact.",
            "Use activation_patching.",
        )
    for site in ("resid_pre", *_SITES):
        lm.verified.require_site(site)
    run = record(lm, prompt, _SITES)
    _require_sums(run)
    return run


def mlp_in_layer(run: Run, layer: int) -> bool:
    """Whether ``layer`` has one: of an encoder–decoder, not every layer does."""
    return run.lm.anatomy.strips is None or has_mlp(run.lm.anatomy.layer_names[layer])


def strip_of_layer(run: Run, layer: int) -> slice:
    """The positions of the stream of ``layer``."""
    names = run.lm.anatomy.layer_names
    if run.lm.anatomy.strips is None:
        return slice(None)
    border = run.prompt.border
    return slice(0, border) if stands_in_source(names[layer]) else slice(border, None)


@torch.no_grad()
def _require_sums(run: Run) -> None:
    """Raise ``Unsupported`` where a layer does more than its norms and the sums of its parts."""
    anatomy = run.lm.anatomy
    for layer, call in enumerate(run.calls):
        part, (mid_norm, end_norm) = strip_of_layer(run, layer), norms_of_sums(anatomy, layer)
        stream = call.hidden[:1, part] + run.sites["attn_out"][layer][:1, part]
        stream = normed_stream(mid_norm, stream)
        if mlp_in_layer(run, layer):
            stream = normed_stream(end_norm, stream + run.sites["mlp_out"][layer][:1, part])
        if anatomy.strips is not None and layer + 1 == first_of_decoder(run):
            stream = anatomy.strips.states_of(stream)
        last = layer + 1 == anatomy.n_layers
        given = run.resid_final if last else run.calls[layer + 1].hidden
        if not agrees(stream, given[:1, part].to(stream)):
            raise Unsupported(
                f"Layer {anatomy.layer_names[layer]} does not pass on its norms of what its attention and "
                "MLP add to the stream, so what is written there cannot be followed.",
                "Use activation_patching.",
            )


def normed_stream(norm: nn.Module | None, stream: torch.Tensor) -> torch.Tensor:
    """``stream`` where there is no norm."""
    return stream if norm is None else norm(stream)
