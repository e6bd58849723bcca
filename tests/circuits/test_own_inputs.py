"""A slice of a fused projection that is another head's is found out before any edge is scored."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers as tf

from interpboard.circuits.discovery import edge_runs
from interpboard.circuits.discovery.edge_runs import edge_patched, proved_wiring, record_activations
from interpboard.circuits.discovery.joint_norms import NormedProjection
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from tests.lm import tiny_lm
from tests.mixtures import mixture
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


def test_a_query_behind_a_norm_of_all_heads_is_of_its_own_edges_alone() -> None:
    lm = mixture("olmoe")
    wiring, model = proved_wiring(lm), lm.model.model
    normed = [isinstance(each, NormedProjection) for each in wiring.layers[1].projections]
    assert normed == [True, True, False]
    ids, others = torch.arange(14).reshape(2, 1, 7)
    edges = wiring.graph.edges.copy()
    edges[:, wiring.graph.receivers.index("1.1.q")] = False
    found = edge_patched(wiring, ids, record_activations(wiring, others), edges)
    plain: list[torch.Tensor] = []

    def seen(_module: object, _args: object, value: torch.Tensor) -> None:
        plain.append(value.clone())

    def other_query(_module: object, _args: object, value: torch.Tensor) -> torch.Tensor:
        return torch.cat([value[..., :8], plain[0][..., 8:]], dim=-1)

    norm = model.layers[1].self_attn.q_norm
    for tokens, hooks in (
        (others, [(norm, seen)]),
        (ids, [(model.layers[-1], seen)]),
        (ids, [(norm, other_query), (model.layers[-1], seen)]),
    ):
        handles = [module.register_forward_hook(hook) for module, hook in hooks]
        with torch.no_grad():
            model(input_ids=tokens)
        for handle in handles:
            handle.remove()
    _query, clean, expected = plain
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (expected - clean).abs().max() > 1e-3


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
