"""``analyze`` on several devices: an engine on each, grids divided between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interpboard.cli.compute import ModelChoice, first_prompt
from interpboard.cli.narration import progress, quiet_libraries, stdout_aside
from interpboard.engine.divided import DividedEngines
from interpboard.errors import BadParameter

if TYPE_CHECKING:
    from interpboard.results import Chat, Document, MetricRequest


def compute_divided(
    choice: ModelChoice,
    text: str | Chat | None,
    analyses: Sequence[str],
    metric: MetricRequest,
    params: Mapping[str, Mapping[str, Any]],
    *,
    swap: tuple[str, str] | None = None,
    debug: bool = False,
) -> Document:
    """``compute`` by an engine for each of the devices, which are named with commas between them."""
    if swap is not None or choice.pair:
        raise BadParameter(
            f"{'--swap' if swap is not None else '--text-pair'} is of one device.",
            "Name one, or give --corrupted.",
        )
    devices = [name.strip() for name in choice.device.split(",")]
    options = choice._asdict() | {"options": choice.load}
    for name in ("device", "load", "pair"):
        del options[name]

    async def run(show: Callable[[str, int, int], None]) -> Document:
        show(f"opening {choice.model} on {', '.join(devices)}", 0, 0)
        async with DividedEngines(devices, on_progress=show, **options) as engines:
            prompt = first_prompt(params) if text is None else text
            return await engines.document(prompt, analyses, metric, params)

    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        return asyncio.run(run(show))
