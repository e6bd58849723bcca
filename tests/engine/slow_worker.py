"""A worker whose analysis ``slow`` takes as long as it is told, in steps: for tests of the pipe.

It is the real worker with one more entry in the registry, so loading, threads and frames are real.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from interpboard.engine import worker
from interpboard.registry import ANALYSES, Analysis
from interpboard.registry.parameter import Parameter
from interpboard.results import Axis, LabelledArray, Result
from interpboard.runs.provenance import made_by
from interpboard.runs.watch import SILENT, Watch


def slow(
    _lm: Any, _prompt: Any, metric: Any, *, steps: int, fate: str, watch: Watch = SILENT
) -> Result:
    """``steps`` steps of 10 ms; partial values count up."""
    axes = (Axis("step", tuple(str(i) for i in range(steps))),)
    values = np.full(steps, np.nan)
    for step in range(steps):
        watch.step(step, steps, LabelledArray(axes, values.copy()))
        if fate == "print" and step == 0:
            print("a library that prints", flush=True)
            os.system("echo and its child too")
        if fate == "bug":
            raise ZeroDivisionError("on purpose")
        if fate == "deaf":
            time.sleep(60)
        time.sleep(0.01)
        values[step] = step
    return Result("slow", {}, metric.info, None, axes, values, {}, 0.0, made_by("forward"))


if __name__ == "__main__":
    ANALYSES["slow"] = Analysis(
        "slow", "Slow", "tests.engine.slow_worker:slow", ("step",), "counts", "diverging",
        parameters=(Parameter("steps", int, 3, ""), Parameter("fate", str, "", "")),
    )  # fmt: skip
    worker.main()
