"""The metric of the clean run, of several prompts at once: by itself each costs a dozen small passes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch

from interpboard.errors import OutOfMemory
from interpboard.models.memory import memory_named
from interpboard.runs.metrics import Metric


@torch.no_grad()
def know_baselines(metrics: Sequence[Metric]) -> None:
    """Let each of ``metrics`` have its ``baseline``, the same to the last bit as it finds by itself.

    Of those that read the logits of as many tokens, by one rule: others, and any with a logit that is not
    finite, are left to themselves; so are all where there is no memory for their logits together.
    """
    alike: dict[tuple[str, int, torch.dtype, torch.device, int], list[Metric]] = {}
    for metric in metrics:
        if metric.tokens is not None:
            logits = metric.clean_logits
            key = metric.info.name, len(metric.tokens), logits.dtype, logits.device, len(logits)
            alike.setdefault(key, []).append(metric)
    for some in alike.values():
        with suppress(OutOfMemory), memory_named("The metric of several prompts", "Ask for fewer."):
            _know(some)


def _know(metrics: Sequence[Metric]) -> None:
    logits = torch.stack([metric.clean_logits for metric in metrics])
    places = torch.tensor([metric.tokens for metric in metrics]).to(logits.device)
    values = metrics[0].of_tokens(logits.gather(-1, places)).tolist()
    for metric, value, fine in zip(
        metrics, values, logits.isfinite().all(-1).tolist(), strict=True
    ):
        if fine:  # −∞ is a token that the model masks, anything else no answer
            vars(metric)["baseline"] = float(value)  # where its cached property keeps it
