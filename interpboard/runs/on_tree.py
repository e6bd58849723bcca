"""The same edits of many prompts at once: on the tree of what they begin with.

A counterfactual that does the same to every prompt, at every position, is one row over the nodes of their
tree (``prefix_tree``): what prompts have in common runs once for all of them, and in the last layer nothing
runs but the nodes at which a metric is read. Layers called so are held against the recorded run each time;
all edited runs of the first tree of a length against those of its first prompt alone. Where that does not
agree, or anything is not finite, there is no answer, and each prompt is run by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from interpboard.models.calls import LayerCall
from interpboard.models.crossing import back, to_device
from interpboard.models.faster_passes import faster_passes
from interpboard.models.kept_tensors import Kept
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.proof.rounding import agrees
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.tree_calls import called_at, keys_and_values_of, of_nodes, tree_call
from interpboard.models.unembedding import residual_to_logits, residual_to_some_logits
from interpboard.results import PromptInfo
from interpboard.runs.batch import Batch
from interpboard.runs.clean_rows import SUM_ORDERS
from interpboard.runs.clean_trees import NODES, runs_on_trees
from interpboard.runs.edits import Counterfactual, start_of
from interpboard.runs.joins import BEHIND_ATTENTION
from interpboard.runs.metrics import Metric
from interpboard.runs.prefix_tree import PrefixTree, trees_of
from interpboard.runs.record import CLEAN, Run
from interpboard.runs.replay import evaluate
from interpboard.runs.rounding import rounding
from interpboard.runs.steps import StepSize
from interpboard.runs.together import Together
from interpboard.runs.watch import SILENT, Watch

_STEPS = 2  # at once: what a step of a prompt has for its keys and values, a tree has for none


@dataclass(frozen=True, eq=False)
class _Tree:
    """``run``: the clean run of the tree, a single row of all nodes. ``ends``: the node of each metric."""

    run: Run
    ends: torch.Tensor


@torch.no_grad()
def evaluate_together(
    shared: Together,
    prompts: Sequence[PromptInfo],
    counterfactuals: Sequence[Counterfactual],
    metrics: Sequence[Metric],
    watch: Watch = SILENT,
) -> np.ndarray | None:
    """Each prompt's metric of each counterfactual [prompt, counterfactual], as ``evaluate`` has it for one;
    None where these are not to be had together.

    ``prompts``: of ``shared``. The same is done to all of them: edits behind attention, at every position.
    """
    lm, length = shared.lm, len(prompts[0].token_ids)
    proved = lm.verified
    whole = shared.whole() if _may(lm, counterfactuals) else None
    if whole is None or not shared.lengths.trees.get(length, True):
        return None
    values = np.full((len(prompts), len(counterfactuals)), np.nan)
    size = StepSize(lm, None)
    for chosen, clean, nodes in _trees(shared, prompts, whole):
        own = [metrics[i] for i in chosen]
        try:
            with faster_passes(lm.anatomy, proved):
                run = clean if clean is not None else _on_nodes(whole, nodes)
                found = _evaluated(_tree(run, nodes, own), counterfactuals, own, size, watch)
        except MISFIT as error:
            if isinstance(error, RuntimeError) and out_of_memory(error):
                raise
            found = None
        if found is None:
            shared.lengths.trees[length] = False
        if found is None or not np.isfinite(found).all():
            return None
        if length not in shared.lengths.trees:
            alone = _alone(shared, prompts[chosen[0]], counterfactuals, own[0])
            shared.lengths.trees[length] = alone is not None and _same(found[0], alone, own[0])
            if not shared.lengths.trees[length]:
                return None
        values[chosen] = found
    return values


def _may(lm: LanguageModel, counterfactuals: Sequence[Counterfactual]) -> bool:
    return runs_on_trees(lm) and all(
        edit.site in BEHIND_ATTENTION
        and edit.positions is None
        and (edit.kind == "zero" or (edit.value is not None and len(edit.value) == 1))
        for counterfactual in counterfactuals
        for edit in counterfactual
    )


def _trees(
    shared: Together, prompts: Sequence[PromptInfo], whole: Run
) -> Iterator[tuple[list[int], Run | None, PrefixTree]]:
    """Trees of ``prompts``, the paths of each in its nodes, with its clean run where it is there."""
    asked: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        asked.setdefault(shared.row_of(prompt), []).append(i)
    for tree in shared.trees():
        pairs = [(at, i) for at, row in enumerate(tree.rows) for i in asked.get(row, ())]
        if pairs:
            paths = tree.nodes.nodes[[at for at, _ in pairs]]
            yield [i for _, i in pairs], tree.run, replace(tree.nodes, nodes=paths)
    if shared.trees():
        return
    for chosen, nodes in trees_of([prompt.token_ids for prompt in prompts], NODES):
        rows = torch.tensor([shared.row_of(prompts[i]) for i in chosen])
        yield chosen, None, nodes.of_rows(rows)


def _on_nodes(whole: Run, nodes: PrefixTree) -> Run:
    """The clean run ``whole`` on ``nodes``. Raises ``ValueError`` where layers give something else there."""
    rows, positions, seen = nodes.rows, nodes.positions, nodes.seen
    calls = tuple(tree_call(call, rows, positions, seen) for call in whole.calls)
    final = of_nodes(whole.resid_final, rows, positions)
    for call, behind in zip(calls, [*(each.hidden[:] for each in calls[1:]), final], strict=True):
        if not agrees(call.replay(call.hidden[:]), behind.to(call.device)):
            raise ValueError("a layer gives something else on a tree")
    attended = tuple(
        replace(each, z=Kept(of_nodes(each.z.tensor, rows, positions), each.z.device))
        for each in whole.attended
    )
    return replace(whole, edits=CLEAN, calls=calls, resid_final=final, sites={}, attended=attended)


def _tree(run: Run, nodes: PrefixTree, metrics: Sequence[Metric]) -> _Tree:
    """``run`` of ``nodes``, with where ``metrics`` are read. Raises ``ValueError`` where the last layer gives
    something else there by itself."""
    ends = nodes.nodes[range(len(metrics)), [metric.info.position for metric in metrics]]
    last = run.calls[-1]
    made = keys_and_values_of(last, last.hidden[:], _linear_attention(run))
    at_ends = called_at(last, last.hidden[:][:, ends], ends, made)
    if not agrees(at_ends, run.resid_final[:, ends].to(at_ends.device)):
        raise ValueError("the last layer gives something else at the ends of a tree")
    return _Tree(run, ends)


def _evaluated(
    tree: _Tree,
    counterfactuals: Sequence[Counterfactual],
    metrics: Sequence[Metric],
    size: StepSize,
    watch: Watch,
) -> np.ndarray:
    """[metric, counterfactual]."""
    nodes, lm = tree.run.calls[0].hidden.shape[1], tree.run.lm
    found = np.empty((len(metrics), len(counterfactuals)))
    order = sorted(range(len(counterfactuals)), key=lambda i: start_of(counterfactuals[i]))
    a_step = _STEPS * size.rows(0, nodes)
    for begin in range(0, len(order), a_step):
        chosen = order[begin : begin + a_step]
        batch = _TreeBatch(tree, [counterfactuals[i] for i in chosen])
        ended = batch.ended(watch)
        values = _of_metrics(lm, ended, metrics)
        values = values.masked_fill(~batch.tally.finite_on(values.device), torch.nan)
        found[:, chosen] = back(values)[0].numpy()
    return found


class _TreeBatch(Batch):
    """Counterfactuals on a tree: as on a prompt, but that of the last layer only the ends run."""

    def __init__(self, tree: _Tree, rows: list[Counterfactual]) -> None:
        nodes = tree.run.calls[0].hidden.shape[1]
        super().__init__(tree.run, rows, [0] * len(rows), 0, nodes)
        self.ends = tree.ends
        self._made: tuple[torch.Tensor, torch.Tensor] | None = None

    def ended(self, watch: Watch) -> torch.Tensor:
        """The last residual stream [row, end, d_model]."""
        last = self.run.lm.anatomy.n_layers - 1
        starts = [start_of(row) for row in self.rows]
        hidden = self.run.resid_final[:0]
        for layer in range(starts[0], last + 1):
            joining = [row for row, start in enumerate(starts) if start == layer]
            if joining:
                fresh = self._layer_input(layer, joining)
                hidden = torch.cat([hidden.to(fresh.device), fresh])
            watch.check()
            hidden = (
                self._layer(layer, hidden, joining, 0)
                if layer < last
                else self._last(hidden, joining)
            )
            self.tally.hear(f"layer {layer}", hidden)
        return hidden

    def _last(self, hidden: torch.Tensor, joining: list[int]) -> torch.Tensor:
        call = self.run.calls[-1]
        attending = len(hidden) - len(joining)
        # Before any edit is made in the layer: all of them lie behind its attention.
        self._made = None
        if attending:
            attention = _linear_attention(self.run)
            self._made = keys_and_values_of(call, hidden[:attending], attention)
        self.only_ends = True
        ends = to_device(self.ends, hidden.device)
        return self._layer(len(self.run.calls) - 1, hidden[:, ends], joining, 0)

    def _called(self, call: LayerCall, hidden: torch.Tensor, attending: int | None) -> torch.Tensor:
        if not self.only_ends or self._made is None:  # with none attending no mask is looked at
            return super()._called(call, hidden, attending)
        return called_at(call, hidden, self.ends, self._made)

    def _kept_heads(self, z: Kept, rows: list[int]) -> torch.Tensor:
        kept = super()._kept_heads(z, rows)
        return kept[:, to_device(self.ends, kept.device)] if self.only_ends else kept


def _linear_attention(run: Run) -> nn.Module | None:
    """The last layer's, where keys and values were proved to be a linear map of what it is given."""
    return run.lm.anatomy.attention[-1] if run.lm.verified.absorbed else None


def _of_metrics(lm: LanguageModel, ended: torch.Tensor, metrics: Sequence[Metric]) -> torch.Tensor:
    """[metric, row], in float64, of the last streams ``ended`` [row, metric, d_model]."""
    asked = [metric.tokens for metric in metrics]
    alike = len({len(tokens or ()) for tokens in asked}) == 1
    if lm.verified.some_logits and alike and asked[0] is not None:
        tokens = sorted({token for own in asked for token in own or ()})
        at = {token: i for i, token in enumerate(tokens)}
        flat = residual_to_some_logits(lm.anatomy, ended.flatten(0, 1), torch.tensor(tokens))
        logits = flat.unflatten(0, ended.shape[:2])
        columns = torch.tensor([[at[token] for token in own or ()] for own in asked])
        places = to_device(columns, logits.device).expand(len(logits), -1, -1)
        own_logits = logits.gather(-1, places)
        values = metrics[0].of_tokens(own_logits).T
    else:
        values = torch.stack([
            metric.of(residual_to_logits(lm.anatomy, ended[:, i]))
            for i, metric in enumerate(metrics)
        ])  # fmt: skip
    return values.double()


def _alone(
    shared: Together, prompt: PromptInfo, counterfactuals: Sequence[Counterfactual], metric: Metric
) -> np.ndarray | None:
    run = shared.run(shared.lm, prompt, ())
    return None if run is None else evaluate(run, counterfactuals, metric)


def _same(found: np.ndarray, alone: np.ndarray, metric: Metric) -> bool:
    """Whether both are the same metrics, but for rounding in another order."""
    dtype = metric.clean_logits.dtype
    size = 1 + np.abs(alone).max()
    if metric.tokens is not None:  # a difference of logits rounds as they do
        size += float(metric.clean_logits[list(metric.tokens)].abs().max())
    return bool((np.abs(found - alone) <= SUM_ORDERS * rounding(dtype, size)).all())
