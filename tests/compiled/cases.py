"""Compiled programs opened once, and analyses of them run once, for all tests of a process."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from interpboard import Result, load_model_and_tokenizer, open_model
from interpboard.analyze import analyze
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from tests.compiled.compiler import HARD, SOFT
from tests.compiled.folder import write
from tests.compiled.programs import PROGRAMS, TRUTHS

WAYS = {
    "hard": (HARD, False),
    "soft": (SOFT, False),
    "rotated": (SOFT, True),
    "hard_rotated": (HARD, True),
}


@cache
def opened(program: str, way: str = "hard", dtype: str = "float64") -> LanguageModel:
    """The model, from a folder that is written for it. Shared: tests must leave it as it was.

    The soft models prove themselves. The hard ones have the same modules and take over what those proved:
    where a softmax is saturated an edit of a random prompt may change nothing that is looked at.
    """
    with tempfile.TemporaryDirectory() as folder:
        write(PROGRAMS[program], Path(folder), *WAYS[way])
        if way in ("soft", "rotated"):
            return open_model(folder, device="cpu", dtype=dtype)
        model, tokenizer = load_model_and_tokenizer(folder, "cpu", dtype)
    twin = opened(program, "soft" if way == "hard" else "rotated", dtype)
    return replace(twin, model=model, tokenizer=tokenizer, anatomy=find_anatomy(model))


def request(program: str) -> MetricRequest:
    """The logit of the answer, or of the answer against the foil."""
    truth = TRUTHS[program]
    name = "logit" if truth.foil is None else "logit_diff"
    return MetricRequest(name, truth.target, truth.foil)


def found(
    program: str, analysis: str, way: str = "hard", dtype: str = "float64", **params: Any
) -> Result:
    """One analysis of the program's prompt."""
    return _found(program, analysis, way, dtype, json.dumps(params))


@cache
def _found(program: str, analysis: str, way: str, dtype: str, params: str) -> Result:
    lm = opened(program, way, dtype)
    given = {analysis: json.loads(params)}
    return analyze(lm, TRUTHS[program].prompt, [analysis], request(program), given).results[0]
