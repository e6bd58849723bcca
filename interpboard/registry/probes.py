"""What a linear map reads from activations, over the rows of a dataset."""

from __future__ import annotations

from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

PROBE_SITES = (
    "resid_post", "resid_pre", "resid_mid", "attn_out", "mlp_out", "z", "q", "k", "v", "neuron",
)  # fmt: skip
_DATA = Parameter("data", object, "", "rows: a file, a folder, a pattern or a behaviour")
_MANY = Parameter("data", object, "", "datasets of rows, one a line")
_SITE = Parameter("site", str, "resid_post", "what is read", choices=PROBE_SITES)
_LAYERS = Parameter("layers", int, None, "e.g. 0,5 (all)", many=True, minimum=0)
_POSITIONS = Parameter(
    "positions",
    str,
    "last",
    "where: the row's position or the end of its text, the mean of its tokens, or by role",
    choices=("last", "mean", "roles"),
)
_LABEL = Parameter("label", str, "label", "the column that is read")
_GROUP = Parameter("group", str, "", "a column: rows with one value of it are held out together")
_LIMIT = Parameter("limit", int, 0, "the first so many rows; 0: all", minimum=0)
_PROBE = Parameter(
    "probe",
    str,
    "mass_mean",
    "difference of means; logistic, ridge: by scikit-learn",
    choices=("mass_mean", "logistic", "ridge"),
)
_FOLDS = Parameter("folds", int, 5, "parts, each held out once", minimum=2, maximum=1000)
_STRENGTH = Parameter(
    "strength", float, 1.0, "of the penalty on weights", minimum=1e-9, maximum=1e9
)
_SEED = Parameter("seed", int, 0, "of folds, shuffles and intervals", minimum=0)
_SCORE = "balanced accuracy (ridge: R²) on rows held out by group, of a probe fitted on the others"

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="linear_probe",
        title="Linear probe",
        function="interpboard.probes.linear:linear_probe",
        axes=("layer", "place"),
        value=_SCORE,
        scale="probability",
        cost="cells",
        gives_way=True,
        own_measure=True,
        gaps=(
            "values", "low", "high", "null", "null_high", "p_value", "p_family", "place_alone",
        ),
        parameters=(
            _DATA, _PROBE, _SITE, _LAYERS, _POSITIONS, _LABEL, _GROUP, _FOLDS,
            Parameter("shuffles", int, 20, "times with shuffled labels", minimum=0, maximum=10_000),
            _STRENGTH, _LIMIT,
            Parameter("save", str, "", "write the direction to this file", written=True),
            Parameter("save_layer", int, -1, "of which layer; -1: the best", minimum=-1),
            _SEED,
        ),
    ),
    Analysis(
        name="probe_transfer",
        title="Probes between datasets",
        function="interpboard.probes.transfer:probe_transfer",
        axes=("train", "test"),
        value=f"{_SCORE}, on another dataset",
        scale="probability",
        cost="cells",
        gives_way=True,
        own_measure=True,
        gaps=("values", "low", "high"),
        parameters=(
            _MANY, _PROBE, _SITE,
            Parameter("layer", int, -1, "which; -1: the middle", minimum=-1),
            _POSITIONS, _LABEL, _GROUP, _FOLDS, _STRENGTH, _LIMIT, _SEED,
        ),
    ),
    Analysis(
        name="stream_pca",
        title="Principal components",
        function="interpboard.probes.geometry:stream_pca",
        axes=("layer", "component"),
        value="share of the variance of the rows' activations that the component has",
        scale="probability",
        cost="cells",
        gives_way=True,
        own_measure=True,
        gaps=("values", "between_labels"),
        parameters=(
            _DATA, _SITE, _LAYERS, _POSITIONS, _LABEL,
            Parameter("components", int, 4, "how many", minimum=1, maximum=1000),
            _LIMIT,
        ),
    ),
    Analysis(
        name="stream_cosine",
        title="Cosines between labels",
        function="interpboard.probes.geometry:stream_cosine",
        axes=("layer", "pair"),
        value="mean cosine between the activations of two rows, one of each label of the pair",
        scale="diverging",
        cost="cells",
        gives_way=True,
        own_measure=True,
        gaps=("values",),
        parameters=(
            _DATA, _SITE, _LAYERS, _POSITIONS, _LABEL,
            Parameter("centred", bool, True, "after the mean of all rows is taken away"),
            _LIMIT,
        ),
    ),
)  # fmt: skip
