"""What takes the place of an ablated head's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from interpboard.errors import BadParameter
from interpboard.results import PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.prompt import make_prompt, show_tokens
from interpboard.runs.record import Run, record

STRATEGIES = ("zero", "mean", "random", "dataset_mean", "position_mean", "resample")
OF_THE_PROMPT = ("mean", "random")
OF_REFERENCES = ("dataset_mean", "position_mean", "resample")

Replace = Callable[[int, int], Edit]


def replacement(run: Run, strategy: str, references: Sequence[str] = (), seed: int = 0) -> Replace:
    """A function of (layer, head) that gives the edit ablating that head at every position.

    ``zero``: nothing. ``mean``: the head's mean output over the prompt's positions. ``random``: its
    outputs at the prompt's positions, permuted (seeded). ``dataset_mean``: its mean over all positions
    of all ``references``. ``position_mean``: at each position its mean over the ``references`` there,
    which must all be as long as the prompt. ``resample``: its outputs on one of the ``references``
    (seeded choice among those as long as the prompt), position by position. The run must have recorded
    ``z`` for the strategies of the prompt. Raises ``BadParameter``.
    """
    if strategy not in STRATEGIES:
        raise BadParameter(f"There is no ablation {strategy!r}.", f"Use {', '.join(STRATEGIES)}.")
    if strategy in OF_REFERENCES and not references:
        raise BadParameter(
            f"The ablation {strategy} needs reference prompts.", "Give them as references."
        )
    if strategy == "zero":
        return lambda layer, head: Edit("z", layer, "zero", head)
    values = _values(run, strategy, references, seed)
    return lambda layer, head: Edit("z", layer, "patch", head, value=values[layer][:, head])


def reference_texts(references: str | Sequence[str]) -> list[str]:
    """Reference prompts given as a list, or as text with one a line (empty lines left out)."""
    lines = references.splitlines() if isinstance(references, str) else references
    return [line for line in lines if line]


def _values(
    run: Run, strategy: str, references: Sequence[str], seed: int
) -> tuple[torch.Tensor, ...]:
    """What is put in place, by layer: [pos or 1, head, d_head]."""
    if strategy == "mean":
        return tuple(z[0].mean(0, keepdim=True) for z in run.sites["z"])
    if strategy == "random":
        order = _derangement(len(run.prompt.token_ids), seed)
        return tuple(z[0][order.to(z.device)] for z in run.sites["z"])
    if strategy == "resample":
        return tuple(
            z[0] for z in record(run.lm, _equally_long(run, references, seed), ("z",)).sites["z"]
        )
    prompts = [make_prompt(run.lm, text) for text in references]
    by_position = strategy == "position_mean"
    if by_position:
        _check_all_as_long(run, prompts)
    recorded = [record(run.lm, prompt, ("z",)).sites["z"] for prompt in prompts]
    return tuple(
        torch.stack([sites[layer][0] for sites in recorded]).mean(0)
        if by_position
        else torch.cat([sites[layer][0] for sites in recorded]).mean(0, keepdim=True)
        for layer in range(run.lm.anatomy.n_layers)
    )


def _check_all_as_long(run: Run, prompts: Sequence[PromptInfo]) -> None:
    for prompt in prompts:
        if len(prompt.token_ids) != len(run.prompt.token_ids):
            raise BadParameter(
                f"The prompt has {len(run.prompt.token_ids)} tokens, a reference "
                f"{len(prompt.token_ids)}: {show_tokens(prompt.tokens)}.",
                "Give references that are equally long, or use dataset_mean.",
            )


def _equally_long(run: Run, references: Sequence[str], seed: int) -> PromptInfo:
    length = len(run.prompt.token_ids)
    prompts = [make_prompt(run.lm, text) for text in references]
    fitting = [prompt for prompt in prompts if len(prompt.token_ids) == length]
    if not fitting:
        lengths = ", ".join(str(len(prompt.token_ids)) for prompt in prompts)
        raise BadParameter(
            f"No reference prompt has the prompt's {length} tokens (they have {lengths})."
        )
    generator = torch.Generator().manual_seed(seed)
    return fitting[int(torch.randint(len(fitting), (1,), generator=generator))]


def _derangement(length: int, seed: int) -> torch.Tensor:
    """A random cyclic order: every position gets another one's output (if there is another)."""
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved
