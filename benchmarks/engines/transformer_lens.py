"""TransformerLens: its bridge over the Hugging Face model, one forward pass a cell."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerFast

from benchmarks.engines import NOISED

NEAREST = {"gpt2": "gpt2", "llama": "meta-llama/Llama-3.2-1B"}


class Engine:
    """See ``benchmarks.engines``."""

    def __init__(self, model: Any) -> None:
        self.bridge = TransformerBridge.boot_transformers(
            NEAREST[model.config.model_type],
            hf_model=model,
            device=str(model.device),
            tokenizer=_tokenizer(),
        )
        self.device, self.dtype = model.device, model.dtype
        self.n_layers = model.config.num_hidden_layers
        self.n_heads = model.config.num_attention_heads

    def _logit(self, ids: torch.Tensor, target: int, hooks: list[Any]) -> torch.Tensor:
        logits = self.bridge.run_with_hooks(ids, fwd_hooks=hooks)
        return logits[:, -1, target].double().cpu()

    @torch.no_grad()
    def head_grid(self, ids: list[int], target: int) -> np.ndarray:
        """One ``run_with_hooks`` a head."""
        given = torch.tensor([ids], device=self.device)
        clean, values = self._logit(given, target, [])[0], []
        for layer in range(self.n_layers):
            for head in range(self.n_heads):

                def cut(z: torch.Tensor, hook: Any, head: int = head) -> torch.Tensor:
                    z = z.clone()
                    split = z if z.dim() == 4 else z.unflatten(-1, (self.n_heads, -1))
                    split[:, :, head] = 0
                    return z

                hooks = [(f"blocks.{layer}.attn.hook_z", cut)]
                values.append(self._logit(given, target, hooks)[0] - clean)
        return torch.stack(values).numpy().reshape(self.n_layers, -1)

    @torch.no_grad()
    def trace(
        self, ids: list[int], target: int, noise: np.ndarray, cells: list[tuple[int, int]]
    ) -> np.ndarray:
        """One ``run_with_hooks`` of a clean row and the noised ones a cell."""
        rows = torch.tensor([ids] * (len(noise) + 1), device=self.device)
        added = torch.tensor(noise, device=self.device, dtype=self.dtype)

        def drown(value: torch.Tensor, hook: Any) -> torch.Tensor:
            value = value.clone()
            value[1:, list(NOISED)] += added
            return value

        drowned = ("embed.hook_out", drown)
        corrupted, values = self._logit(rows, target, [drowned])[1:].mean(), []
        for layer, position in cells:

            def restore(value: torch.Tensor, hook: Any, position: int = position) -> torch.Tensor:
                value = value.clone()
                value[1:, position] = value[0, position]
                return value

            hooks = [drowned, (f"blocks.{layer}.hook_out", restore)]
            values.append(self._logit(rows, target, hooks)[1:].mean() - corrupted)
        return torch.stack(values).numpy()


def _tokenizer() -> PreTrainedTokenizerFast:
    """Never asked: prompts are made of ids. From a folder, since without one it looks for the hub's."""
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="a", eos_token="a", pad_token="a"
    )
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, add_bos_token=True)
    tokenizer.add_bos_token = True
    tokenizer.init_kwargs["name_or_path"] = folder
    tokenizer.init_kwargs["add_bos_token"] = True
    return tokenizer
