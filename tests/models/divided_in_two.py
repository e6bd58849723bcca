"""Runs a model of four layers over two devices that there are not, beside the same in one place.

In a process of its own, since a backend that is registered with torch stays. Prints, as JSON, what was
proved of both, and for some lists of edits the values of both and how often something went from one device
to another; the latter also of eight layers.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import torch
import transformers as tf
from accelerate.hooks import AlignDevicesHook, add_hook_to_module

from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.fake_devices import FIRST, SECOND, Moves, counting_moves, place
from tests.tiny import VOCAB, tiny_tokenizer

LAYERS, MORE_LAYERS = 4, 8


def cases(layers: int) -> dict[str, list[Counterfactual]]:
    return {
        "one head": [(Edit("z", 0, head=0, positions=(3,)),)],
        "all heads of a layer": [(Edit("z", 0, head=head, positions=(3,)),) for head in range(4)],
        "every head": [(Edit("z", at, head=head),) for at in range(layers) for head in range(4)],
        "every layer's stream": [(Edit("resid_post", at, positions=(2,)),) for at in range(layers)],
        "every head at every position": [
            (Edit("z", at, head=head, positions=(position,)),)
            for at in range(layers)
            for head in range(4)
            for position in (2, 5, 8)
        ],
        "two edits a row": [
            (Edit("k", at, head=0, positions=(2,)), Edit("mlp_out", at, positions=(4, 5)))
            for at in range(layers)
        ],
        "keys that are hidden": [
            (Edit("pattern", at, "block", positions=(8,), keys=(1, 2)),) for at in range(layers)
        ],
    }


class Aligning(AlignDevicesHook):  # type: ignore[misc]
    """accelerate's own, but for the weights, which are there already."""

    def init_hook(self, module: Any) -> Any:
        return module


def llama(layers: int = LAYERS) -> Any:
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, max_position_embeddings=64,
    )  # fmt: skip
    model = tf.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


def divided(model: Any) -> Any:
    """Half of the layers on either device, the hooks as accelerate's ``dispatch_model`` hangs them."""
    body = model.model
    half = len(body.layers) // 2
    first = (body.embed_tokens, body.rotary_emb, *body.layers[:half])
    second = (*body.layers[half:], body.norm, model.lm_head)
    for modules, device in ((first, FIRST), (second, SECOND)):
        for module in modules:
            place(module, device)
            add_hook_to_module(module, Aligning(execution_device=device))
    add_hook_to_module(model, Aligning(execution_device=FIRST, io_same_device=True))
    return model


def values(lm: LanguageModel, moves: Moves | None = None) -> dict[str, Any]:
    prompt = make_prompt(lm, "The Eiffel Tower is located in the city of")
    metric = resolve_metric(lm, prompt, MetricRequest())
    run, found = record(lm, prompt), {}
    for name, cells in cases(lm.anatomy.n_layers).items():
        # Keys and values are made the first time.
        evaluate(run, cells, metric, tokens_a_step=10_000)
        before = moves.counted.copy() if moves is not None else Counter()
        got = evaluate(run, cells, metric, tokens_a_step=10_000).tolist()
        moved = (moves.counted if moves is not None else Counter()) - before
        found[name] = {
            "values": got,
            "moves": {f"{begin} to {end}": count for (begin, end), count in moved.items()},
        }
    return found


def main() -> None:
    whole = LanguageModel.of(llama(), tiny_tokenizer(), "whole")
    with counting_moves() as moves:
        lm = LanguageModel.of(divided(llama()), tiny_tokenizer(), "divided")
        found = values(lm, moves)
        deeper = LanguageModel.of(divided(llama(MORE_LAYERS)), tiny_tokenizer(), "deeper")
        found_deeper = values(deeper, moves)
    said = {
        "paths": [whole.verified.path, lm.verified.path],
        "sites": whole.verified.sites == lm.verified.sites,
        "whole": values(whole),
        "divided": found,
        "deeper": found_deeper,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
