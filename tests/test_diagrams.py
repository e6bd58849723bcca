"""Circuits drawn: what stands on the page is the circuit, and no string in it acts."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from rich.cells import cell_len

from interpboard.errors import BadParameter, BadResultFile
from interpboard.results import Axis, LabelledArray, MadeBy, MetricInfo, Result
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.circuit_page import circuit_page
from interpboard.visualization.diagrams import dot, drawing_of, layered, mermaid, svg, svg_page
from tests import sample

WAY = {
    "embed>0.1.v": 9.0, "0.1>1.0.k": 4.0, "0.1>1.mlp": -2.0, "1.0>1.mlp": 1.0, "1.0>output": 5.0,
    "1.mlp>output": -1.5,
}  # fmt: skip


def circuit(edges: dict[str, float] = WAY, outside: tuple[str, ...] = ("embed>0.0.q",)) -> Result:
    labels = (*edges, *outside)
    axis = (Axis("edge", labels),)
    inside = np.array([1] * len(edges) + [0] * len(outside))
    series = (Axis("edges", ("0", "6")),)
    return Result(
        analysis="circuit",
        params={},
        metric=MetricInfo("logit_diff", 0),
        baseline=3.0,
        axes=axis,
        values=np.array([*edges.values(), *[8.0] * len(outside)]),
        extra={
            "in_circuit": LabelledArray(axis, inside),
            "enters": LabelledArray(axis, np.where(inside == 1, 6.0, np.nan)),
            "size": LabelledArray(series, np.array([0, 6])),
            "faithfulness": LabelledArray(series, np.array([0.0, 0.9])),
        },
        elapsed_s=0.1,
        made_by=MadeBy("0", "0", "0"),
    )


def test_the_diagram_is_known_by_hand() -> None:
    lines, shown = layered(drawing_of(circuit()), PageStyle(80))
    assert len(shown.edges) == 6
    assert [line.plain.rstrip() for line in lines] == [
        "         [embed]",
        "0.1.v      ┗━━━━━┓",
        "layer 0        [H1]",
        "1.0.k      ┏━━━━━┩",
        "layer 1  [H0]    │",
        "1.mlp      ┠─────┴─────┐",
        "           ┃         [MLP]",
        "output     ┗━━━━━┱─────┘",
        "             [output]",
    ]


def test_both_stacks_of_an_encoder_decoder_are_told_apart() -> None:
    drawing = drawing_of(
        circuit({
            "E.embed>E0.1.v": 9.0, "E0.1>E0.mlp": 4.0, "E0.mlp>X1.0.k": 3.0, "D.embed>D0.0.q": 2.0,
            "D0.0>X0.mlp": -2.0, "X0.mlp>X1.0.q": 1.0, "X1.0>output": 5.0,
        }, ())
    )  # fmt: skip
    lines, _ = layered(drawing, PageStyle(80))
    assert [line.plain.rstrip() for line in lines] == [
        "encoder  [embed]",
        "E0.1.v     ┗━━━━━┓",
        "E0             [H1]",
        "E0.mlp     ┏━━━━━┛",
        "         [MLP]",
        "decoder    ┃  [embed]",
        "D0.0.q     ┃     └─────┐",
        "D0         ┃         [H0]",
        "X0.mlp     ┃     ┌─────┘",
        "           ┃   [MLP]",
        "X1.0.q     ┃     └─────┐",
        "X1.0.k     ┗━━━━━━━━━━━┪",
        "X1                   [H0]",
        "output     ┏━━━━━━━━━━━┛",
        "         [output]",
    ]
    assert [node.name for node in drawing.nodes][:4] == ["E.embed", "E0.1", "E0.mlp", "D.embed"]
    picture, text, graph = svg(drawing), mermaid(drawing), dot(drawing)
    assert picture.count("#dfe7ef") == text.count("fill:#dfe7ef") == graph.count("filled") == 3
    assert "E0 H1" in picture
    assert "D embed" in text


def test_lines_that_cross_do_not_join() -> None:
    edges = {
        "embed>0.0.v": 3.0, "embed>0.1.v": 3.0, "0.0>1.1.v": 3.0, "0.1>1.0.v": 3.0, "0.1>output": 3.0,
        "1.0>output": 3.0, "1.1>output": 3.0,
    }  # fmt: skip
    lines, _ = layered(drawing_of(circuit(edges)), PageStyle(80))
    row = next(line.plain for line in lines if line.plain.startswith("1.1.v"))
    assert "━┃━" in row


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_page(width: int, ascii_only: bool) -> None:
    edges = {f"embed>0.{h}.v": 1.0 + h for h in range(16)}
    edges |= {f"0.{h}>output": 1.0 + h for h in range(16)}
    style = PageStyle(width, ascii_only=ascii_only)
    page = list(circuit_page(circuit(edges), style))
    assert max(cell_len(line.plain) for line in page) <= width
    if ascii_only:
        assert all(line.plain.isascii() for line in page if "faithful" not in line.plain)
    _, shown = layered(drawing_of(circuit(edges)), style)
    kept = {edge.sender for edge in shown.edges} - {"embed"}
    assert "0.15" in kept  # the strongest stay
    assert all(edge.sender == "embed" or edge.sender in kept for edge in shown.edges)


def test_the_strongest_edges_stay_and_none_that_leads_nowhere() -> None:
    few = drawing_of(circuit(), most=3)
    assert {(e.sender, e.receiver) for e in few.edges} == {
        ("embed", "0.1"), ("0.1", "1.0"), ("1.0", "output"),
    }  # fmt: skip
    assert few.of == 6
    assert not drawing_of(circuit(), most=2).edges
    assert not drawing_of(circuit(), size=0).edges
    assert len(drawing_of(circuit(), size=6).edges) == 6


def test_a_shared_key_is_drawn_at_each_head_that_shares_it() -> None:
    result = circuit({"embed>0.1.k": 2.0, "0.2>output": 1.0}, ("embed>0.0.k", *(
        f"embed>0.{h}.q" for h in range(4)
    )))  # fmt: skip
    assert {e.receiver for e in drawing_of(result).edges} == {"0.2", "0.3", "output"}


def test_dot_and_mermaid_hold_every_edge_with_its_sign() -> None:
    drawing = drawing_of(circuit())
    text = dot(drawing)
    assert len(re.findall(r"^  \"[^\"]+\" -> ", text, re.M)) == 6
    assert '"0.1" -> "1.mlp" [penwidth=1.11' in text
    assert text.count("{") == text.count("}")
    chart = mermaid(drawing)
    assert chart.startswith("flowchart TD\n")
    assert len(re.findall("-->", chart)) == len(re.findall("linkStyle", chart)) == 6


def test_the_picture_is_well_formed_and_asks_for_nothing() -> None:
    root = ET.fromstring(svg(drawing_of(circuit())))
    paths = root.findall("{http://www.w3.org/2000/svg}path")
    assert len(paths) == 6
    page = svg_page(
        drawing_of(circuit()), title="<script>alert(1)</script>", caption="a & b\x1b[31m"
    )
    assert "<script" not in page
    assert "a &amp; b␛[31m" in page
    assert not re.search(r"(?:src|href)=", page)


@pytest.mark.parametrize(
    "label", ["<b>>output", 'embed>0.1.v"]', "embed>0.1.x", "", "embed>9\n.1.q"]
)
def test_edges_that_are_none_are_refused(label: str) -> None:
    with pytest.raises(BadResultFile, match="no edge of a circuit"):
        drawing_of(circuit({label: 1.0}))


def test_another_analysis_is_refused() -> None:
    with pytest.raises(BadParameter, match="is no circuit"):
        drawing_of(sample.full().results[0])
