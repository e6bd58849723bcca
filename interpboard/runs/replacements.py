"""What takes an activation's place: zero, a mean, another run's, another position's; or noise on it.

The same at every site, for a whole site or one head or neuron of it, everywhere or at some positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interpboard.errors import BadParameter
from interpboard.models.crossing import at_indices
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.noise import embedding_deviation
from interpboard.runs.prompt import show_tokens
from interpboard.runs.record import Run, record
from interpboard.runs.strip_places import positions_at, refuse_in_strips

REPLACEMENTS = ("zero", "mean", "random", "dataset_mean", "position_mean", "resample", "noise")
_OF_THE_PROMPT = ("mean", "random", "noise")
OF_REFERENCES = ("dataset_mean", "position_mean", "resample")


@dataclass(frozen=True)
class Replacement:
    """Makes edits at ``site``. ``values[layer]`` [pos or 1, …] is put in place (``add``: added)."""

    site: str
    kind: str
    values: tuple[torch.Tensor, ...] | None = None
    add: bool = False

    def edit(
        self,
        layer: int,
        head: int | None = None,
        neuron: int | None = None,
        positions: Sequence[int] | None = None,
    ) -> Edit:
        """The edit of one layer's site, or of one head or neuron; ``positions`` None: everywhere."""
        where = None if positions is None else tuple(positions)
        if self.values is None:
            return Edit(self.site, layer, "zero", head, where, None, neuron)
        value = self.values[layer]
        if where is not None and len(value) > 1:
            value = at_indices(value, where)
        value = value if head is None else value[:, head]
        value = value if neuron is None else value[:, neuron]
        return Edit(self.site, layer, "add" if self.add else "patch", head, where, value, neuron)


@torch.no_grad()
def make_replacement(
    run: Run,
    site: str,
    kind: str,
    references: Sequence[PromptInfo] = (),
    seed: int = 0,
    scale: float = 3.0,
) -> Replacement:
    """``kind`` of replacement for the activations at ``site`` of row 0 of ``run``.

    ``zero``. ``mean``: their mean over the prompt's positions. ``random``: those of the prompt's
    positions, permuted so that none keeps its own (seeded). ``dataset_mean``: the mean over all
    positions of all ``references``. ``position_mean``: at each position the mean over the references,
    all as long as the prompt. ``resample``: one reference's, position by position (seeded choice among
    those as long as the prompt). ``noise``: Gaussian noise is added, its standard deviation ``scale``
    times that of the embeddings over the vocabulary (seeded, the same on every device). The run must
    have recorded ``site`` for those of the prompt.

    Raises ``BadParameter``, ``Unsupported``.
    """
    lm = run.lm
    if kind not in REPLACEMENTS:
        raise BadParameter(f"There is no stand-in {kind!r}.", f"Use {', '.join(REPLACEMENTS)}.")
    if (
        kind == "zero"
    ):  # needs nothing of other layers: what one lacks is refused where it is edited
        return Replacement(site, kind)
    lm.verified.require_somewhere(site)  # likewise
    if site == "pattern" and kind != "resample":
        raise BadParameter(
            f"A row of an attention pattern belongs to its query: no {kind} of them.",
            "Use zero or resample.",
        )
    if kind in _OF_THE_PROMPT:
        return _of_the_prompt(run, site, kind, seed, scale)
    refuse_in_strips(lm, f"A stand-in of reference prompts ({kind})")
    if not references:
        raise BadParameter(f"{kind} needs reference prompts.", "Give them as references.")
    return Replacement(site, kind, _of_references(run, site, kind, references, seed))


def _of_the_prompt(run: Run, site: str, kind: str, seed: int, scale: float) -> Replacement:
    own = [value[0] for value in run.sites[site]]
    places = [positions_at(run.lm, run.prompt, site, layer) for layer in range(len(own))]
    if kind == "mean":
        means = (
            value[at.start : at.stop].mean(0, keepdim=True) if at else value[:1]
            for value, at in zip(own, places, strict=True)
        )
        return Replacement(site, kind, tuple(means))
    if kind == "random":
        mixed = (_mixed(value, at, seed) for value, at in zip(own, places, strict=True))
        return Replacement(site, kind, tuple(mixed))
    generator = torch.Generator().manual_seed(seed)
    deviation = scale * embedding_deviation(run.lm)
    noise = tuple(deviation * torch.randn(value.shape, generator=generator) for value in own)
    return Replacement(site, kind, noise, add=True)


def _mixed(value: torch.Tensor, at: range, seed: int) -> torch.Tensor:
    """``value`` [pos, …], the positions ``at`` permuted."""
    if not value.numel():  # of a layer that lacks the site
        return value
    order = cycle(len(at), seed).to(value.device)
    inside = value[at.start : at.stop][order]
    return torch.cat([value[: at.start], inside, value[at.stop :]])


def _of_references(
    run: Run, site: str, kind: str, references: Sequence[PromptInfo], seed: int
) -> tuple[torch.Tensor, ...]:
    """What is put in place, by layer: [pos or 1, …]."""
    if kind == "resample":
        return _recorded(run.lm, _one_as_long(run, references, seed), site)
    if kind == "position_mean":
        _check_all_as_long(run, references)
    total: list[torch.Tensor] = []
    for prompt in references:
        activations = _recorded(run.lm, prompt, site)
        if kind == "dataset_mean":
            activations = tuple(value.sum(0, keepdim=True) for value in activations)
        total = (
            [a + b for a, b in zip(total, activations, strict=True)] if total else list(activations)
        )
    tokens = sum(len(prompt.token_ids) for prompt in references)
    count = tokens if kind == "dataset_mean" else len(references)
    return tuple(value / count for value in total)


def _recorded(lm: LanguageModel, prompt: PromptInfo, site: str) -> tuple[torch.Tensor, ...]:
    return tuple(value[0] for value in record(lm, prompt, (site,), partly=True).sites[site])


def _check_all_as_long(run: Run, references: Sequence[PromptInfo]) -> None:
    for prompt in references:
        if len(prompt.token_ids) != len(run.prompt.token_ids):
            raise BadParameter(
                f"The prompt has {len(run.prompt.token_ids)} tokens, a reference "
                f"{len(prompt.token_ids)}: {show_tokens(prompt.tokens)}.",
                "Give references that are equally long, or use dataset_mean.",
            )


def _one_as_long(run: Run, references: Sequence[PromptInfo], seed: int) -> PromptInfo:
    length = len(run.prompt.token_ids)
    fitting = [prompt for prompt in references if len(prompt.token_ids) == length]
    if not fitting:
        lengths = ", ".join(str(len(prompt.token_ids)) for prompt in references)
        raise BadParameter(
            f"No reference prompt has the prompt's {length} tokens (they have {lengths})."
        )
    generator = torch.Generator().manual_seed(seed)
    return fitting[int(torch.randint(len(fitting), (1,), generator=generator))]


def cycle(length: int, seed: int) -> torch.Tensor:
    """A random cyclic order: every position gets another one's (if there is another)."""
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved
