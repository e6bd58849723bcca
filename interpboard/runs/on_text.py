"""One analysis of a text, called by hand: on the run that its metric is made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, Result
from interpboard.runs.analysis import registered_name
from interpboard.runs.clean_runs import CleanRuns
from interpboard.runs.metrics import prompt_and_metric
from interpboard.runs.shared import sharing


def on_text(
    function: Callable[..., Result],
    lm: LanguageModel,
    text: str,
    metric: MetricRequest | None = None,
    /,
    **options: Any,
) -> Result:
    """``function``, an analysis, of ``text`` with ``options``. Without a metric, the logit of the model's own
    next token is explained. Raises what the analysis raises, and what ``prompt_and_metric`` does."""
    defaults = {name: each.default for name, each in inspect.signature(function).parameters.items()}
    sites = ANALYSES[registered_name(function)].records_with(defaults | options)
    with sharing(CleanRuns(lm, sites)):
        return function(lm, *prompt_and_metric(lm, text, metric), **options)
