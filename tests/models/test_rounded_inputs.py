"""LLM.int8 rounds what its maps are given: heads are read all the same, and the rounding has a name."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.errors import Unsupported
from interpboard.models.plain_linear import plain_linear
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from tests.lm import TEXT
from tests.models.test_quantised import opened


def test_what_rounding_of_inputs_puts_in_is_measured_and_named_beside_the_heads() -> None:
    lm = opened("8bit")
    result, units = analyze(lm, TEXT, ["direct_logit_attribution", "neurons"]).results
    baseline = resolve_metric(lm, make_prompt(lm, TEXT), MetricRequest()).baseline
    assert result.values.sum() == pytest.approx(baseline, rel=1e-4)
    parts = dict(zip(result.axes[0].labels, result.values, strict=True))
    rounding = [parts[f"L{layer} rounding"] for layer in range(3)]
    assert 0 < max(map(abs, rounding)) < 0.05 * max(map(abs, parts.values()))
    assert any(
        "rounds what attention's output projections are given" in said for said in result.warnings
    )
    # A head alone, by hand: the unpacked weight's columns, the clean norm's scale, the unembedding.
    run = record(lm, make_prompt(lm, TEXT), ("z", "attn_out"))
    weight = plain_linear(lm.anatomy.out_proj[2])[0].double()
    z, stream = run.sites["z"][2][0, -1].double(), run.resid_final[0, -1].double()
    norm = lm.anatomy.final_norm
    scale = norm.weight.double() / (stream.square().mean() + norm.variance_epsilon).sqrt()
    token = resolve_metric(lm, make_prompt(lm, TEXT), MetricRequest()).target_id
    direction = scale * lm.model.lm_head.weight.double()[token]
    size = z.shape[1]
    by_hand = [
        float(z[head] @ weight[:, head * size : (head + 1) * size].T @ direction)
        for head in range(len(z))
    ]
    assert [parts[f"L2 H{head}"] for head in range(len(z))] == pytest.approx(by_hand, rel=1e-3)
    left = float(run.sites["attn_out"][2][0, -1].double() @ direction) - sum(by_hand)
    assert parts["L2 rounding"] == pytest.approx(left, abs=1e-4)
    assert np.isfinite(units.values).all()


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_projection_that_gives_more_than_rounding_is_refused_and_not_called_rounding() -> None:
    lm = opened("8bit")
    handle = lm.anatomy.out_proj[1].register_forward_hook(lambda _m, _a, out: out * 1.5)
    try:
        with pytest.raises(Unsupported, match="more than the rounding of its inputs can"):
            analyze(lm, TEXT, ["direct_logit_attribution"])
    finally:
        handle.remove()
