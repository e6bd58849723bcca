"""Models of ``benchmarks.sizes`` as people have them: packed, with an adapter, partly on disk.

The same random weights are written to a folder and opened as the command line opens a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from benchmarks.engines.interpboard import opened, words_of
from benchmarks.sizes import built
from interpboard.models.language_model import LanguageModel, open_model

RANK = 8
KINDS = ("plain", "4bit", "8bit", "int8", "adapter", "merged", "disk", "demo")


def of_kind(
    kind: str, name: str, folder: Path, device: str = "cpu", dtype: str = "float32"
) -> LanguageModel:
    """The model ``name`` as it is where it is one of ``KINDS``; ``demo``: the one that is shipped. What has
    to be written lies in ``folder``. Tokens are the ids as words."""
    if kind == "demo":
        return opened(open_model("demo", device, dtype).model, "demo")
    model = built(name, device, dtype)
    if kind == "plain":
        return opened(model, name)
    given: Mapping[str, Any]
    if kind in ("adapter", "merged"):
        given = {"adapters": _adapter(model, folder / "adapter"),
                 "adapter_state": "on" if kind == "adapter" else "merged"}  # fmt: skip
    elif kind == "disk":
        (folder / "map.json").write_text(json.dumps(_every_other_on_disk(model)), encoding="utf-8")
        given = {"device_map": str(folder / "map.json")}
    else:
        given = {"quantize": kind}
    model.save_pretrained(folder / name)
    words_of(model).save_pretrained(folder / name)
    del model
    with redirect_stderr(StringIO()):
        return open_model(folder / name, device, dtype, **given)


def _every_other_on_disk(model: Any) -> dict[str, str]:
    """A place for each module: of the layers every second is on disk."""
    layers = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList))
    inside = next(path for path, module in model.named_modules() if module is layers)
    above = inside.rpartition(".")[0]
    places = {f"{inside}.{i}": "disk" if i % 2 else "cpu" for i in range(len(layers))}
    beside = model.get_submodule(above).named_children()
    places |= {f"{above}.{own}": "cpu" for own, module in beside if module is not layers}
    return {**places, "lm_head": "cpu"}


def _adapter(model: Any, folder: Path) -> str:
    """A LoRA adapter of rank ``RANK`` on the projections of attention and MLP, with random matrices."""
    import peft

    ends = ("q_proj", "v_proj", "o_proj", "down_proj", "c_attn", "c_proj")
    there = {path.rpartition(".")[2] for path, _ in model.named_modules()}
    asked = peft.LoraConfig(
        r=RANK, task_type="CAUSAL_LM", target_modules=[end for end in ends if end in there]
    )
    wrapped = peft.get_peft_model(model, asked)
    with torch.no_grad():
        for parameter in (p for path, p in wrapped.named_parameters() if "lora_B" in path):
            parameter.normal_(std=0.02)
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    wrapped.unload()
    return str(folder)
