"""At which layer the answer appears: every layer's activations read as if the model ended there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from interpboard.circuits.lens.reading import read_lens, read_targets
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.tree_calls import of_nodes
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.results.lens_rows import converged
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.prefix_tree import PrefixTree
from interpboard.runs.record import Run, record
from interpboard.runs.strip_places import source_layers
from interpboard.runs.together import Together
from interpboard.runs.watch import SILENT, Watch

LENS_SITES = ("resid_post", "resid_pre", "resid_mid", "attn_out", "mlp_out")


@analysis("logit_lens", path="forward")
@torch.no_grad()
def logit_lens(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    site: str = "resid_post",
    top_k: int = 10,
    watch: Watch = SILENT,
) -> Computed:
    """Probability [layer, token] of the target under the activation at ``site`` of each layer.

    Each goes through the final norm and the unembedding (nostalgebraist 2020, "interpreting GPT: the
    logit lens"). At ``resid_post`` row ``embed`` is the input of layer 0 and row k the output of layer k;
    at ``resid_pre`` and ``resid_mid`` row k is the stream before and within layer k; at ``attn_out`` and
    ``mlp_out`` it is what that part of the layer adds, normed by itself. The last row is always the
    model's own output: the last layer at ``resid_post``, else an added row ``final``.

    ``extra``: ``top_ids``, ``top_tokens``, ``top_probs`` [layer, token, top] of the ``top_k`` likeliest;
    ``entropy`` and ``kl`` (KL(final ‖ layer)) in nats; ``rank`` of the target, 1 = first; ``convergence``
    [token], the first layer from which on the most likely token stays the final one (−1: from ``embed``; the
    number of layers: only in row ``final``).

    Raises ``Unsupported`` if the model's head or the site could not be verified.
    """
    lm.verified.require_lens()
    run = record(lm, prompt, recorded_for(site), behind_attention=False)
    found = read_lens(lm, lens_rows(run, 0, site), metric.target_id, top_k, watch)
    axes = (lens_axis(lm, site), lens_tokens(prompt))
    return Computed(
        values=found["prob"],
        axes=axes,
        extra=lens_extra(found, axes),
    )


@torch.no_grad()
def logit_lens_over_rows(
    shared: Together,
    prompts: Sequence[PromptInfo],
    metrics: Sequence[Metric],
    params: Mapping[str, Any],
    watch: Watch,
) -> list[Computed] | None:
    """``logit_lens`` of each of ``prompts``, what they begin with read once. See ``runs.over_rows``."""
    lm, site = shared.lm, params["site"]
    if lm.anatomy.strips is not None or lm.anatomy.label_head is not None or not lm.verified.causal:
        return None
    lm.verified.require_lens()
    recorded = recorded_for(site)
    whole = shared.whole(recorded) if lm.verified.sites.issuperset(recorded) else None
    if whole is None:
        return None
    streams, paths = _read_once(shared, whole, prompts, site)
    rows = [each.to(streams[-1]) for each in streams]
    targets = sorted({metric.target_id for metric in metrics})
    at = {target: i for i, target in enumerate(targets)}
    found = read_targets(lm, torch.stack(rows, 1), torch.tensor(targets), watch).cpu().numpy()
    layer = lens_axis(lm, site)
    return [
        Computed(found[nodes, :, at[metric.target_id]].T, (layer, lens_tokens(prompt)))
        for prompt, metric, nodes in zip(prompts, metrics, paths, strict=True)
    ]


def _read_once(
    shared: Together, whole: Run, prompts: Sequence[PromptInfo], site: str
) -> tuple[list[torch.Tensor], list[np.ndarray]]:
    """What is read of each layer and of the end [node, d_model], and the nodes [pos] of each prompt: of
    the trees on which ``whole`` was run, or else of one of all prompts."""
    trees, rows = shared.trees(), [shared.row_of(prompt) for prompt in prompts]
    if trees:
        paths: dict[int, np.ndarray] = {}
        begin = 0
        for tree in trees:
            paths |= dict(zip(tree.rows, tree.nodes.nodes.numpy() + begin, strict=True))
            begin += len(tree.nodes)
        of_trees = zip(*(_streams(tree.run, site) for tree in trees), strict=True)
        return [torch.cat([own[0] for own in each]) for each in of_trees], [paths[i] for i in rows]
    one = PrefixTree.of([prompt.token_ids for prompt in prompts])
    nodes = one.of_rows(torch.tensor(rows))
    read = [of_nodes(each, nodes.rows, nodes.positions)[0] for each in _streams(whole, site)]
    return read, list(one.nodes.numpy())


def _streams(run: Run, site: str) -> list[torch.Tensor]:
    """``site`` of every layer and the last stream, [row, pos, d_model] each."""
    of_layers = run.sites[site] if recorded_for(site) else [c.hidden.tensor for c in run.calls]
    return [*of_layers, run.resid_final]


def lens_extra(found: dict[str, np.ndarray], axes: tuple[Axis, ...]) -> dict[str, LabelledArray]:
    """The arrays that ``read_lens`` found, but for ``prob``, and ``convergence``, on ``axes``."""
    top = Axis("top", tuple(str(i + 1) for i in range(found["top_ids"].shape[-1])))
    before = int(axes[0].labels[0] == "embed")
    extra = {
        name: LabelledArray((*axes, top) if name.startswith("top_") else axes, values)
        for name, values in found.items()
        if name != "prob"
    }
    settled = converged(found["top_ids"]) - before
    return {**extra, "convergence": LabelledArray(axes[1:], settled)}


def lens_axis(lm: LanguageModel, site: str) -> Axis:
    """``layer`` with the row that ``site`` needs besides the layers; of an encoder–decoder the decoder's."""
    names = lm.anatomy.layer_names[_skipped(lm) :]
    return Axis("layer", ("embed", *names) if site == "resid_post" else (*names, "final"))


def lens_tokens(prompt: PromptInfo) -> Axis:
    """``token``: those at which there is something to read, of an encoder–decoder the prefix's."""
    return token_axis(prompt.tokens[prompt.border :])


def _skipped(lm: LanguageModel) -> int:
    """How many layers come before those that the head reads: an encoder's."""
    return source_layers(lm)


def recorded_for(site: str) -> tuple[str, ...]:
    """What a run has to record for a lens at ``site``. Raises ``BadParameter`` where there is none."""
    if site not in LENS_SITES:
        raise BadParameter(f"There is no lens at {site!r}.", f"Use {', '.join(LENS_SITES)}.")
    return () if site in ("resid_pre", "resid_post") else (site,)


def lens_rows(run: Run, row: int, site: str) -> torch.Tensor:
    """[layer + 1, pos, d_model] of a row of ``run``: the site of every layer, and the final stream last.

    Of an encoder–decoder, of the decoder's layers, at the positions of the prefix."""
    begin, border = _skipped(run.lm), run.prompt.border
    if not recorded_for(site):
        return run.residuals(row)[begin:, border:]
    final = run.resid_final[row]
    values = [value[row].to(final) for value in run.sites[site][begin:]]
    return torch.stack([*values, final])[:, border:]
