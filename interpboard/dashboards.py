"""Two dashboards over one model: which tokens mattered, and what happens when parts are changed.

Each runs analyses of the registry on a prompt and gives one ``Document``; on request it is shown (in a
notebook as figures, elsewhere as the page of the terminal) and written as an HTML report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interpboard import config
from interpboard.analyze import analyze
from interpboard.circuits.heads.compare import compare_ablations
from interpboard.errors import BadParameter
from interpboard.files.places import expanded
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.registry import find_analysis
from interpboard.results import Document, MetricRequest, Result
from interpboard.results.encoding import write_file
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.visualization.files import propose
from interpboard.visualization.show import show

Params = Mapping[str, Mapping[str, Any]]

_NO_SUBJECT = (
    "No corrupted prompt and no subject was given: every token was drowned in noise. "
    "Give corrupted=... for activation patching, or subject=... for a causal trace."
)


class Dashboard:
    """One model. ``html_path``: the report that was written last."""

    scope = "report"

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self.html_path: Path | None = None

    def _deliver(self, document: Document, visualize: bool, save_html: bool | str | Path) -> None:
        if visualize:
            show(document)
        if save_html:
            path = self._place() if save_html is True else Path(save_html)
            self.html_path = write_file(path, document.to_html())

    def _place(self) -> Path:
        folder = expanded(config.read_settings().settings.export_folder or ".")
        return propose(self.lm.info.name, self.scope, "html", folder)


class AttributionDashboard(Dashboard):
    """Which tokens mattered."""

    scope = "attribution"

    def analyze(
        self,
        text: str,
        methods: Sequence[str] = ("integrated_gradients",),
        *,
        metric: MetricRequest | None = None,
        params: Params | None = None,
        visualize: bool = False,
        save_html: bool | str | Path = False,
    ) -> Document:
        """A result a method (names of the registry) on ``text``.

        ``metric``: the logit of the model's own top token unless given. ``params``: by method.
        ``visualize`` shows the document; ``save_html`` writes it, to a path or, where True, to a new
        file in the export folder. Raises the errors of ``interpboard.errors``.
        """
        document = analyze(
            self.lm, text, methods, metric or MetricRequest(), _params(methods, {}, params)
        )
        self._deliver(document, visualize, save_html)
        return document


class AblationDashboard(Dashboard):
    """What happens when parts of the model are changed."""

    scope = "ablation"

    def analyze(
        self,
        text: str,
        analyses: Sequence[str] = ("logit_lens", "head_ablation"),
        *,
        corrupted: str | None = None,
        subject: str | Sequence[str] | Sequence[int] | None = None,
        metric: MetricRequest | None = None,
        params: Params | None = None,
        visualize: bool = False,
        save_html: bool | str | Path = False,
    ) -> Document:
        """A result an analysis (names of the registry, and ``patching``) on ``text``.

        ``patching`` is activation patching where there is a ``corrupted`` prompt, and otherwise a causal
        trace of the ``subject``; with neither, of every token, and the result's warning says so. The
        rest as in ``AttributionDashboard.analyze``.
        """
        named = [self._patching(corrupted) if name == "patching" else name for name in analyses]
        given = {"corrupted": corrupted, "subject": subject}
        if "causal_trace" in named and subject is None and "patching" in analyses:
            given["subject"] = list(range(len(make_prompt(self.lm, text).tokens)))
        document = analyze(
            self.lm, text, named, metric or MetricRequest(), _params(named, given, params)
        )
        if subject is None and given["subject"] is not None:
            document = _warn(document, "causal_trace", _NO_SUBJECT)
        self._deliver(document, visualize, save_html)
        return document

    def compare_ablations(
        self,
        prompt: str,
        strategies: Sequence[str] = ("zero", "mean", "random"),
        components: Sequence[tuple[int, int]] | None = None,
        *,
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """Effect [component, strategy] of ablating heads (layer, head); see ``compare_ablations``."""
        tokenized = make_prompt(self.lm, prompt)
        resolved = resolve_metric(self.lm, tokenized, metric or MetricRequest())
        return compare_ablations(
            self.lm, tokenized, resolved, strategies=strategies, components=components, **options
        )

    @staticmethod
    def _patching(corrupted: str | None) -> str:
        return "causal_trace" if corrupted is None else "activation_patching"


def create_unified_dashboard(
    model: str | Path | LanguageModel = "demo",
    device: str = "auto",
    dtype: str = "auto",
    *,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    ignore_unused_weights: bool = False,
    check_weights: bool = True,
    special_tokens: bool = True,
) -> tuple[AttributionDashboard, AblationDashboard]:
    """Both dashboards over one model, which is loaded once.

    ``model``: ``"demo"``, a local folder, a name on the hub, or one that is open already. ``special_tokens``
    and errors as in ``open_model``.
    """
    if isinstance(model, LanguageModel):
        lm = model
    else:
        lm = open_model(
            model,
            device,
            dtype,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            ignore_unused_weights=ignore_unused_weights,
            check_weights=check_weights,
            special_tokens=special_tokens,
        )
    return AttributionDashboard(lm), AblationDashboard(lm)


def _params(
    names: Sequence[str], given: Mapping[str, Any], params: Params | None
) -> dict[str, dict[str, Any]]:
    """``params`` with what was ``given`` for every analysis that takes it."""
    whole: dict[str, dict[str, Any]] = {}
    for name in names:
        takes = {parameter.name for parameter in find_analysis(name).parameters}
        taken = {key: value for key, value in given.items() if key in takes and value is not None}
        whole[name] = taken | dict((params or {}).get(name, {}))
    unused = [name for name in params or {} if name not in whole]
    if unused:
        raise BadParameter(
            f"There are parameters for {', '.join(unused)}, which is not among the analyses.",
            f"These are: {', '.join(whole)}.",
        )
    return whole


def _warn(document: Document, analysis: str, warning: str) -> Document:
    results = tuple(
        msgspec.structs.replace(result, warnings=(*result.warnings, warning))
        if result.analysis == analysis
        else result
        for result in document.results
    )
    return msgspec.structs.replace(document, results=results)
