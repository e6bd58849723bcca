"""What takes the place of an ablated head's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from interpboard.errors import BadParameter
from interpboard.runs import replacements as stand_ins
from interpboard.runs.edits import Edit
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import Run

STRATEGIES = ("zero", "mean", "random", "dataset_mean", "position_mean", "resample")
OF_THE_PROMPT = ("mean", "random")
OF_REFERENCES = stand_ins.OF_REFERENCES

Replace = Callable[[int, int], Edit]


def replacement(run: Run, strategy: str, references: Sequence[str] = (), seed: int = 0) -> Replace:
    """A function of (layer, head) that gives the edit ablating that head at every position.

    The strategies are those of ``runs.stand_ins`` but ``noise``, at ``z``. The run must have recorded
    ``z`` for the strategies of the prompt. Raises ``BadParameter``.
    """
    if strategy not in STRATEGIES:
        raise BadParameter(f"There is no ablation {strategy!r}.", f"Use {', '.join(STRATEGIES)}.")
    if strategy in OF_REFERENCES and not references:
        raise BadParameter(
            f"The ablation {strategy} needs reference prompts.", "Give them as references."
        )
    needed = references if strategy in OF_REFERENCES else ()
    prompts = [make_prompt(run.lm, text) for text in needed]
    return stand_ins.stand_in(run, "z", strategy, prompts, seed).edit


def reference_texts(references: str | Sequence[str]) -> list[str]:
    """Reference prompts given as a list, or as text with one a line (empty lines left out)."""
    lines = references.splitlines() if isinstance(references, str) else references
    return [line for line in lines if line]
