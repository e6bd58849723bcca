"""Recording many edited rows, a portion at a time, so that what is kept of them stays within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import check_smaller_may_fit
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.record import Run, record


def record_first(
    lm: LanguageModel,
    prompt: PromptInfo,
    rows: Sequence[Counterfactual],
    most: int,
    sites: Sequence[str] = (),
    site_rows: int | None = None,
) -> Run:
    """Record the first ``most`` of ``rows``, or fewer where memory is short: see the run's ``batch``.

    ``sites`` and ``site_rows`` as in ``record``. Raises ``OutOfMemory`` if one row alone does not fit.
    """
    while True:
        try:
            return record(lm, prompt, sites, rows[:most], site_rows=site_rows)
        except RuntimeError as error:
            check_smaller_may_fit(error, most)
        most = (min(most, len(rows)) + 1) // 2
