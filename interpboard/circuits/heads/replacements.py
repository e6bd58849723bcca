"""What takes the place of an ablated head's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from interpboard.errors import BadParameter
from interpboard.runs import replacements
from interpboard.runs.edits import Edit
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import Run

HEAD_REPLACEMENTS = ("zero", "mean", "random", "dataset_mean", "position_mean", "resample")
OF_THE_PROMPT = ("mean", "random")
_OF_REFERENCES = replacements.OF_REFERENCES

Replace = Callable[[int, int], Edit]


def head_replacement(
    run: Run, ablation: str, references: Sequence[str] = (), seed: int = 0
) -> Replace:
    """A function of (layer, head) that gives the edit ablating that head at every position.

    The ablations are those of ``runs.replacements`` but ``noise``, at ``z``. The run must have recorded
    ``z`` for those that are means or draws of the prompt. Raises ``BadParameter``.
    """
    if ablation not in HEAD_REPLACEMENTS:
        raise BadParameter(
            f"There is no ablation {ablation!r}.", f"Use {', '.join(HEAD_REPLACEMENTS)}."
        )
    if ablation in _OF_REFERENCES and not references:
        raise BadParameter(
            f"The ablation {ablation} needs reference prompts.", "Give them as references."
        )
    needed = references if ablation in _OF_REFERENCES else ()
    prompts = [make_prompt(run.lm, text) for text in needed]
    return replacements.make_replacement(run, "z", ablation, prompts, seed).edit
