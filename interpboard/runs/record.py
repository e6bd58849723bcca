"""The clean run and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.results import PromptInfo
from interpboard.runs.prompt import input_ids


@dataclass(frozen=True)
class Run:
    """One clean forward pass. ``sites[site][layer]`` are the recorded activations, batch of one.

    ``calls`` has each layer's input and arguments; ``resid_final`` [1, pos, d_model] is the output of
    the last layer, before the final norm.
    """

    lm: LanguageModel
    prompt: PromptInfo
    calls: tuple[LayerCall, ...]
    resid_final: torch.Tensor
    sites: dict[str, tuple[torch.Tensor, ...]] = field(default_factory=dict)

    def residuals(self) -> torch.Tensor:
        """[layer + 1, pos, d_model]: the input of layer 0, then the output of every layer."""
        inputs = [call.hidden[0].to(self.resid_final.device) for call in self.calls]
        return torch.stack([*inputs, self.resid_final[0]])


@torch.no_grad()
def record(lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str] = ()) -> Run:
    """Run the prompt once, keeping the layer calls and the activations at ``sites``, all layers."""
    calls: list[LayerCall] = []
    final: list[torch.Tensor] = []
    kept: dict[str, list[torch.Tensor]] = {site: [] for site in sites}
    last_layer = lm.anatomy.n_layers - 1
    with ExitStack() as stack:
        stack.enter_context(recording_calls(lm.anatomy, calls))
        stack.enter_context(at_site(lm.anatomy, "resid_post", last_layer, final.append))
        for site in sites:
            for layer in range(lm.anatomy.n_layers):
                stack.enter_context(at_site(lm.anatomy, site, layer, kept[site].append))
        lm.anatomy.base(input_ids=input_ids(lm, prompt), use_cache=False)
    return Run(
        lm, prompt, tuple(calls), final[0], {site: tuple(values) for site, values in kept.items()}
    )
