"""One spelling of a part of the model, wherever it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.heads.critical import find_critical_components
from interpboard.patching.paths import path_patching
from interpboard.registry.component_names import (
    head_label,
    mlp_label,
    neuron_label,
    shown_component,
)
from interpboard.results import Axis
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.diagrams.text import long_label
from interpboard.visualization.selections import selections
from tests import sample
from tests.lm import TEXT, case


def test_every_analysis_calls_a_head_and_an_mlp_the_same() -> None:
    lm, prompt, metric = case()
    direct = direct_logit_attribution(lm, prompt, metric).axis("component").labels
    critical = find_critical_components(lm, prompt, metric, budget=3).axis("component").labels
    assert {"L0 MLP", "L2 H3"} <= set(direct) & set(critical)
    paths = path_patching(lm, prompt, metric, corrupted=TEXT.replace("located", "cabinet"))
    layers, components = paths.axes
    assert {f"L{layers.labels[0]} {components.labels[i]}" for i in (0, -2)} <= set(direct)


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("3.7", "L3 H7"),
        ("0.mlp", "L0 MLP"),
        ("L0 mlp", "L0 MLP"),  # as results were saved before
        ("mlp", "MLP"),
        ("L2 H1", "L2 H1"),
        ("embed", "embed"),
        ("final norm bias", "final norm bias"),
    ],
)
def test_what_is_written_by_hand_or_was_saved_before_is_shown_the_same(
    written: str, label: str
) -> None:
    assert shown_component(written) == long_label(written) == label


def test_a_page_calls_heads_and_neurons_as_the_panes_do() -> None:
    neurons = (Axis("layer", ("0", "1")), Axis("neuron", tuple(map(str, range(80)))))
    values = np.zeros((2, 80))
    values[1, 7] = 3.0
    (part,) = selections(sample.result("neurons", neurons, values), PageStyle(80))
    assert part.rows[0] == (neuron_label(1, 7), 3.0)
    assert (head_label(3, 7), mlp_label(0)) == ("L3 H7", "L0 MLP")
    heads = (Axis("component", ("L0 mlp", *(f"c{i}" for i in range(60)))),)
    (part,) = selections(
        sample.result("direct_logit_attribution", heads, np.arange(61.0, 0, -1)), PageStyle(80)
    )
    assert part.rows[0][0] == "L0 MLP"
