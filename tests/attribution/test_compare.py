"""Methods row by row: each row is the method itself, and what cannot be is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.attribution.compare import COMPARED_METHODS, compare_attributions
from interpboard.errors import BadParameter, Cancelled, Unsupported
from interpboard.registry import ANALYSES
from interpboard.results import LabelledArray
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_each_row_is_the_method_as_a_share_of_its_largest(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    before = fingerprint(lm)
    found = compare_attributions(lm, prompt, metric)
    assert found.axes[0].labels == tuple(COMPARED_METHODS)
    for row, scores, name in zip(
        found.values, found.extra["scores"].values, COMPARED_METHODS, strict=True
    ):
        alone = COMPARED_METHODS[name](lm, prompt, metric).values
        np.testing.assert_allclose(scores, alone, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(row * np.abs(alone).max(), alone, rtol=1e-7, atol=1e-12)
        assert np.abs(row).max() == pytest.approx(1)
    agreement = found.extra["rank_agreement"].values
    np.testing.assert_allclose(np.diag(agreement), 1)
    np.testing.assert_allclose(agreement, agreement.T)
    assert fingerprint(lm) == before


def test_what_the_model_lacks_is_left_out_by_name_unless_it_was_asked_for() -> None:
    lm, prompt, metric = case("gemma2")
    found = compare_attributions(lm, prompt, metric)
    assert "value_weighted_rollout" not in found.axes[0].labels
    assert any("Left out value_weighted_rollout" in warning for warning in found.warnings)
    with pytest.raises(Unsupported):
        compare_attributions(lm, prompt, metric, methods=["value_weighted_rollout"])


def test_rows_come_one_after_the_other_and_a_cancel_is_heard() -> None:
    lm, prompt, metric = case()
    seen: list[int] = []

    def hear(_done: int, _total: int, partial: LabelledArray | None) -> None:
        if partial is not None:
            seen.append(len(partial.values))

    compare_attributions(lm, prompt, metric, methods=["saliency", "occlusion", "lrp"],
                         watch=Watch(hear))  # fmt: skip
    assert seen == [1, 2]
    with pytest.raises(Cancelled):
        compare_attributions(lm, prompt, metric, watch=Watch(cancelled=lambda: True))


def test_unknown_methods_are_refused_and_the_registry_knows_them_all() -> None:
    with pytest.raises(BadParameter, match="no method tea"):
        compare_attributions(*case(), methods=["tea"])
    with pytest.raises(BadParameter, match="to compare"):
        compare_attributions(*case(), methods=[])
    (own,) = ANALYSES["compare_attributions"].parameters
    assert own.choices == tuple(COMPARED_METHODS)
