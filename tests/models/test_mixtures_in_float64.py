"""Mixtures of experts open in float64, for which torch has no grouped product."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.language_model import LanguageModel, open_model
from tests.mixtures import TEXT, asked, mixture
from tests.tiny import tiny_tokenizer


@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3"])
def test_a_mixture_opens_in_float64_with_its_experts_one_by_one(
    family: str, tmp_path: Path
) -> None:
    narrow = mixture(family)
    narrow.model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    lm = open_model(tmp_path, "cpu", "float64")
    assert any("one by one" in note for note in lm.info.notes)
    assert "router" in lm.verified.at(1)
    assert asked(lm, TEXT)[1].baseline == pytest.approx(asked(narrow, TEXT)[1].baseline, rel=1e-5)
    assert not any(
        "one by one" in note for note in open_model(tmp_path, "cpu", "float32").info.notes
    )


def test_a_model_that_is_handed_over_in_groups_is_refused_by_name() -> None:
    with pytest.raises(NotALanguageModel, match="cannot run in torch"):
        mixture("mixtral", torch.float64, "grouped_mm")
    assert isinstance(mixture("mixtral", torch.float64, "eager"), LanguageModel)
