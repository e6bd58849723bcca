"""Runs a model of four layers over two devices that there are not, beside the same in one place.

In a process of its own, since a backend that is registered with torch stays. Prints, as JSON, what was
proved of both, and for some lists of edits the values of both and how often something
went from one device to the other.
"""

from __future__ import annotations

import json
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

LAYERS = 4
CASES: dict[str, list[Counterfactual]] = {
    "one head": [(Edit("z", 0, head=0, positions=(3,)),)],
    "all heads of a layer": [(Edit("z", 0, head=head, positions=(3,)),) for head in range(4)],
    "every head": [(Edit("z", at, head=head),) for at in range(LAYERS) for head in range(4)],
    "every layer's stream": [(Edit("resid_post", at, positions=(2,)),) for at in range(LAYERS)],
    "keys that are hidden": [
        (Edit("pattern", at, "block", positions=(8,), keys=(1, 2)),) for at in range(LAYERS)
    ],
}


class Aligning(AlignDevicesHook):  # type: ignore[misc]
    """accelerate's own, but for the weights, which are there already."""

    def init_hook(self, module: Any) -> Any:
        return module


def llama() -> Any:
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4,
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
    body, half = model.model, LAYERS // 2
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
    for name, cells in CASES.items():
        evaluate(
            run, cells, metric, tokens_a_step=10_000
        )  # keys and values are made the first time
        before = moves.across if moves is not None else 0
        got = evaluate(run, cells, metric, tokens_a_step=10_000).tolist()
        found[name] = {"values": got, "moves": (moves.across if moves else 0) - before}
    return found


def main() -> None:
    whole = LanguageModel.of(llama(), tiny_tokenizer(), "whole")
    with counting_moves() as moves:
        lm = LanguageModel.of(divided(llama()), tiny_tokenizer(), "divided")
        found = values(lm, moves)
    said = {
        "paths": [whole.verified.path, lm.verified.path],
        "sites": whole.verified.sites == lm.verified.sites,
        "whole": values(whole),
        "divided": found,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
