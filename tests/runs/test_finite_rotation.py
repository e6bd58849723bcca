"""What overflows inside attention, behind its projections, is heard although fused attention hides it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import NotFinite
from interpboard.runs.prompt import make_prompt
from tests.overflow import TOO_MUCH, overflowing_rotation_lm

TEXT = "The keys to the old city of{} and"  # seven tokens, then the one whose queries are rotated


def test_queries_that_overflow_only_when_they_are_rotated_are_refused_and_empty_where_edited() -> (
    None
):
    lm = overflowing_rotation_lm()
    text = TEXT.format(TOO_MUCH)
    ids = torch.tensor([make_prompt(lm, text).token_ids])
    projected: list[bool] = []
    handle = lm.model.model.layers[1].self_attn.q_proj.register_forward_hook(
        lambda _module, _args, output: projected.append(bool(output.isfinite().all()))
    )
    assert bool(lm.model(ids).logits.isfinite().all())  # nothing else shows it
    handle.remove()
    assert projected == [True]
    for name in ("predictions", "logit_lens", "head_ablation", "attention_rollout"):
        with pytest.raises(NotFinite, match="first in the attention of layer 1"):
            analyze(lm, text, (name,))
    params = {"occlusion": {"baseline": "text", "baseline_text": TOO_MUCH}}
    (edited,) = analyze(lm, TEXT.format(" in"), ("occlusion",), params=params).results
    lost = np.isnan(edited.values)
    assert lost[7]
    assert not lost[0]  # the first position is not rotated
    assert torch.overrides._get_current_function_mode() is None
