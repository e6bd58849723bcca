"""The masked model that comes with the program: what it knows, and that it opens by its name."""

from __future__ import annotations

from functools import cache

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.models.demo.masked import MASKED_FOLDER
from interpboard.models.demo.masked.evaluate import MaskedEvaluator
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest

TEXT = "The capital of France is [MASK]."


@cache
def masked_demo() -> LanguageModel:
    return open_model("demo-bert", device="cpu")


def test_it_knows_facts_in_phrasings_that_it_was_never_shown() -> None:
    assert MaskedEvaluator.load().facts().value >= 0.95


def test_it_opens_by_its_name_with_every_site() -> None:
    lm = masked_demo()
    assert lm.info.name == "demo-bert"
    assert (lm.anatomy.n_layers, lm.anatomy.n_heads) == (3, 4)
    assert (lm.verified.path, lm.verified.lens, lm.verified.notes) == ("replay", True, ())
    assert lm.info.mask_token == "[MASK]"


def test_the_folder_is_small_and_whole() -> None:
    assert sum(file.stat().st_size for file in MASKED_FOLDER.iterdir()) <= 3_000_000
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {
        file.name for file in MASKED_FOLDER.iterdir()
    }


def test_paris_is_told_at_the_mask_and_france_is_what_it_rests_on() -> None:
    document = analyze(masked_demo(), TEXT, ["predictions", "occlusion"], MetricRequest("logprob"))
    likely, occluded = document.results
    assert likely.metric.target is not None
    assert likely.metric.target.token == " Paris"
    assert likely.metric.place == "at"
    assert "next" not in likely.meaning
    strongest = int(occluded.values.argmax())
    assert document.prompt.tokens[strongest] == " France"
