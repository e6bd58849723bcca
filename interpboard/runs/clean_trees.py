"""The clean runs of many prompts at once, on the trees of what they begin with.

What prompts have in common is run once for all of them (``prefix_tree``), by layers called on trees
(``models.tree_calls``). That it is what the prompts' own runs give is for ``clean_rows`` to prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch

from interpboard.models.calls import LayerCall, first_layer_input, hidden_of
from interpboard.models.finite import Tally
from interpboard.models.kept_tensors import Kept
from interpboard.models.language_model import LanguageModel
from interpboard.models.partial_layer import KeptAttention, recording_attention
from interpboard.models.side_by_side import Apart, arguments_side_by_side, with_first_again
from interpboard.models.sites import at_site
from interpboard.models.tree_calls import of_nodes, tree_call
from interpboard.runs.prefix_tree import PrefixTree, trees_of
from interpboard.runs.record import CLEAN, Run
from interpboard.runs.row_arguments import RowLayout, of_rows
from interpboard.runs.steps import keeps_all_attention

NODES = 128
"""Of a tree, at most: attention looks at all of them for each, and the layer's own work is little more."""
TREE_SITES = frozenset(("z", "attn_out", "resid_mid", "neuron", "mlp_out"))
"""Where each token has its own numbers: what a tree has at its nodes, prompts have at their tokens."""
_FULL = 3 / 4  # of the largest tree of a pass: of a smaller one too much would be filled up
_AT_ONCE = 4096  # nodes of a pass
_WORTH = 2 / 3  # of the tokens: with more of them, trees are no quicker


@dataclass(frozen=True, eq=False)
class CleanTree:
    """``run``: the clean run of ``nodes``, a single row of all of them; ``rows``: the prompts in it."""

    rows: list[int]
    nodes: PrefixTree
    run: Run


@dataclass(frozen=True, eq=False)
class CleanRows:
    """``run``: of all prompts, a row each. ``body`` [row, pos, d_model]: what the head takes; None: it is to
    be made of the last stream. ``layout``: what of its calls' arguments is a row's. ``trees``: those on
    which it was made."""

    run: Run
    body: torch.Tensor | None
    layout: RowLayout
    trees: tuple[CleanTree, ...] = ()


@dataclass(frozen=True, eq=False)
class PlannedTrees:
    """Trees of the rows of ``ids`` [row, pos]; ``sample``: the rows that are also run as ever."""

    ids: torch.Tensor
    trees: list[tuple[list[int], PrefixTree]]
    sample: list[int]


def runs_on_trees(lm: LanguageModel) -> bool:
    """Whether the model proved what trees rest on."""
    proved = lm.verified
    if proved.path != "replay" or not (proved.reuse and proved.keeps_attention and proved.causal):
        return False
    return lm.anatomy.strips is None and lm.anatomy.label_head is None


def planned_trees(
    lm: LanguageModel, ids: torch.Tensor, sites: Sequence[str], proved: bool
) -> PlannedTrees | None:
    """The trees on which the rows of ``ids`` are run; None where they are not, or it would save little.

    Until trees are ``proved`` all rows of the first are also run as ever, and of each other those that are
    laid out ``_least_alike``; from then on of the first its first and these."""
    # On a GPU one large pass is over sooner than many small ones.
    if {device.type for device in lm.devices} != {"cpu"} or not runs_on_trees(lm):
        return None
    in_all_layers = TREE_SITES & lm.verified.sites
    if not in_all_layers.issuperset(sites) or not keeps_all_attention(lm, ids.shape[1]):
        return None
    trees = list(trees_of([tuple(row) for row in ids.tolist()], NODES))
    (first, of_first), *others = trees
    nodes = sum(len(tree) for _, tree in trees)
    few = list(dict.fromkeys((first[0], *_least_alike(first, of_first))))
    of_others = [row for rows, tree in others for row in _least_alike(rows, tree)]
    # Two of them at least, to see what of a call is the same for all.
    sampled = len(few) + len(of_others)
    if len(first) < 2 or nodes + sampled * ids.shape[1] > _WORTH * ids.numel():
        return None
    return PlannedTrees(ids, trees, [*(few if proved else first), *of_others])


def _least_alike(rows: Sequence[int], tree: PrefixTree) -> list[int]:
    """Those of ``rows`` that ``tree`` lays out least as they are by themselves: the last, behind all others,
    and that with the most nodes between its first token and its last. A layer that goes by places, and not by
    its mask, sees too little there if it does so anywhere; the last may be a branch from the root, and whole.
    """
    widest = int((tree.nodes[:, -1] - tree.nodes[:, 0]).argmax())
    return list(dict.fromkeys((rows[widest], rows[-1])))


@torch.no_grad()
def run_on_trees(
    plan: PlannedTrees, arguments: RowLayout, sampled: Run, sites: Sequence[str]
) -> CleanRows | None:
    """The clean run of all rows, made of that of each tree; None where it is not finite.

    ``sampled``: the run of the sample; ``arguments``: of each layer's call, those of a single row. Raises
    ``ValueError`` where it is not known which of them belong to a token.
    """
    lm = sampled.lm
    inputs = first_layer_input(lm.anatomy, plan.ids)
    given = [of_rows(own, len(inputs)) for own in arguments]
    calls = [
        LayerCall(call.layer, Kept(inputs, inputs.device), own)
        for call, (own, _) in zip(sampled.calls, given, strict=True)
    ]
    layout = tuple(parts for _, parts in given)
    found: dict[int, Run] = {}
    groups = _alike_in_size([len(nodes) for _, nodes in plan.trees])
    while groups:
        group = groups.pop()
        some = [plan.trees[i] for i in group]
        try:
            runs = _run_of(some, calls, inputs, sampled, sites)
        except Apart:
            groups += [[i] for i in group]
            continue
        if runs is None:
            return None
        found |= dict(zip(group, runs, strict=True))
    trees = [CleanTree(*tree, found[i]) for i, tree in enumerate(plan.trees)]
    return CleanRows(_of_all(trees, calls, sampled), None, layout, tuple(trees))


def _alike_in_size(sizes: Sequence[int]) -> list[list[int]]:
    """Trees that are run in one pass, by their places: the smaller are filled up to the largest."""
    groups: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        largest = sizes[groups[-1][0]] if groups else 0
        if groups and sizes[i] >= _FULL * largest and (len(groups[-1]) + 1) * largest <= _AT_ONCE:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _run_of(
    trees: Sequence[tuple[list[int], PrefixTree]],
    calls: Sequence[LayerCall],
    inputs: torch.Tensor,
    sampled: Run,
    sites: Sequence[str],
) -> list[Run] | None:
    """The clean runs of ``trees``, made in one pass, a row each; None where a number is not finite. Raises
    ``Apart`` where they cannot be run in one."""
    sizes = [len(nodes) for _, nodes in trees]
    tally, most = Tally(len(trees)), max(sizes)
    attended: list[KeptAttention] = []
    at_sites: dict[str, list[torch.Tensor]] = {site: [] for site in sites}
    rows = [torch.tensor(chosen)[nodes.rows] for chosen, nodes in trees]
    hidden = torch.cat([
        with_first_again(of_nodes(inputs, own, nodes.positions), most)
        for own, (_, nodes) in zip(rows, trees, strict=True)
    ])  # fmt: skip
    seen = [nodes.seen for _, nodes in trees]
    own_calls: list[list[LayerCall]] = [[] for _ in trees]

    def of_tree(value: torch.Tensor, tree: int) -> torch.Tensor:
        return value[tree : tree + 1, : sizes[tree]]

    with _recording(sampled.lm, at_sites, attended, tally):
        for call in calls:
            for i, (_, nodes) in enumerate(trees):
                own = Kept(of_tree(hidden, i), hidden.device)
                of_layer = tree_call(call, rows[i], nodes.positions, seen[i])
                own_calls[i].append(replace(of_layer, hidden=own))
            made = arguments_side_by_side([own[-1] for own in own_calls], most)
            hidden = hidden_of(call.layer(hidden, **made))
    if not bool(tally.finite().all()):
        return None
    return [
        replace(
            sampled, edits=CLEAN, calls=tuple(own_calls[i]), resid_final=of_tree(hidden, i),
            sites={site: tuple(of_tree(each, i) for each in own) for site, own in at_sites.items()},
            attended=tuple(
                replace(each, z=Kept(of_tree(each.z.tensor, i), each.z.device)) for each in attended
            ),
        )
        for i in range(len(trees))
    ]  # fmt: skip


@contextmanager
def _recording(
    lm: LanguageModel,
    at_sites: dict[str, list[torch.Tensor]],
    attended: list[KeptAttention],
    tally: Tally,
) -> Iterator[None]:
    anatomy = lm.anatomy
    with ExitStack() as stack:
        for attention, out_proj in zip(anatomy.attention, anatomy.out_proj, strict=True):
            stack.enter_context(recording_attention(attention, out_proj, attended))
        for site, values in at_sites.items():
            for layer in range(anatomy.n_layers):
                stack.enter_context(at_site(anatomy, site, layer, _keeping(values)))
        stack.enter_context(tally.over(anatomy))
        yield


def _keeping(values: list[torch.Tensor]) -> Callable[[torch.Tensor], None]:
    # A copy: some families go on to add to it in place.
    return lambda value: values.append(value.clone())


def _of_all(trees: Sequence[CleanTree], calls: Sequence[LayerCall], sampled: Run) -> Run:
    """What the rows have, of which ``trees`` have each token once."""
    count = sum(len(tree.rows) for tree in trees)
    places = torch.empty((count, trees[0].nodes.nodes.shape[1]), dtype=torch.long)
    begin = 0
    for tree in trees:
        places[tree.rows] = tree.nodes.nodes + begin
        begin += len(tree.nodes)
    runs = [tree.run for tree in trees]

    def rows(parts: Iterable[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part[0] for part in parts])[places]

    def kept(parts: Iterable[Kept]) -> Kept:
        value = rows(part.tensor for part in parts)
        return Kept(value, value.device)

    inputs = zip(*(run.calls for run in runs), strict=True)
    heads = zip(*(run.attended for run in runs), strict=True)
    return replace(
        sampled,
        edits=CLEAN * count,
        calls=tuple(
            replace(call, hidden=kept(each.hidden for each in own))
            for call, own in zip(calls, inputs, strict=True)
        ),
        resid_final=rows(run.resid_final for run in runs),
        sites={
            site: tuple(map(rows, zip(*(run.sites[site] for run in runs), strict=True)))
            for site in runs[0].sites
        },
        attended=tuple(replace(own[0], z=kept(each.z for each in own)) for own in heads),
    )
