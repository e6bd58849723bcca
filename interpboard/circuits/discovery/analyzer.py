"""``CircuitAnalyzer``: circuit discovery in a loaded Hugging Face model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from interpboard.circuits.discovery.behaviours import BEHAVIOURS
from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.circuits.discovery.search import circuit
from interpboard.errors import BadParameter
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt


class CircuitAnalyzer(ModelContext):
    """Circuit discovery in one model. A ``ModelContext``: usable as a context manager."""

    def discover_circuits(
        self,
        dataset: Iterable[str | tuple[str, str] | dict[str, Any] | Example] | None = None,
        target_behavior: str = "",
        **options: Any,
    ) -> Result:
        """The circuit of a behaviour; options, values and errors as in ``discovery.circuit``.

        ``dataset``: clean prompts, ``(clean, corrupted)`` pairs, or mappings with ``clean`` and any of
        ``corrupted``, ``target``, ``foil`` and ``subject``; what is left out is found as in
        ``cases.tokenize_examples``. Without a dataset ``target_behavior`` is the name of one that ships
        with the package; with one it is a name of your own, kept in the result.
        """
        if dataset is None and target_behavior not in BEHAVIOURS:
            raise BadParameter(
                f"There is no dataset for the behaviour {target_behavior!r}.",
                f"Give one, or name one of {', '.join(BEHAVIOURS)}.",
            )
        examples = [] if dataset is None else read_examples(dataset)
        prompt = make_prompt(self.lm, examples[0].clean if examples else "a")
        metric = resolve_metric(self.lm, prompt, MetricRequest())
        return circuit(
            self.lm, prompt, metric, behavior=target_behavior, dataset=examples, **options
        )
