"""A program that computes about a prompt of 1,000 tokens with so much more memory and no more.

``python -m tests.little_memory WHAT MIB``: the limit is the system's, on the addresses of this process, and
is set once a short prompt of the same was computed.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.errors import Unaffordable
from interpboard.models import memory
from interpboard.models.language_model import LanguageModel
from interpboard.runs import steps
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from tests.tiny import tiny_tokenizer

LONG = " ".join(["a b c d"] * 125)


def long_lm(**shape: int) -> LanguageModel:
    """A GPT-2 of this shape that takes prompts of 1,024 tokens."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = tf.GPT2Config(vocab_size=420, n_positions=1024, **shape)
    return LanguageModel.of(tf.GPT2LMHeadModel(config).eval(), tiny_tokenizer(), "long")


def limited(mib: int) -> None:
    """From here on so much more than is taken now."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = taken + mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def patterns(mib: int) -> None:
    """Patterns of all heads read and patched. Prints what was computed."""
    lm = long_lm(n_layer=4, n_head=16, n_embd=64)
    patched = {"corrupted": LONG.replace("d", "e", 1), "site": "pattern"}
    wanted: dict[str, dict[str, Any]] = {
        "activation_patching": patched,
        "attribution_patching": patched,
        "attention_rollout": {},
        "value_weighted_rollout": {},
    }
    analyze(lm, "a b c", ("predictions", "saliency"))
    limited(mib)
    for name, params in wanted.items():
        (found,) = analyze(lm, LONG, (name,), params={name: params}).results
        print(name, found.values.shape)


def circuit(mib: int) -> None:
    """The circuit of a wide model. Prints how many edges have a score."""
    lm = long_lm(n_layer=2, n_head=32, n_embd=512)
    wanted = {"corrupted": LONG.replace("d", "e", 1), "method": "eap", "sizes": [300]}
    analyze(lm, "a b c d", ("circuit",), params={"circuit": {**wanted, "corrupted": "a b c e"}})
    limited(mib)
    (found,) = analyze(lm, LONG, ("circuit",), params={"circuit": wanted}).results
    print(found.values.shape)


def neurons(mib: int) -> None:
    """Neurons of all layers patched, to first order; the two that matter most measured."""
    steps.MEMORY_A_STEP = 1 << 27
    lm = long_lm(n_layer=8, n_head=2, n_embd=32, n_inner=4096)
    wanted = {"corrupted": LONG.replace("d", "e", 1), "site": "neuron", "verify": 2}
    short = {"attribution_patching": {**wanted, "corrupted": "a b a"}}
    analyze(lm, "a b c", ("attribution_patching",), params=short)
    limited(mib)
    analyzed = analyze(lm, LONG, ("attribution_patching",), params={"attribution_patching": wanted})
    print(analyzed.results[0].values.shape)


def refused(mib: int) -> None:
    """All patterns recorded where there is no room for them. Prints why not, and records as many as would
    have it."""
    lm = long_lm(n_layer=6, n_head=16, n_embd=64)
    prompt = make_prompt(lm, "a b " * 300)
    limited(mib)
    try:
        record(lm, prompt, ("pattern",))
    except Unaffordable as error:
        print(len(prompt.token_ids), error)
        fits = int(str(error).split(" to ")[1].split()[0])
        advised = replace(prompt, token_ids=prompt.token_ids[:fits], tokens=prompt.tokens[:fits])
        print("and", len(record(lm, advised, ("pattern",)).sites["pattern"]), "layers of", fits)


def allowed(mib: int) -> None:
    """A tensor of half of what an analysis may take. Prints what it may take before it and behind."""
    os.environ["INTERPBOARD_MEMORY_MIB"] = str(mib)
    memory.begin_allowance(torch.device("cpu"))
    before = memory.free_memory(torch.device("cpu"))
    taken = torch.ones(mib << 17)
    print(before, memory.free_memory(taken.device))


WHAT: dict[str, Callable[[int], None]] = {
    "allowed": allowed,
    "patterns": patterns,
    "circuit": circuit,
    "neurons": neurons,
    "refused": refused,
}

if __name__ == "__main__":
    WHAT[sys.argv[1]](int(sys.argv[2]))
