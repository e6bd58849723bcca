"""Made-up answers about tokens, layers and whole runs: predictions, lenses, traces, what-if, steering."""

from __future__ import annotations

import numpy as np

from interpboard.interventions.grammar import name_of_set, places_of, split_items
from interpboard.results import Axis, LabelledArray, layer_axis, text_array, token_axis
from tests.tui import answers_vocabulary as vocabulary
from tests.tui.asked import Answered, Asked, numbered

CLEAN, CORRUPTED = 14.2, 4.2  # the metric of the two runs
TOP = 0.62 * 0.45 ** np.arange(10)  # the probabilities of the ten likeliest


def predictions_answer(asked: Asked) -> Answered:
    """The words of the vocabulary in their order."""
    axes = (numbered("rank", 10, first=1),)
    asked.extra["token_ids"] = LabelledArray(axes, np.arange(10))
    asked.extra["tokens"] = LabelledArray(axes, text_array(list(vocabulary.VOCABULARY[:10])))
    asked.extra["logits"] = LabelledArray(axes, CLEAN + np.log(TOP))
    return axes, TOP.copy()


def token_scores(asked: Asked) -> Answered:
    """A score for each token up to the explained one, and what some of the methods say beside it."""
    extra, analysis = asked.extra, asked.request.analysis
    axis = token_axis(asked.tokens)
    values = asked.random.normal(size=len(asked.tokens)) * 1.4
    values[asked.position + 1 :] = 0.0
    if analysis in ("integrated_gradients", "lrp"):
        extra["delta"] = LabelledArray((), np.array(0.0031))
    if analysis in ("integrated_gradients", "shapley"):
        extra["baseline_metric"] = LabelledArray((), np.array(1.5))
    if analysis == "integrated_gradients":
        extra["n_steps"] = LabelledArray((), np.array(32))
    errors = {"noise_tunnel": "std_error", "shapley": "standard_error"}
    if analysis in errors:
        extra[errors[analysis]] = LabelledArray((axis,), np.abs(values) / 10)
    if analysis in ("attention_rollout", "value_weighted_rollout"):
        square = (Axis("query", axis.labels), Axis("key", axis.labels))
        extra["rollout"] = LabelledArray(square, np.eye(len(values)))
    return (axis,), values


def losses_answer(asked: Asked) -> Answered:
    """Each token but the first has its loss, rank and entropy; the last costs most."""
    axis = token_axis(asked.tokens)
    values = np.linspace(0.5, 4.0, len(asked.tokens))
    values[0] = np.nan
    by_token = {
        "rank": np.ceil(values), "entropy": np.full_like(values, 2.0), "surprise": values - 2.0,
        "context": np.arange(len(values), dtype=float), "likeliest_prob": np.full_like(values, 0.6),
        "likeliest": text_array([vocabulary.VOCABULARY[0]] * len(values)),
    }  # fmt: skip
    mean = float(np.nanmean(values))
    if asked.request.params.get("interventions"):
        by_token |= {"edited": values + 1.0, "effect": np.full_like(values, 1.0)}
    whole = {"mean_loss": mean, "perplexity": np.exp(mean), "predicted": len(values) - 1.0}
    if "edited" in by_token:
        whole |= {"edited_mean_loss": mean + 1, "edited_perplexity": np.exp(mean + 1)}
        whole |= {"reference_mean_loss": mean + 2, "loss_recovered": 0.5}
    asked.extra.update({name: LabelledArray((axis,), array) for name, array in by_token.items()})
    asked.extra.update({name: LabelledArray((), np.array(one)) for name, one in whole.items()})
    return (axis,), values


def unit_scores(asked: Asked) -> Answered:
    """Two units: the first half of the tokens and the others."""
    extra, tokens = asked.extra, asked.tokens
    half = len(tokens) // 2
    axes = (Axis("unit", ("".join(tokens[:half]), "".join(tokens[half:]))),)
    extra["begin"] = LabelledArray(axes, np.array([0, half]))
    extra["end"] = LabelledArray(axes, np.array([half, len(tokens)]))
    if asked.request.analysis == "context_cite":
        extra["lds"] = LabelledArray((), np.array(0.83))
    if asked.request.analysis == "attention_knockout":
        extra["kl"] = LabelledArray(axes, np.array([0.125, 2.5]))
    return axes, np.array([0.5, -1.25])


def _traced(asked: Asked) -> Answered:
    """The first place brings most of the metric back."""
    axes = (layer_axis(asked.layers), token_axis(asked.tokens))
    values = asked.random.uniform(0, 0.2, size=(asked.layers, len(asked.tokens)))
    values[0, 0] = 0.875
    asked.extra["clean"] = LabelledArray((), np.array(CLEAN))
    asked.extra["corrupted"] = LabelledArray((), np.array(CORRUPTED))
    return axes, values


def trace_answer(asked: Asked) -> Answered:
    """Ten noises that say the same."""
    axes, values = _traced(asked)
    extra, samples = asked.extra, (numbered("sample", 10), *axes)
    extra["total_effect"] = LabelledArray((), np.array(10.0))
    extra["recovered"] = LabelledArray(axes, values / 2)
    extra["per_sample"] = LabelledArray(samples, np.stack([values] * 10))
    extra["spread"] = LabelledArray(axes, np.zeros(values.shape))
    return axes, values


def patching_answer(asked: Asked) -> Answered:
    """The same shares, of a corrupted prompt."""
    axes, values = _traced(asked)
    asked.extra["metric"] = LabelledArray(axes, CORRUPTED + 10.0 * values)
    asked.estimates(axes, values)
    return axes, values


def lens_answer(asked: Asked) -> Answered:
    """The deeper the layer and the later the token, the surer; the last layer says the first word."""
    site = str(asked.request.params.get("site", "resid_post"))
    axes, values, extra = _lens(asked.tokens, asked.layers, site)
    asked.extra.update(extra)
    return axes, values


def _lens(
    tokens: tuple[str, ...], layers: int, site: str
) -> tuple[tuple[Axis, ...], np.ndarray, dict[str, LabelledArray]]:
    words, extra = vocabulary.VOCABULARY, dict[str, LabelledArray]()
    rows = layer_axis(layers, embed=True)
    if site != "resid_post":
        rows = Axis("layer", (*layer_axis(layers).labels, "final"))
    axes = (rows, token_axis(tokens))
    shape = (layers + 1, len(tokens))
    depth = np.linspace(0.02, 0.95, layers + 1)[:, None] * np.linspace(0.3, 1, len(tokens))[None]
    order = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 5) % len(words)
    order[-1] = 0
    ids = (order[:, :, None] + np.arange(10)) % len(words)
    top_axes = (*axes, numbered("top", 10, first=1))
    probs = depth[:, :, None] * 0.5 ** np.arange(10)
    names = text_array([words[i] for i in ids.flat]).reshape(ids.shape)
    extra["top_ids"] = LabelledArray(top_axes, ids)
    extra["top_tokens"] = LabelledArray(top_axes, names)
    extra["top_probs"] = LabelledArray(top_axes, probs)
    extra["rank"] = LabelledArray(axes, np.argmax(ids == 0, axis=2) + 1)
    extra["entropy"] = LabelledArray(axes, 3 * (1 - depth))
    extra["kl"] = LabelledArray(axes, 2 * (1 - depth))
    first = np.argmax(order == order[-1], axis=0)  # the layer from which on it says so
    extra["convergence"] = LabelledArray(axes[1:], first)
    values = np.where(order == 0, probs[:, :, 0], probs[:, :, 0] / 50)
    return axes, values, extra


def training_answer(asked: Asked) -> Answered:
    """The divergence of each layer's translator from the last layer."""
    axes = (Axis("layer", layer_axis(asked.layers, embed=True).labels[:-1]),)
    return axes, np.linspace(2.0, 0.1, asked.layers)


def steering_answer(asked: Asked) -> Answered:
    """A step of scale costs 3; far from 0 the model talks of something else."""
    extra = asked.extra
    wanted = asked.request.params.get("scales") or (-2.0, -1.0, 0.0, 1.0, 2.0)
    scales = sorted({0.0, *map(float, wanted)})
    axes = (Axis("scale", tuple(f"{scale:g}" for scale in scales)),)
    values = -3.0 * np.abs(np.array(scales))
    near, far = " Paris.\nThe capital of France is Paris.", " Rome, how are you?"
    said = [near if abs(scale) < 2 else far for scale in scales]
    extra["text"] = LabelledArray(axes, text_array(said))
    extra["metric"] = LabelledArray(axes, CLEAN + values)
    extra["norm"] = LabelledArray((), np.array(58.13))
    if asked.request.params.get("layer", -1) == -1:
        asked.found["layer"] = 1  # where the file says that it was read
    return axes, values


def _effects(text: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The interventions of ``text``, and what each does alone."""
    items = split_items(text)
    each = [0.25 if name_of_set(item).startswith("random") else 2.5 for item in items]
    sizes = [len(places_of(item)) for item in items]
    return tuple(items), -np.array(each) * np.array(sizes)


def what_if_answer(asked: Asked) -> Answered:
    """Each place takes 2.5 from the metric, of a random set 0.25, and the edited run says London."""
    extra, params = asked.extra, asked.request.params
    interventions, alone = _effects(str(params["interventions"]))
    runs = Axis("run", ("clean", "edited"))
    effect = float(alone.sum())
    extra["effect"] = LabelledArray((), np.array(effect))
    if len(interventions) > 1:
        extra["alone"] = LabelledArray((Axis("intervention", interventions),), alone)
    if params.get("controls"):
        beside, values = _effects(str(params["controls"]))
        extra["control"] = LabelledArray((Axis("control", beside),), values)
    axes = (runs, numbered("rank", 10, first=1))
    ids = np.stack([np.arange(10), (np.arange(10) + 1) % 10])
    extra["top_ids"] = LabelledArray(axes, ids)
    names = text_array([vocabulary.VOCABULARY[i] for i in ids.flat]).reshape(ids.shape)
    extra["top_tokens"] = LabelledArray(axes, names)
    extra["top_probs"] = LabelledArray(axes, np.tile(TOP, (2, 1)))
    extra["top_other"] = LabelledArray(axes, np.tile(0.3 * 0.45 ** np.arange(10), (2, 1)))
    lens_site = str(params.get("lens_site", "resid_post"))
    lens_axes, probs, clean = _lens(asked.tokens, asked.layers, lens_site)
    del clean["convergence"]  # the lens of a what-if has none
    both = {"": probs, **{f"_{name}": array.values for name, array in clean.items()}}
    for name, values in both.items():
        own = (*lens_axes, numbered("top", 10)) if "_top" in name else lens_axes
        kept = values.dtype == object or "ids" in name or "rank" in name
        other = values if kept else values * (2.0 if "entropy" in name else 0.5)
        extra[f"lens{name}"] = LabelledArray((runs, *own), np.stack([values, other]))
    return (runs,), np.array([CLEAN, CLEAN + effect])
