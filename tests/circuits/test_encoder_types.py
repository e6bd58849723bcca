"""Types of heads of encoders: patterns that are written in by hand score 1, and places are no tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.encoder_types import ENCODER_SCORES
from interpboard.circuits.heads.types import head_scores
from interpboard.errors import BadParameter
from interpboard.models.sites import at_site
from interpboard.results import MetricRequest, Result
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import fingerprint
from tests.masked import HEADS, LAYERS, TEXT, masked_lm

LENGTH = 5


def _scores(family: str = "bert", length: int = LENGTH) -> Result:
    lm = masked_lm(family)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    return head_scores(lm, prompt, metric, samples=4, length=length)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_an_encoders_heads_have_scores_that_need_no_next_token(family: str) -> None:
    before = fingerprint(masked_lm(family))
    found = _scores(family)
    assert found.axes[0].labels == ENCODER_SCORES
    assert found.values.shape == (len(ENCODER_SCORES), LAYERS, HEADS)
    assert np.isfinite(found.values).all()
    assert "copying_eigenvalue" not in found.extra
    assert any("predict the next token" in warning for warning in found.warnings)
    assert fingerprint(masked_lm(family)) == before


def _wired(kinds: tuple[str, ...]) -> Result:
    """With the heads of layer 0 attending as ``kinds`` say, to one key each."""
    lm = masked_lm("bert")

    def act(pattern: torch.Tensor) -> torch.Tensor:
        count = pattern.shape[1]
        new = torch.zeros_like(pattern)
        last, ordinary = count - 1, torch.arange(1, count - 1)
        for head, kind in enumerate(kinds):
            keys = torch.arange(count)
            match kind:
                case "previous_token":
                    keys[1:] -= 1
                case "next_token":
                    keys[:-1] += 1
                case "begin_token":
                    keys[:] = 0
                case "end_token":
                    keys[:] = last
                case "duplicate_token":
                    keys[ordinary] = 1 + (ordinary - 1 + LENGTH) % (2 * LENGTH)
            new[:, torch.arange(count), head, keys] = 1
        return new

    with at_site(lm.anatomy, "pattern", 0, act):
        return _scores()


def test_heads_of_a_known_type_score_one_and_are_called_by_it() -> None:
    kinds = ("previous_token", "next_token", "begin_token", "end_token")
    found = _wired(kinds)
    for head, kind in enumerate(kinds):
        row = found.values[:, 0, head]
        assert row[ENCODER_SCORES.index(kind)] == pytest.approx(1)
        assert found.extra["label"].values[0, head] == kind
    # The place alone, whatever stands there, is no same token.
    places = _wired(("duplicate_token",) * HEADS)
    number = ENCODER_SCORES.index("duplicate_token")
    assert places.values[number, 0] == pytest.approx(1)
    assert places.extra["null"].values[number, 0] == pytest.approx(1)
    assert (places.extra["label"].values[0] == "").all()


def test_twice_the_tokens_and_those_around_them_must_fit() -> None:
    with pytest.raises(BadParameter, match=r"exceed|cannot be drawn"):
        _scores(length=19)
