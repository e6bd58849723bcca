"""A row says where in its layer it is: patching is before a layer, tracing after it, and 3 alone is both."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.results import Axis, LabelledArray, layer_axis, token_axis
from interpboard.results.sites import layer_label, rows_said, with_sites
from interpboard.visualization import export
from interpboard.visualization.terminal import render
from tests import sample

CASES = (
    ("causal_trace", {"state": "resid", "subject": [1]}, "out"),
    ("causal_trace", {"state": "mlp", "subject": [1]}, "MLP"),
    ("causal_trace", {"state": "attn", "subject": [1]}, "attn"),
    ("activation_patching", {"site": "resid_pre"}, "in"),
    ("activation_patching", {"site": "resid_mid"}, "mid"),
    ("activation_patching", {"site": "resid_post"}, "out"),
    ("activation_patching", {"site": "mlp_out"}, "MLP"),
    ("attribution_patching", {"site": "attn_out"}, "attn"),
)


def grid(analysis: str, params: dict[str, object]) -> object:
    axes = (layer_axis(3), token_axis(sample.TOKENS))
    values = np.linspace(-1, 2, 27).reshape(3, 9)
    extra = {"metric": LabelledArray(axes, values + 1)}
    return sample.result(analysis, axes, values, extra, params=params)


@pytest.mark.parametrize(("analysis", "params", "word"), CASES, ids=str)
def test_text_markdown_and_html_write_the_site_in_the_heads_of_the_rows(
    analysis: str, params: dict[str, object], word: str
) -> None:
    document = sample.document(grid(analysis, params))
    text = render(document, 100)
    assert [f"\n{word} {layer} " in text for layer in range(3)] == [True] * 3
    markdown = export.markdown(document)
    assert [f"\n| `{word} {layer}` |" in markdown for layer in range(3)] == [True] * 3
    html = export.html(document)
    assert [f">{word} {layer}" in html for layer in range(3)] == [True] * 3
    assert f"rows: {rows_said(document.results[0])}" in text.replace("\n", " ")
    assert f"{word}:" in rows_said(document.results[0])


@pytest.mark.parametrize(("analysis", "params", "word"), CASES, ids=str)
def test_json_and_csv_keep_the_number_of_the_layer(
    analysis: str, params: dict[str, object], word: str
) -> None:
    document = sample.document(grid(analysis, params))
    again = type(document).from_json(export.json_text(document))
    assert again.results[0].axes[0].labels == ("0", "1", "2")
    assert f"{word} 1" not in export.csv_text(document)


def test_figures_write_it_too() -> None:
    pytest.importorskip("matplotlib")
    result = grid("causal_trace", {"state": "resid", "subject": [1]})
    axes = result.plot().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["out 0", "out 1", "out 2"]
    moving = result.plot_interactive()
    assert list(moving.layout.yaxis.ticktext) == ["out 0", "out 1", "out 2"]


def test_heads_stay_layers_and_a_lens_says_it_where_it_is_not_after_the_layer() -> None:
    heads = (layer_axis(3), Axis("head", ("0", "1")))
    z = sample.result("activation_patching", heads, np.zeros((3, 2)), params={"site": "z"})
    assert with_sites(z) is z
    axes = (Axis("layer", ("embed", "0", "1", "final")), token_axis(sample.TOKENS))
    top = np.full((4, 9, 1), " x", dtype=object)
    extra = {"top_tokens": LabelledArray((*axes, Axis("rank", ("1",))), top)}
    for site, wanted in (("resid_post", "1"), ("resid_pre", "in 1"), ("mlp_out", "MLP 1")):
        lens = sample.result("logit_lens", axes, np.zeros((4, 9)), extra, params={"site": site})
        shown = with_sites(lens)
        assert shown.axes[0].labels == ("embed", layer_label(wanted[:-2], "0"), wanted, "final")
        assert shown.extra["top_tokens"].axes[0] == shown.axes[0]
