"""Runs grids and a lens of a model on a device that there is not, and counts what makes a host wait for it.

In a process of its own, since a backend that is registered with torch stays. Prints, as JSON by task: the
steps, what came back, what was sent other than by ``crossing``, and other waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.circuits.lens import reading
from interpboard.circuits.lens.logit import lens_rows
from interpboard.errors import NotFinite
from interpboard.models.language_model import LanguageModel
from interpboard.patching.causal_tracing import restorations
from interpboard.results import MetricRequest
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import CLEAN, Run, record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT
from tests.fake_devices import FIRST, Moves, counting_moves, place
from tests.models.divided_in_two import llama
from tests.tiny import tiny_tokenizer

METRICS: dict[str, Metric] = {}
A_STEP = 60  # tokens: several rows, and several steps
CELLS = 20  # of a grid: a few steps of them


def counted(moves: Moves, work: Callable[[], int]) -> dict[str, Any]:
    """What ``work`` made move; it gives the number of its steps."""
    work()  # keys and values, and what is asked once of a metric
    for counter in (moves.counted, moves.unannounced, moves.waits):
        counter.clear()
    steps = work()
    return {
        "steps": steps,
        "back": moves.counted["pretend:0", "cpu"],
        "sent": moves.counted["cpu", "pretend:0"],
        "unannounced": sum(moves.unannounced.values()),
        "waits": dict(moves.waits),
    }


def grids(run: Run, moves: Moves) -> dict[str, Any]:
    lm, length = run.lm, len(run.prompt.token_ids)
    layers, heads = range(lm.anatomy.n_layers), range(lm.anatomy.n_heads)
    samples = len(run.edits) - 1
    restored = restorations([value[0] for value in run.sites["resid_post"]], "resid_post", 1)
    cells: dict[str, tuple[list[Counterfactual], Sequence[int]]] = {
        "head grid": ([(Edit("z", at, head=head),) for at in layers for head in heads], ()),
        "patching": (
            [
                (Edit("z", at, "patch", head=head, value=run.sites["z"][at][1][:, head]),)
                for at in layers
                for head in heads
            ],
            (),
        ),
        "patching by position": (
            [
                (Edit("z", at, "patch", positions=(p, p + 2), value=run.sites["z"][at][1],
                      by_position=True),)
                for at in layers
                for p in range(length - 3)
            ],
            (),
        ),
        "causal trace": (
            restored * samples,
            [row + 1 for row in range(samples) for _ in restored],
        ),
    }  # fmt: skip
    return {
        f"{name} of {measure}": counted(moves, partial(grid, run, measure, some, base))
        for measure in ("logit", "prob")
        for name, (some, base) in cells.items()
    }


def grid(run: Run, measure: str, cells: list[Counterfactual], base: Sequence[int] = ()) -> int:
    """The steps of ``cells``."""
    foil = {"foil": "#3"} if measure == "logit_diff" else {}
    if measure not in METRICS:  # what is asked once of a metric is asked by the first
        asked = MetricRequest(measure, **foil)
        METRICS[measure] = resolve_metric(run.lm, run.prompt, asked)
    metric, steps = METRICS[measure], []

    def hear(which: list[int], values: np.ndarray) -> None:
        steps.append(len(which))
        metric.unless_rounding(values, 0.0)

    some = slice(None, None, 1 + (len(cells) - 1) // CELLS)
    cells, base = cells[some], base[some]
    evaluate(run, cells, metric, base=base or None, on_values=hear, tokens_a_step=A_STEP)
    return len(steps)


def every_edit(run: Run, moves: Moves) -> dict[str, Any]:
    """A grid of each kind of edit that analyses make, and of each metric."""
    lm, length = run.lm, len(run.prompt.token_ids)
    layers, tokens = range(lm.anatomy.n_layers), range(1, length)
    heads = [(at, head) for at in layers for head in range(lm.anatomy.n_heads)]
    stream, z = run.sites["resid_post"][0][0], run.sites["z"]
    behind = [(at, token) for at in layers for token in range(1, length - 1)]
    cells: dict[str, list[Counterfactual]] = {
        "tokens": [
            (Edit("embed", 0, "patch", positions=(at,), value=stream, by_position=True),)
            for at in tokens
        ],
        "units hidden": [
            tuple(Edit("pattern", at, "block", positions=(asking,), keys=(seen,)) for at in layers)
            for asking in tokens
            for seen in range(asking)
        ],
        "heads that see less": [
            (Edit("pattern", at, "block", head=head, positions=(asking,), keys=(0,)),)
            for at, head in heads
            for asking in tokens
        ],
        "patterns": [(Edit("pattern", at, head=head),) for at, head in heads],
        "keys": [
            (Edit("k", at, "patch", head=0, positions=(token,), value=z[at][1][token : token + 1, 0]),)
            for at, token in behind
        ],
        "queries": [(Edit("q", at, head=head),) for at, head in heads],
        "values": [(Edit("v", at, head=0, positions=(token,)),) for at, token in behind],
        "neurons": [(Edit("neuron", at, neuron=own),) for at in layers for own in range(8)],
        "MLPs' means": [
            (Edit("mlp_out", at, "patch", positions=(token,), value=stream.mean(0, keepdim=True)),)
            for at, token in behind
        ],
        "added to the stream": [
            (Edit("resid_pre", at, "add", positions=(token,), value=stream[:1]),)
            for at, token in behind
        ],
        "pairs of heads": [
            (Edit("z", at, head=head), Edit("z", other, head=another))
            for number, (at, head) in enumerate(heads)
            for other, another in heads[:number]
        ],
    }  # fmt: skip
    found = {
        name: counted(moves, partial(grid, run, "logit", some)) for name, some in cells.items()
    }
    ablated: list[Counterfactual] = [(Edit("z", at, head=head),) for at, head in heads]
    for measure in ("logit_diff", "logprob", "kl", "rank"):
        found[measure] = counted(moves, partial(grid, run, measure, ablated))
    return found


def lens(run: Run, moves: Moves) -> dict[str, Any]:
    """At one step, and at one a position."""
    rows, found = lens_rows(run, 0, "resid_post"), {}
    for name, logits in (("one step", 1 << 22), ("many steps", 1)):
        reading._LOGITS_A_STEP["pretend"] = logits

        def read(logits: int = logits) -> int:
            reading.read_lens(run.lm, rows, 5, 3, SILENT)
            return 1 if logits > 1 else rows.shape[1]

        found[name] = counted(moves, read)
    return found


def refused(run: Run) -> bool:
    """Whether a lens that reads what is not finite says so, though it looks at the end alone."""
    try:
        reading.read_lens(run.lm, lens_rows(run, 0, "resid_post") * float("inf"), 5, 3, SILENT)
    except NotFinite:
        return True
    return False


def main() -> None:
    with counting_moves() as moves, torch.no_grad():
        model = llama()
        place(model, FIRST)
        lm = LanguageModel.of(model, tiny_tokenizer(), "placed")
        prompt = make_prompt(lm, "The Eiffel Tower is located in the city of")
        noised = embedding_noise(lm, (1, 2), 3.0, 2, 0)
        run = record(lm, prompt, ("z", "resid_post"), (*CLEAN, *noised))
        said = {"path": lm.verified.path, "grids": grids(run, moves), "lens": lens(run, moves)}
        said["every edit"] = every_edit(run, moves)
        said["refused"] = refused(run)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
