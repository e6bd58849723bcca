"""Models of several choices, given one of them: also those whose stack of layers is found by trying."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard.analyze import analyze
from interpboard.models.language_model import LanguageModel
from interpboard.runs.prompt import make_prompt
from tests.lm import TEXT
from tests.tiny import VOCAB, tiny_tokenizer


@pytest.mark.parametrize("name", ["XLM", "Flaubert"])
def test_a_stack_that_is_tried_is_given_a_choice_and_its_score_is_the_models(name: str) -> None:
    torch.manual_seed(0)
    config = getattr(tf, f"{name}Config")(
        vocab_size=VOCAB, emb_dim=16, n_layers=2, n_heads=2, max_position_embeddings=64, n_langs=1,
        pad_index=0, eos_index=1, unk_index=3, mask_index=5, bos_index=4,
    )  # fmt: skip
    model = getattr(tf, f"{name}ForMultipleChoice")(config).eval()
    lm = LanguageModel.of(model, tiny_tokenizer())
    ids = torch.tensor([[make_prompt(lm, TEXT).token_ids]])
    with torch.no_grad():
        score = float(model(input_ids=ids).logits[0, 0])
    result = analyze(lm, TEXT, ["predictions"]).results[0]
    np.testing.assert_allclose(result.values, [score], rtol=1e-5)
