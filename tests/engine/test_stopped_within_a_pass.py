"""A job that is cancelled in the middle of a pass ends at the next layer, forward and backward."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.engine import protocol
from interpboard.engine.jobs import Queue
from interpboard.engine.outbox import Outbox
from interpboard.engine.worker import Worker
from interpboard.errors import Cancelled
from interpboard.results import MetricRequest, Result
from tests.lm import TEXT, fingerprint, tiny_lm

pytestmark = pytest.mark.usefixtures("changed_on_purpose")  # layers are counted by hooks


class Cancelling(Queue):
    """Cancelled once ``heard`` has as many layers as are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.let_through = 0

    def cancelled(self) -> bool:
        return 0 < self.let_through <= len(self.heard)


def stopped_in(name: str, let_through: int) -> list[str]:
    """The layers that were run, and those that a backward pass came to, of a job that was cancelled then."""
    queue, lm = Cancelling(), tiny_lm("gpt2")
    worker = Worker(Outbox(io.BytesIO()), queue)
    worker.lm = lm

    def begun(index: int) -> Any:
        def hook(_module: Any, args: Any) -> None:
            queue.heard.append(f"into {index}")
            if args[0].requires_grad:
                args[0].register_hook(lambda _gradient: queue.heard.append(f"back to {index}"))

        return hook

    hooks = [
        layer.register_forward_pre_hook(begun(index))
        for index, layer in enumerate(lm.anatomy.layers)
    ]
    before = fingerprint(lm)
    try:
        queue.let_through = let_through
        with pytest.raises(Cancelled):
            worker._run(protocol.RunAnalysis(1, name, TEXT))
    finally:
        for hook in hooks:
            hook.remove()
    assert fingerprint(lm) == (before[0], before[1] - 1000 * len(hooks))
    return queue.heard


def test_the_run_of_the_prompt_stops_behind_the_layer_that_is_under_way() -> None:
    assert stopped_in("logit_lens", 1) == ["into 0"]
    assert stopped_in("logit_lens", 2) == ["into 0", "into 1"]


def test_a_backward_pass_stops_as_well() -> None:
    there = ["into 0", "into 1", "into 2"]
    heard = stopped_in("saliency", 7)
    assert heard == [*there, *there, "back to 2"]


@pytest.mark.parametrize("name", ["saliency", "head_ablation"])
def test_the_same_job_then_gives_what_it_would_have_given(name: str) -> None:
    stopped_in(name, 2)
    lm, queue = tiny_lm("gpt2"), Cancelling()
    worker = Worker(Outbox(io.BytesIO()), queue)
    worker.lm = lm
    told: list[Any] = []
    worker.outbox.send = lambda event, **_how: told.append(event)  # type: ignore[method-assign]
    worker._run(protocol.RunAnalysis(2, name, TEXT))
    found: Result = next(event.result for event in told if isinstance(event, protocol.Finished))
    (expected,) = analyze(lm, TEXT, (name,), MetricRequest()).results
    np.testing.assert_array_equal(found.values, expected.values)
