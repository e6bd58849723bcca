"""At which layer the answer appears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

LENS_SITE = Parameter(
    "site",
    str,
    "resid_post",
    "what is read: the stream after, before or within a layer, or what a part adds",
    choices=("resid_post", "resid_pre", "resid_mid", "attn_out", "mlp_out"),
)


def _read(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The site, where it is not a stream that every run has."""
    return () if params["site"] in ("resid_pre", "resid_post") else (params["site"],)


TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="logit_lens",
        title="Logit lens",
        function="interpboard.circuits.lens.logit:logit_lens",
        records_of=_read,
        over_rows="interpboard.circuits.lens.logit:logit_lens_over_rows",
        axes=("layer", "token"),
        value="probability of the target if the model ended after the layer",
        reading=reading.LIKELIER,
        scale="probability",
        cost="passes",
        in_overview=True,
        parameters=(
            LENS_SITE,
            Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),
        ),
    ),
    Analysis(
        name="tuned_lens",
        title="Tuned lens",
        function="interpboard.circuits.lens.tuned:tuned_lens",
        axes=("layer", "token"),
        value="probability of the target after the layer, read through a map trained for that layer",
        reading=reading.LIKELIER,
        scale="probability",
        cost="passes",
        parameters=(
            Parameter("translators", str, "", "folder that tune-lens wrote, or a published one"),
            Parameter("allow_pickle", bool, False, "read a published params.pt"),
            Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),
        ),
    ),
    Analysis(
        name="tune_lens",
        title="Training a tuned lens",
        function="interpboard.circuits.lens.training_analysis:lens_training",
        axes=("layer",),
        value="KL(final ‖ layer) on the last step's text, in nats a token: 0 is the output itself; the "
        "prompt is not looked at",
        scale="diverging",
        cost="search",
        gives_way=True,
        own_measure=True,
        parameters=(
            Parameter("corpus", str, "", "a text file to train on, or a folder of them"),
            Parameter(
                "out",
                str,
                "",
                "folder for the lens; a stopped training goes on there",
                written=True,
            ),
            Parameter("steps", int, 250, "of training", minimum=1),
            Parameter("batch", int, 8, "windows of text a step", minimum=1),
            Parameter("length", int, 64, "tokens of a window", minimum=2),
            Parameter("rate", float, 1e-3, "learning rate, falling to zero", minimum=0, maximum=1),
        ),
    ),
)
