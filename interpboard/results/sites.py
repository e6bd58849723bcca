"""Where in a layer the rows of a result are: ``in 3`` before layer 3, ``out 3`` after it, ``MLP 3`` its part.

Activation patching exchanges the stream before a layer, causal tracing restores the one behind it: ``3``
alone would be two places. JSON and CSV keep the layer's number; the site is among the parameters there.
"""

from __future__ import annotations

import re

import msgspec

from interpboard.registry.component_names import LAYER, MLP
from interpboard.results.arrays import Axis, LabelledArray
from interpboard.results.result import Result

_LAYER = re.compile(LAYER)
_WORDS = {
    "resid_pre": "in", "resid_mid": "mid", "resid_post": "out", "resid": "out",
    "attn_out": "attn", "attn": "attn", "mlp_out": MLP, "mlp": MLP,
}  # fmt: skip
SAID = {
    "in": "in: the stream before the layer",
    "mid": "mid: the stream between attention and MLP",
    "out": "out: the stream after the layer",
    "attn": "attn: what attention adds",
    MLP: "MLP: what the MLP adds",
}


def site_word(site: str) -> str:
    """The word for a site; empty for one inside attention or the MLP, whose rows are layers."""
    return _WORDS.get(site, "")


def site_word_of(result: Result) -> str:
    """The word for the rows of ``result``; empty where its rows are no layers, or just the layers."""
    if not result.axes or result.axes[0].name != "layer":
        return ""
    site = str(result.params.get("site", result.params.get("state", "")))
    if "top_tokens" in result.extra and site == "resid_post":
        return ""  # a lens: after each layer, as its title says
    return site_word(site)


def rows_said(result: Result) -> str:
    """Where the rows of ``result`` are, in words; empty where they are just the layers."""
    return SAID.get(site_word_of(result), "")


def layer_label(word: str, label: str) -> str:
    """``in 3``; a row that is no layer, the embedding say, as it is."""
    return f"{word} {label}" if word and _LAYER.fullmatch(label) else label


def with_sites(result: Result) -> Result:
    """``result`` as it is shown: each row says where in its layer it is."""
    word = site_word_of(result)
    if not word:
        return result
    before = result.axes[0]
    after = Axis(before.name, tuple(layer_label(word, label) for label in before.labels))

    def renamed(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return tuple(after if axis == before else axis for axis in axes)

    extra = {
        name: LabelledArray(renamed(array.axes), array.values)
        for name, array in result.extra.items()
    }
    return msgspec.structs.replace(result, axes=renamed(result.axes), extra=extra)
