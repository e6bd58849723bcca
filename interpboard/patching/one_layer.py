"""One layer run once more over many rows, to see what passes in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch

from interpboard.models.sites import at_site
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run, enter_edits, record
from interpboard.runs.steps import reused_in_memory
from interpboard.runs.watch import SILENT, Watch

_TOKENS_A_STEP = {"cpu": 512}
ELSEWHERE = 16384


@torch.no_grad()
def seen_in_layer(
    run: Run,
    layer: int,
    rows: Sequence[Counterfactual],
    sites: Sequence[str],
    first: int,
    stop: int,
    *,
    hidden: torch.Tensor | None = None,
    watch: Watch = SILENT,
) -> dict[str, torch.Tensor]:
    """Activations [row, stop − first, …] at ``sites`` of ``layer``, for positions ``first`` and on.

    Each row is the recorded run with its edits made. ``hidden`` [row, stop − first, d_model] is the
    layer's input where edits of earlier layers have changed it; nothing before ``first`` may change.
    Values are exact on both paths: the layer alone where it can be replayed, else whole forwards.
    """
    size = _TOKENS_A_STEP.get(run.lm.device.type, ELSEWHERE)
    begin = first if run.lm.verified.reuse else 0
    # Each row brings the keys and values of the positions before it.
    step = max(1, min(size // (stop - begin), reused_in_memory(run.lm) // max(1, begin)))
    found: dict[str, torch.Tensor] = {}
    for start in range(0, len(rows), step):
        watch.check()
        some = rows[start : start + step]
        if run.lm.verified.path == "replay":
            here = None if hidden is None else hidden[start : start + step]
            seen = _replayed(
                run, layer, some, sites, begin, stop, _input(run, layer, here, some, begin, stop)
            )
        else:
            recorded = record(run.lm, run.prompt, sites, some)
            seen = {site: recorded.sites[site][layer][:, :stop] for site in sites}
        for site, value in seen.items():
            part = value[:, value.shape[1] - (stop - first) :]
            if (
                site not in found
            ):  # whole at once: parts put together at the end would be there twice
                found[site] = part.new_empty((len(rows), *part.shape[1:]))
            found[site][start : start + len(some)] = part
    return found


def _input(
    run: Run,
    layer: int,
    hidden: torch.Tensor | None,
    rows: Sequence[Counterfactual],
    begin: int,
    stop: int,
) -> torch.Tensor:
    clean = run.calls[layer].hidden[:1, begin:stop].expand(len(rows), -1, -1)
    if hidden is None:
        return clean
    return torch.cat([clean[:, : stop - begin - hidden.shape[1]], hidden.to(clean.device)], dim=1)


def _replayed(
    run: Run,
    layer: int,
    rows: Sequence[Counterfactual],
    sites: Sequence[str],
    begin: int,
    stop: int,
    hidden: torch.Tensor,
) -> dict[str, torch.Tensor]:
    call = run.calls[layer]
    if begin:
        call.keys_and_values()
    seen: dict[str, torch.Tensor] = {}

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value.clone()

    def here(edit: Edit) -> bool:
        return edit.start == layer

    with ExitStack() as stack:
        enter_edits(stack, run.lm, rows, here, begin)
        for site in sites:
            stack.enter_context(at_site(run.lm.anatomy, site, layer, partial(keep, site)))
        base = torch.zeros(len(rows), dtype=torch.long, device=hidden.device)
        call.replay(hidden, base, begin)
    return seen
