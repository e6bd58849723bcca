"""The page: what it says, that it needs nothing else, and that no string in it acts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zlib
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from interpboard.registry import ANALYSES
from interpboard.results import Axis, Document, PromptInfo, layer_axis
from interpboard.visualization.colors import MIDDLE, Scale
from interpboard.visualization.html import fragment, report
from interpboard.visualization.html.picture import mosaic
from tests import sample
from tests.html import grids

_OURS = """
html head meta link title style body header h1 h2 h3 div p b span nav a button main section article
table thead tbody tr th td small i details summary noscript img label input output select option canvas
script footer
"""
OURS = frozenset(_OURS.split())


class Page(HTMLParser):
    """Every element with its attributes, and the text outside scripts and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.data: list[dict] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""
        self._json = dict(attrs).get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text.append(data)
        elif self._inside == "script" and self._json:
            self.data.append(json.loads(data))


def words(text: str) -> str:
    return " ".join(" ".join(Page(text).text).split())


def test_every_value_of_a_grid_is_readable_without_script() -> None:
    shown = words(report(sample.full()))
    assert "-1.50" in shown
    assert (
        "effect = metric(head ablated) − metric(clean); negative: the head helped; positive: it hurt"
        in shown
    )
    assert "metric: logit of ·Paris at position 8 (·of) · clean run 12.34" in shown
    assert "·Paris 0.81" in shown
    assert "delta: 0.00123" in shown


def test_every_shape_has_a_figure_and_a_pane() -> None:
    document = grids.every_shape()
    page = Page(report(document))
    panes = [a["id"] for tag, a in page.elements if tag == "section"]
    assert panes == [f"pane-{i + 1}" for i in range(len(document.results))]
    shown = " ".join(page.text)
    for name in ("Causal trace", "attention_of_some_kind", "circuit_of_some_kind", "cube"):
        assert name in shown
    assert "+0.25" in shown or "0.25" in shown
    assert "(no values)" in shown


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_of_the_registry_has_a_figure_by_its_axes(name: str) -> None:
    axes = tuple(Axis(axis, ("0", "1", "2")) for axis in ANALYSES[name].axes)
    values = np.linspace(0.1, 0.9, 3 ** len(axes)).reshape([3] * len(axes))
    page = Page(report(sample.document(sample.result(name, axes, values))))
    figures = {a.get("class") for _, a in page.elements}
    assert figures & {"strip", "bars sortable", "grid", "lens", "slices"}
    assert ANALYSES[name].title in " ".join(page.text)


def test_a_bar_has_the_colour_of_its_sign_however_short_it_is() -> None:
    axis = (Axis("component", ("a", "b", "c")),)
    page = Page(report(sample.document(sample.result("x", axis, [10.0, -0.01, 0.01]))))
    assert [a["class"] for tag, a in page.elements if tag == "i"] == ["c8", "c0", "c8"]


def test_the_subject_is_marked_where_it_stands() -> None:
    page = report(sample.document(grids.trace()))
    marked = re.findall(r'<th scope="col" class="mark"><small>(\d)</small> ([^<\n]*)', page)
    assert marked == [("1", "·Eiffel"), ("2", "·Tower")]


def test_nothing_is_fetched_from_anywhere() -> None:
    text = report(grids.every_shape())
    page = Page(text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), (tag, target)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_only_our_script_may_run() -> None:
    text = report(sample.hostile())
    policy = next(
        a["content"] for tag, a in Page(text).elements if tag == "meta" and "http-equiv" in a
    )
    script = text[text.rindex("<script>") + len("<script>") : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


@settings(max_examples=30, deadline=None)
@given(sample.documents())
def test_no_string_becomes_an_element_and_the_numbers_are_sound_json(document: Document) -> None:
    for text in (report(document), fragment(document)):
        page = Page(text)
        assert {tag for tag, _ in page.elements} <= OURS
        assert not any(name.startswith("on") for _, a in page.elements for name in a)
        assert len(re.findall(r"<h2>", text)) == len(document.results)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_hostile_tokens_are_shown_as_text() -> None:
    text = report(sample.hostile())
    assert "&lt;script&gt;" in text
    assert "a|b`<script>" not in text
    assert "␛[31m" in text


def test_the_numbers_for_the_script_are_the_values() -> None:
    result = sample.ablation()
    data = Page(report(sample.document(result))).data[0]
    raw = base64.b64decode(data["arrays"]["value"]["data"])
    np.testing.assert_array_equal(np.frombuffer(raw, "<f8").reshape(3, 4), result.values)
    assert data["axes"][0] == {"name": "layer", "labels": ["0", "1", "2"]}


def test_many_shares_are_kept_within_a_step_of_1_in_65535() -> None:
    values = np.linspace(0, 1, 2 * 250 * 250).reshape(2, 250, 250)
    axes = (layer_axis(2), *(Axis(n, tuple(map(str, range(250)))) for n in ("query", "key")))
    data = Page(report(sample.document(sample.result("x", axes, values)))).data[0]
    raw = np.frombuffer(base64.b64decode(data["arrays"]["value"]["data"]), "<u2") / 65535
    assert np.abs(raw - values.ravel()).max() <= 0.5 / 65535 + 1e-7


def test_the_mosaic_has_a_pixel_a_value_in_its_colour() -> None:
    values = np.zeros((2, 3, 4, 5))
    values[1, 2, 3, 4], values[0, 0, 0, 0] = 1.0, -1.0
    raw = base64.b64decode(mosaic(values, Scale(1.0)).split(",")[1])
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", raw[16:24])
    assert (height, width) == (2 * 5 - 1, 3 * 6 - 1)
    start = raw.index(b"IDAT")
    (size,) = struct.unpack(">I", raw[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(raw[start + 4 : start + 4 + size]), np.uint8)
    pixels = rows.reshape(height, width + 1)[:, 1:]
    assert (pixels[0, 0], pixels[-1, -1], pixels[1, 1]) == (0, 2 * MIDDLE, MIDDLE)


def test_documents_stand_side_by_side_on_one_scale_with_their_difference() -> None:
    stronger = sample.result(
        "head_ablation", sample.ablation().axes, np.nan_to_num(sample.ablation().values) * 4
    )
    text = report([sample.document(sample.ablation()), sample.document(stronger, model="other")])
    shown = words(text)
    assert "A: demo, The Eiffel Tower" in shown
    assert "B: other, The Eiffel Tower" in shown
    assert "B − A" in shown
    assert text.count("−6</span>") == 2  # both ends of the shared scale: 4 × 1.5
    difference = Page(text).data[2]["arrays"]["value"]
    values = np.frombuffer(base64.b64decode(difference["data"]), "<f8").reshape(3, 4)
    assert values[1, 2] == -4.5


def test_results_over_other_axes_have_no_difference() -> None:
    text = report([sample.document(sample.gradients()),
                   sample.document(sample.gradients(("a", "b")), tokens=("a", "b"))])  # fmt: skip
    assert "B − A" not in words(text)


def test_a_lens_of_48_layers_and_256_tokens_has_one_bare_element_a_cell() -> None:
    tokens = tuple(f" t{i}" for i in range(256))
    text = report(sample.document(grids.lens(48, tokens), tokens=tokens))
    cells = re.findall(r"<td class=c\d>", text)
    assert len(cells) == 49 * 256
    assert len(Page(text).elements) < len(cells) + 2000
    assert len(text) < 5_000_000


def test_a_notebook_gets_the_figures_without_script() -> None:
    shown = sample.full()._repr_html_()
    assert "<script" not in shown
    assert "-1.50" in shown
    assert "<img" in sample.document(grids.attention())._repr_html_()
    assert "Head ablation" in sample.ablation()._repr_html_()


def test_a_lone_result_is_a_page_of_its_own() -> None:
    text = sample.ablation().to_html()
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>Head ablation</title>" in text


@pytest.mark.parametrize("labels", [("first", "between", "explained"), ("0", "1", "2")])
def test_what_stands_for_the_tokens_of_many_prompts_has_no_position(
    labels: tuple[str, ...],
) -> None:
    axes = (layer_axis(2), Axis("token", labels))
    own = sample.result("logit_lens", axes, np.ones((2, 3)))
    of_a_prompt = sample.document(own, tokens=("When", " Mary", " and"))
    of_rows = msgspec.structs.replace(of_a_prompt, prompt=PromptInfo("rows of ioi.toml", (), ()))
    assert "<small>1</small>" in report(of_a_prompt)
    page = report(of_rows)
    assert re.findall(r'<th scope="col">(?:<small>[^<]*</small> )?([^<\n]*)', page)[:3] == [*labels]
    assert "<small>1</small>" not in page
