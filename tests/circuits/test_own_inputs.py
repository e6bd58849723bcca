"""A slice of a fused projection that is another head's is found out before any edge is scored."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers as tf

from interpboard.circuits.discovery import edge_runs
from interpboard.circuits.discovery.edge_runs import proved_wiring
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from tests.lm import tiny_lm
from tests.tiny import tiny_tokenizer


def bigcode(*, multi_query: bool) -> LanguageModel:
    torch.manual_seed(0)
    config = tf.GPTBigCodeConfig(
        n_layer=1, n_head=4, n_embd=16, vocab_size=420, n_positions=32, multi_query=multi_query
    )
    return LanguageModel.of(tf.GPTBigCodeForCausalLM(config).eval(), tiny_tokenizer(), "bigcode")


def test_a_projection_whose_heads_lie_interleaved_is_refused() -> None:
    # Queries, keys and values of one head after the other: all edges and none come out right all the same.
    with pytest.raises(Unsupported, match="cannot be told apart by heads"):
        proved_wiring(bigcode(multi_query=False))


def test_the_same_family_with_one_key_for_all_heads_is_not() -> None:
    (projection,) = proved_wiring(bigcode(multi_query=True)).layers[0].projections
    assert projection.heads == (4, 1, 1)


@pytest.mark.parametrize("family", ["llama", "opt"])
def test_maps_of_two_letters_taken_for_each_other_are_refused(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm(family)
    right = edge_runs.find_wiring(lm)

    def swapped(_lm: LanguageModel) -> object:
        first, keys, values = right.layers[0].projections
        wrong = replace(right.layers[0], projections=(first, values, keys))
        return replace(right, layers=(wrong, *right.layers[1:]))

    assert proved_wiring(lm).layers == right.layers
    monkeypatch.setattr(edge_runs, "find_wiring", swapped)
    with pytest.raises(Unsupported, match="told apart by heads"):
        proved_wiring(lm)
