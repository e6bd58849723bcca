"""Circuits of maps that round their inputs (LLM.int8): edges are what plain hooks find them to be."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.examples import read_examples
from interpboard.circuits.discovery.whole_rows.evaluator import RowEvaluator
from interpboard.errors import Unaffordable, Unsupported
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.module_hooks import on_output
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests import masked
from tests.lm import TEXT, fingerprint
from tests.masked import masked_model
from tests.models.test_encoders import tokenizer
from tests.models.test_quantised import CORRUPTED, needs, opened, wide

OTHER = TEXT.replace("Tower", "city")
HEADS, KV_HEADS, SIZE = 4, 2, 16


@cache
def encoder() -> LanguageModel:
    """A masked model that norms its sums, in LLM.int8."""
    needs("bitsandbytes", "accelerate")
    folder = Path(mkdtemp()) / "bert"
    masked_model("bert").save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return open_model(folder, "cpu", "float64", quantize="8bit")


@cache
def exact() -> LanguageModel:
    """In float64, where a sum in another order rounds to no other 8-bit number."""
    needs("bitsandbytes", "accelerate")
    return open_model(wide(), "cpu", "float64", quantize="8bit")


def evaluator(lm: LanguageModel, ablation: str = "corrupted", n: int = 1) -> EdgeEvaluator:
    lines = [
        {"clean": TEXT, "corrupted": corrupted, "target": "a", "foil": "b"}
        for corrupted in (CORRUPTED, OTHER)
    ]
    return EdgeEvaluator.of(lm, tokenize_examples(lm, read_examples(lines[:n])), ablation=ablation)


class _Plain:
    """Runs of the packed model by plain hooks: what parts write is kept, put in, and looked at."""

    def __init__(self, lm: LanguageModel) -> None:
        self.model = lm.model
        self.places = {"embed": (self.model.model.layers[0], True)}  # module, whether its input
        for number, layer in enumerate(self.model.model.layers):
            self.places |= {
                f"{number}.z": (layer.self_attn.o_proj, True),
                f"{number}.mlp": (layer.mlp, False),
                f"{number}.q": (layer.self_attn.q_proj, False),
                f"{number}.k": (layer.self_attn.k_proj, False),
                f"{number}.v": (layer.self_attn.v_proj, False),
            }
        self.written = [p for p in self.places if p == "embed" or p[2:] in ("z", "mlp")]
        prompt = make_prompt(lm, TEXT)
        metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", "a", "b"))
        assert metric.info.against is not None
        self.answer, self.foil = metric.target_id, metric.info.against.id
        self.ids = [input_ids(lm, make_prompt(lm, text)) for text in (TEXT, CORRUPTED)]
        self.kept = [self.run(ids, {}, self.written)[1] for ids in self.ids]

    @torch.no_grad()
    def run(
        self, ids: torch.Tensor, put: dict[str, torch.Tensor], looked_at: list[str]
    ) -> tuple[float, dict[str, torch.Tensor]]:
        found: dict[str, torch.Tensor] = {}
        handles = []

        def act(name: str, value: torch.Tensor) -> torch.Tensor:
            if name in looked_at:
                found[name] = value.clone()
            return put.get(name, value)

        for name, (module, is_input) in self.places.items():
            if is_input:
                handles.append(module.register_forward_pre_hook(
                    lambda _m, args, name=name: (act(name, args[0]), *args[1:])))  # fmt: skip
            else:
                handles.append(module.register_forward_hook(
                    lambda _m, _args, out, name=name: act(name, out)))  # fmt: skip
        try:
            logits = self.model(input_ids=ids, use_cache=False).logits[0, -1]
        finally:
            for handle in handles:
                handle.remove()
        return float(logits[self.answer] - logits[self.foil]), found

    def without(self, sender: str, receiver: str) -> float:
        """The sender as on the other prompt, others held; what the receiver then does, in the clean run."""
        clean, other = self.kept
        layer, _, part = sender.partition(".")
        name = sender if part in ("", "mlp") else f"{layer}.z"
        changed = clean | {name: _at(clean[name], other[name], part if name[2:] == "z" else "")}
        if receiver == "output":
            return self.run(self.ids[0], changed, [])[0]
        layer, part, *letter = receiver.split(".")
        place = f"{layer}.{letter[0]}" if letter else receiver
        own = self.run(self.ids[0], {k: v for k, v in changed.items() if k != place}, [place])[1]
        plain = self.run(self.ids[0], {}, [place])[1][place]
        return self.run(self.ids[0], {place: _at(plain, own[place], part if letter else "")}, [])[0]


def _at(clean: torch.Tensor, own: torch.Tensor, head: str) -> torch.Tensor:
    if not head:
        return own
    new = clean.clone()
    places = slice(int(head) * SIZE, (int(head) + 1) * SIZE)
    new[..., places] = own[..., places]
    return new


def test_taking_an_edge_away_is_a_path_patch_by_plain_hooks() -> None:
    lm = exact()
    found, by_hand, before = evaluator(lm), _Plain(lm), fingerprint(lm)
    graph = found.wiring.graph
    differed, tried = 0, list(zip(*graph.pairs, strict=True))[::19]
    for sender, receiver in tried:
        edges = graph.edges.copy()
        edges[sender, receiver] = False
        expected = by_hand.without(graph.senders[sender], graph.receivers[receiver])
        assert found.value(edges) == pytest.approx(expected, rel=1e-7, abs=1e-9)
        differed += abs(expected - found.on_clean) > 1e-6
    assert differed > len(tried) / 2
    assert fingerprint(lm) == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_edges_are_the_model_and_none_the_reference(dtype: str, ablation: str) -> None:
    """Prompt by prompt, and with the rounding of a plain run to the last bit."""
    found = evaluator(exact() if dtype == "float64" else opened("8bit"), ablation, 2)
    graph = found.wiring.graph
    assert [len(batch.cases) for batch in found.batches] == [1, 1]
    near = 1e-9 if dtype == "float64" or ablation == "corrupted" else 1e-3
    assert found.value(graph.edges) == pytest.approx(found.on_clean, abs=near)
    assert found.value(np.zeros_like(graph.edges)) == pytest.approx(found.on_reference, abs=near)
    assert abs(found.on_clean - found.on_reference) > 0.01


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
def test_so_it_is_in_an_encoder_that_norms_its_sums(ablation: str) -> None:
    lm = encoder()
    assert "LLM.int8" in lm.info.quantization
    lines = [{"clean": masked.TEXT, "corrupted": masked.OTHER, "target": "paris", "foil": "rome"}]
    cases = tokenize_examples(lm, read_examples(lines))
    found = RowEvaluator.over_rows(lm, cases, "logit_diff", ablation)
    graph = found.wiring.graph
    assert found.value(graph.edges) == pytest.approx(found.on_clean, abs=1e-9)
    assert found.value(np.zeros_like(graph.edges)) == pytest.approx(found.on_reference, abs=1e-9)
    assert abs(found.on_clean - found.on_reference) > 1e-3


def test_a_circuit_says_what_its_scores_and_what_its_shares_are_of() -> None:
    (result,) = analyze(
        opened("8bit"), TEXT, ["circuit"], params={"circuit": {"corrupted": CORRUPTED}}
    ).results
    assert any("rounds what its maps are given" in said for said in result.warnings)
    assert np.isfinite(result.values).all()
    assert result.extra["faithfulness"].values[[0, -1]] == pytest.approx([0, 1], abs=1e-6)
    (other,) = analyze(
        opened("int8"), TEXT, ["circuit"], params={"circuit": {"corrupted": CORRUPTED}}
    ).results
    assert not other.warnings


def test_an_input_of_a_head_that_is_not_its_own_slice_is_refused() -> None:
    lm = exact()
    module = lm.anatomy.attention[1].q_proj
    with (
        on_output(module, lambda out: out.roll(SIZE, -1)),
        pytest.raises(Unsupported, match="not available"),
    ):
        evaluator(lm)


def test_streams_without_room_are_refused_with_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = exact()
    monkeypatch.setattr("interpboard.models.memory.free_memory", lambda _device: 100_000)
    with pytest.raises(Unaffordable, match=r"What is read in \d+ tokens is .* are free. Shorten"):
        evaluator(lm)
