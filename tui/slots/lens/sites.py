"""Where the plain lens reads: the word beside a layer, and what a cell then is."""

from __future__ import annotations

SITE_TITLES = {
    "resid_post": ("", "if the model ended after the layer"),
    "resid_pre": ("pre", "if the model ended before the layer"),
    "attn_out": ("attn", "of what attention adds"),
    "resid_mid": ("mid", "if the model ended between attention and MLP"),
    "mlp_out": ("MLP", "of what the MLP adds"),
}
