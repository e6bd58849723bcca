"""Probes read what is there, at the place that is named, and say what would make their number mean less."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.errors import BadParameter, Unaffordable
from interpboard.interventions.steering import difference_of_means, load_vector
from interpboard.models import memory
from interpboard.planning import counted_passes
from interpboard.probes.activations import read_rows_at, site_of
from interpboard.probes.probe import probe
from interpboard.results import Result
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.steps import bytes_of_a_layer
from interpboard.runs.watch import SILENT
from interpboard.visualization.intervals import strongest_intervals
from interpboard.visualization.terminal import render
from tests.lm import fingerprint, tiny_lm
from tests.overflow import TOO_MUCH, overflowing_lm

POSITIVE = ["The city of Rome", "A river", "The store is in the city", "It is a tower of"]
NEGATIVE = ["When John went", "He gave the drink", "Mary and", "When they met in a"]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        out.writeheader()
        out.writerows(rows)
    return str(path)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    both = [{"text": text, "label": "b"} for text in POSITIVE]
    both += [{"text": text, "label": "a"} for text in NEGATIVE]
    return write(tmp_path / "rows.csv", both)


def probed(data: str, lm: Any = None, **params: Any) -> Result:
    params = {"folds": 2, "shuffles": 2, **params}
    return probe(lm or tiny_lm(), data, **params).results[0]


@pytest.mark.parametrize("layer", [0, 1])
def test_the_mass_mean_direction_is_the_difference_of_means(rows: str, layer: int) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    before = fingerprint(lm)
    path = Path(rows).with_name("direction.safetensors")
    result = probed(rows, lm, save=str(path), save_layer=layer)
    own = difference_of_means(lm, POSITIVE, NEGATIVE, layer)
    np.testing.assert_allclose(load_vector(lm, path).numpy(), own.numpy(), rtol=1e-9, atol=1e-12)
    assert str(result.extra["direction"].values).startswith("from 'a' to 'b', layer")
    assert fingerprint(lm) == before
    held = f'{layer}.resid=steer "{path}"'
    edited = analyze(lm, "The city", ("what_if",), params={"what_if": {"interventions": held}})
    assert float(edited.results[0].extra["effect"].values) != 0
    steered = {"vector": str(path), "layer": layer, "new_tokens": 1}
    assert analyze(lm, "The city", ("steering",), params={"steering": steered}).results


def test_a_direction_says_at_which_site_it_was_read(rows: str) -> None:
    lm, path = tiny_lm("gpt2", torch.float64), str(Path(rows).with_name("direction.safetensors"))
    said = str(probed(rows, lm, site="mlp_out", save=path, save_layer=1).extra["direction"].values)
    held = said.rpartition("what-if: ")[2]
    assert held.startswith("1.mlp=steer")
    for interventions, elsewhere in ((held, False), (held.replace("mlp", "resid"), True)):
        asked = {"what_if": {"interventions": interventions}}
        warnings = analyze(lm, "The city", ("what_if",), params=asked).results[0].warnings
        assert any("was read at the MLP of layer 1" in each for each in warnings) is elsewhere


def test_a_direction_between_labels_that_are_numbers_leads_to_the_larger_one(
    tmp_path: Path,
) -> None:
    both = [{"text": text, "label": "9"} for text in NEGATIVE]
    both += [{"text": text, "label": "10.0"} for text in POSITIVE]
    lm, path = tiny_lm("gpt2", torch.float64), tmp_path / "direction.safetensors"
    result = probed(write(tmp_path / "rows.csv", both), lm, save=str(path), save_layer=1)
    assert str(result.extra["direction"].values).startswith("from '9' to '10.0', layer")
    own = difference_of_means(lm, POSITIVE, NEGATIVE, 1)
    np.testing.assert_allclose(load_vector(lm, path).numpy(), own.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    "site", ["resid_post", "resid_mid", "mlp_out", "attn_out", "z", "k", "neuron"]
)
def test_what_is_read_is_what_a_run_of_the_row_alone_records(
    rows: str, family: str, site: str
) -> None:
    lm = tiny_lm(family, torch.float64)
    found = read_rows_at(lm, rows, site_of(lm, site, (0, 1), "last"), watch=SILENT)
    assert found.texts == (*POSITIVE, *NEGATIVE)
    for at, text in enumerate(found.texts):
        run = record(lm, make_prompt(lm, text), (site,))
        own = torch.stack([run.sites[site][layer][0, -1].flatten() for layer in (0, 1)])
        np.testing.assert_allclose(found.values[at, :, 0], own.numpy(), rtol=1e-9, atol=1e-12)
        assert found.lengths[at] == len(make_prompt(lm, text).token_ids)


def test_rows_too_long_for_a_pass_are_refused_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm()
    longest = [{"text": text * 9, "label": text[0]} for text in (*POSITIVE, *NEGATIVE)]
    data = write(tmp_path / "rows.csv", longest)
    monkeypatch.setattr(memory, "_free", lambda _device: bytes_of_a_layer(lm, 20))
    with (
        counted_passes(lm, make_prompt(lm, "The city")) as seen,
        pytest.raises(Unaffordable, match=r"Shorten the rows to \d+ tokens\.$"),
    ):
        read_rows_at(lm, data, site_of(lm, "resid_post", None, "last"), watch=SILENT)
    assert seen[0] == 0


def test_embed_is_the_stream_before_the_first_layer_and_roles_are_means(rows: str) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    found = read_rows_at(lm, rows, site_of(lm, "resid_post", None, "roles"), watch=SILENT)
    assert found.places == ("first", "between", "explained")
    stream = record(lm, make_prompt(lm, POSITIVE[0])).residuals(0).numpy()
    np.testing.assert_allclose(found.values[0, :, 0], stream[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.values[0, :, 1], stream[:, 1:-1].mean(1), rtol=1e-9)
    np.testing.assert_allclose(found.values[0, :, 2], stream[:, -1], rtol=1e-9)
    of_mean = read_rows_at(lm, rows, site_of(lm, "resid_post", (1,), "mean"), watch=SILENT)
    np.testing.assert_allclose(of_mean.values[0, 0, 0], stream[2].mean(0), rtol=1e-9)


def test_rows_that_cannot_be_used_are_left_out_with_their_reason(tmp_path: Path) -> None:
    lm = overflowing_lm()
    good = [{"text": f"The city {word}", "label": "a"} for word in ("of", "is", "in", "the")]
    good += [{"text": f"Mary {word}", "label": "b"} for word in ("and", "went", "gave", "to")]
    bad = [{"text": f"The city of{TOO_MUCH}", "label": "a"}, {"text": "The city", "label": ""}]
    result = probed(write(tmp_path / "rows.csv", [*bad, *good]), lm)
    assert float(result.extra["rows"].values) == 8
    (left,) = [words for words in result.warnings if "left out" in words]
    assert "2 of 10 rows" in left
    assert "Its run is not finite in float16." in left
    assert "The row has no label." in left
    assert np.isfinite(result.values).all()


def test_labels_that_follow_the_length_are_told(tmp_path: Path) -> None:
    both = [{"text": f"{char} city", "label": "short"} for char in "abcdefgh"]
    both += [{"text": f"{char} city is in the city of", "label": "long"} for char in "abcdefgh"]
    result = probed(write(tmp_path / "rows.csv", both), shuffles=9)
    assert float(result.extra["length_alone"].values) == 1.0
    assert any("labels follow the text's length" in words for words in result.warnings)
    mixed = [{**row, "label": "xy"[n % 2]} for n, row in enumerate(both)]
    result = probed(write(tmp_path / "mixed.csv", mixed), shuffles=9)
    assert not any("labels follow" in words for words in result.warnings)


def test_groups_that_share_a_text_are_held_out_together_and_it_is_said(tmp_path: Path) -> None:
    both = [
        {"text": text, "label": label, "who": who}
        for label, texts in (("b", POSITIVE), ("a", NEGATIVE))
        for who, text in zip("pqrs", texts, strict=True)
    ]
    both.append({"text": POSITIVE[0], "label": "b", "who": "q"})
    result = probed(write(tmp_path / "rows.csv", both), group="who")
    assert float(result.extra["groups"].values) == 3
    assert any("1 groups share a text with another" in words for words in result.warnings)
    ungrouped = probed(write(tmp_path / "rows.csv", both))
    assert any("held out by text, not by a column: values of who" in w for w in ungrouped.warnings)


def test_texts_that_are_the_same_up_to_where_they_are_read_are_held_out_together(
    tmp_path: Path,
) -> None:
    ends = (" is in", " was the")
    begun = [(text, label) for label, t in (("b", POSITIVE), ("a", NEGATIVE)) for text in t]
    both = [
        {
            "text": text + end,
            "label": label,
            "position": len(make_prompt(tiny_lm(), text).tokens) - 1,
        }
        for text, label in begun
        for end in ends
    ]
    data = write(tmp_path / "rows.csv", both)
    at_begin, whole = probed(data), probed(data, positions="mean")
    assert float(at_begin.extra["groups"].values) == len(begun)
    assert float(whole.extra["groups"].values) == len(both)
    assert not any("are the same tokens" in w for w in (*at_begin.warnings, *whole.warnings))
    # A label of each token is read at positions of one text, and is no text with two labels.
    tokens = [
        {"text": text, "label": "ab"[at], "position": at} for text in POSITIVE for at in (0, 1)
    ]
    by_token = probed(write(tmp_path / "tokens.csv", tokens))
    assert float(by_token.extra["groups"].values) == len(POSITIVE)
    assert not any("more than one label" in words for words in by_token.warnings)
    assert any("2 rows are the same tokens" in words for words in by_token.warnings)  # "The", twice
    torn = probed(write(tmp_path / "torn.csv", [*both, {**both[0], "label": "a"}]))
    assert any("1 texts are read with more than one label" in words for words in torn.warnings)


def test_beside_the_score_stand_its_interval_and_what_chance_reads(rows: str) -> None:
    result = probed(rows, shuffles=5)
    extra = {name: array.values for name, array in result.extra.items()}
    assert (extra["low"] <= result.values).all()
    assert (result.values <= extra["high"]).all()
    assert (extra["null"] <= extra["null_high"]).all()
    assert (extra["p_value"] >= 1 / 6).all()
    assert (extra["p_family"] >= extra["p_value"]).all()
    assert extra["chance"] == 0.5
    assert any("fewer rows (8) than dimensions" in words for words in result.warnings)
    again = probed(rows, shuffles=5)
    np.testing.assert_array_equal(again.extra["null"].values, extra["null"])
    assert "shuffled" in result.to_text()


def test_shuffles_that_give_the_labels_as_they_are_are_told_and_no_p_is_below_them(
    tmp_path: Path,
) -> None:
    both = [("a", text, number) for number, text in enumerate(POSITIVE * 2)]
    both += [("b", text, number) for number, text in enumerate(NEGATIVE * 2)]
    rows = [{"text": f"{t} {n}", "label": own, "g": f"{own}{n % 2}"} for own, t, n in both]
    result = probed(write(tmp_path / "few.csv", rows), shuffles=20, group="g")
    [told] = [own for own in result.warnings if "as they are" in own]
    same = int(told.split()[0])
    assert 0 < same < 20
    assert np.nanmin(result.extra["p_value"].values) >= (1 + same) / 21 - 1e-12
    own = probed(write(tmp_path / "many.csv", rows), shuffles=20)
    assert not any("as they are" in told for told in own.warnings)


def test_the_strongest_place_of_numbers_is_where_most_is_read_not_where_least_is(
    tmp_path: Path,
) -> None:
    rows = [{"text": text, "label": str(len(text))} for text in POSITIVE + NEGATIVE]
    document = probe(tiny_lm(), write(tmp_path / "n.csv", rows), probe="ridge", shuffles=0)
    result = document.results[0]
    values = np.linspace(-3, 0.8, result.values.size).reshape(result.values.shape)  # R²
    result = replace(result, values=values)
    page = render(replace(document, results=(result,)), 200)
    [line] = [own for own in page.splitlines() if own.startswith("strongest")]
    assert line.split("[")[0].split()[-1] == "0.8"
    assert "-3" not in line
    ranked = [own.entry.value for own in strongest_intervals(result, values.size)]
    assert ranked == values.ravel().tolist()[::-1]


@pytest.mark.parametrize(
    ("labels", "params", "said"),
    [
        ("aaaa", {}, "All 4 rows have the label 'a'"),
        ("aaab", {}, "A label is in one group only"),
        ("aabb", {"probe": "ridge"}, "Ridge reads numbers"),
        ("1111", {"probe": "ridge"}, "finite numbers that differ"),
        ("aabb", {"label": "truth"}, "The row has no truth"),
        ("aabb", {"group": "who"}, "The row has no who"),
        ("aabb", {"layers": "7"}, "Layer 7 does not exist"),
        ("aabb", {"site": "z", "save": "x.safetensors"}, "cannot be added by steering"),
        ("aabb", {"layers": "0", "save": "x.safetensors", "save_layer": 1}, "not among the layers"),
        ("aabbcc", {"save": "x.safetensors"}, "There are 3 labels"),
        ("aabb", {"save_layer": 1}, "save_layer is of a direction that is saved"),
    ],
)
def test_what_would_say_nothing_is_refused_in_a_line(
    labels: str,
    params: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [*POSITIVE, *NEGATIVE]
    both = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=False)]
    with pytest.raises(BadParameter, match=said):
        probed(write(tmp_path / "rows.csv", both), **params)
    assert not (tmp_path / "x.safetensors").exists()


def test_the_command_line_probes_a_dataset_and_saves_a_direction(
    rows: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "direction.safetensors"
    command = ["probe", rows, "--layers", "0,1", "--folds", "2", "--shuffles", "3"]
    assert main([*command, "--save", str(path)]) == 0
    shown = capsys.readouterr()
    assert "Linear probe" in shown.out
    assert "prompt: rows of rows.csv" in shown.out
    assert "direction: from 'a' to 'b'" in " ".join(shown.out.split())
    assert path.exists()
    assert main([*command, "--format", "csv"]) == 0
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["place"] for row in read if row["array"] == "null"} == {"explained"}
    theirs = tmp_path / "theirs.csv"
    theirs.write_text(Path(rows).read_text().replace("text,label", "prompt,kind", 1))
    named = ["--columns", "text=prompt,label=kind"]
    assert main(["probe", str(theirs), *command[2:], *named, "--format", "csv"]) == 0
    again = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["value"] for row in again] == [row["value"] for row in read]
    assert main(["probe", str(theirs), *named[:1], "text=prmpt,label=kind"]) == 2
    assert "has no column 'prmpt'" in capsys.readouterr().err
    assert main(["probe", "nowhere.csv"]) == 2
    assert "There is no file nowhere.csv" in capsys.readouterr().err
