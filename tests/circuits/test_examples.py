"""Max-activating examples: what a search by hand finds, in bounded steps, and the same after a stop."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from interpboard.circuits import NeuronAnalyzer
from interpboard.circuits.neurons.collect import Collection, collect_examples
from interpboard.circuits.neurons.corpora import CorpusPlace, corpus_files, windows
from interpboard.circuits.neurons.max_activating import max_activating
from interpboard.cli import main as cli
from interpboard.errors import BadParameter, BadResultFile, Cancelled, Unsupported
from interpboard.models.demo.corpus import training_texts
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.results.examples import ExamplesFile
from interpboard.runs.prompt import token_text
from interpboard.runs.record import record
from interpboard.runs.watch import Watch
from tests.forks import program
from tests.lm import case, fingerprint, tiny_lm

SMALL = Collection(top_k=3, length=11, batch=4, before=4, after=2)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of two texts; the second has characters of several bytes and no line end."""
    folder = tmp_path / "texts"
    (folder / "more").mkdir(parents=True)
    texts = [document.text for document in islice(training_texts(random.Random(1)), 12)]
    (folder / "a.txt").write_text("\n".join(texts[:6]) + "\n", encoding="utf-8")
    (folder / "more" / "b.txt").write_text(
        "Ünïcode – ελλ\r\n" + " ".join(texts[6:]), encoding="utf-8"
    )
    (folder / ".hidden").write_bytes(b"\xff")
    return folder


def all_windows(lm: LanguageModel, corpus: Path, room: int) -> list[list[int]]:
    """Windows made by hand: every file line by line, cut without overlap."""
    made = []
    for path in (corpus / "a.txt", corpus / "more" / "b.txt"):
        ids: list[int] = []
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            ids += lm.tokenizer(line, add_special_tokens=False)["input_ids"]
        made += [ids[i : i + room] for i in range(0, len(ids), room)]
    return made


def by_hand(
    lm: LanguageModel, rows: list[list[int]]
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Of each layer: peak [neuron, row], its position, and all activations, a forward a window."""
    every = []
    for ids in rows:
        words = tuple(token_text(lm.tokenizer, i) for i in ids)
        seen = record(lm, PromptInfo("", words, tuple(ids)), ("neuron",)).sites["neuron"]
        every.append([layer[0] for layer in seen])
    found = []
    for values in zip(*every, strict=True):
        peaks, at = zip(*(value.max(0) for value in values), strict=True)
        found.append((torch.stack(peaks, 1), torch.stack(at, 1), torch.cat(values)))
    return found


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        ("gpt2", torch.float32),
        ("gpt2", torch.float64),
        ("llama", torch.float64),
        ("opt", torch.float64),
    ],
    ids=str,
)
def test_the_examples_are_those_of_a_search_by_hand(
    family: str, dtype: torch.dtype, corpus: Path, tmp_path: Path
) -> None:
    lm = tiny_lm(family, dtype)
    before = fingerprint(lm)
    found = collect_examples(lm, corpus, tmp_path / "out.safetensors", SMALL)
    assert fingerprint(lm) == before
    prefix = len(lm.tokenizer("")["input_ids"])
    assert prefix == 0
    rows = all_windows(lm, corpus, SMALL.length)
    assert {len(row) for row in rows} > {SMALL.length}  # short ones too
    tolerance = 1e-9 if dtype == torch.float64 else 3e-5
    assert found.info.tokens == sum(map(len, rows))
    starts = [sum(map(len, rows[:i])) for i in range(len(rows))]
    for layer, (peaks, at, every) in enumerate(by_hand(lm, rows)):
        order = peaks.sort(dim=1, descending=True, stable=True).indices[:, :3]
        np.testing.assert_allclose(found.peaks(layer), peaks.max(1).values, atol=tolerance)
        share = (every > 0).double().mean(0)
        np.testing.assert_allclose(found.positive(layer), share, atol=1e-12)
        for neuron in (0, 7, 31):
            got = found.neuron(layer, neuron)
            assert len(got.examples) == 3
            for example, row in zip(got.examples, order[neuron].tolist(), strict=True):
                where = int(at[neuron, row])
                assert example.activation == pytest.approx(float(peaks[neuron, row]), abs=tolerance)
                shown = rows[row][max(0, where - 4) : where + 3]
                assert example.tokens == tuple(token_text(lm.tokenizer, i) for i in shown)
                assert example.peak == min(4, where)
                n_first = len([s for s in starts if example.file == "a.txt" and s <= starts[row]])
                if example.file == "a.txt":
                    assert n_first
                    assert example.position == starts[row] + where


def test_equal_activations_rank_in_the_order_of_the_text(tmp_path: Path) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    text = tmp_path / "same.txt"
    text.write_text("The keys are on the table.\n" * 1, encoding="utf-8")
    ids = lm.tokenizer(text.read_text())["input_ids"]
    text.write_text("The keys are on the table.\n" * 9, encoding="utf-8")
    out = tmp_path / "out.safetensors"
    settings = Collection(top_k=4, length=len(ids), batch=3, before=1, after=1)
    found = collect_examples(lm, text, out, settings)
    for neuron in range(0, 128, 9):
        positions = [example.position for example in found.neuron(1, neuron).examples]
        assert [position // len(ids) for position in positions] == [0, 1, 2, 3]


def test_a_collection_that_was_cancelled_goes_on_to_the_same_file(
    corpus: Path, tmp_path: Path
) -> None:
    lm = tiny_lm("llama")
    before = fingerprint(lm)
    whole = collect_examples(lm, corpus, tmp_path / "whole.safetensors", SMALL)
    out = tmp_path / "parts.safetensors"
    for stop in (2, 9):  # two files are hashed before anything is read
        calls = [0]

        def cancelled(stop: int = stop, calls: list[int] = calls) -> bool:
            calls[0] += 1
            return calls[0] > stop

        with pytest.raises(Cancelled):
            collect_examples(lm, corpus, out, SMALL, Watch(cancelled=cancelled))
        assert fingerprint(lm) == before
        assert not ExamplesFile(out).finished
    steps: list[tuple[int, int]] = []
    watch = Watch(on_progress=lambda done, total, _partial: steps.append((done, total)))
    collect_examples(lm, corpus, out, SMALL, watch)
    assert steps[0][0] > 0
    assert [done for done, _total in steps] == sorted(done for done, _total in steps)
    assert steps[-1][0] == steps[-1][1] == sum(size for _file, size in corpus_files(corpus))
    assert out.read_bytes() == whole.path.read_bytes()


def test_a_collection_that_was_killed_goes_on_to_the_same_file(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    command = program("tests.circuits.killed_collection", str(corpus), str(out))
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    stopped = ExamplesFile(out)
    assert not stopped.finished
    assert stopped.info.tokens > 0
    lm = tiny_lm("gpt2")
    collect_examples(lm, corpus, out, SMALL)
    whole = collect_examples(lm, corpus, tmp_path / "whole.safetensors", SMALL)
    assert stopped.info.tokens < whole.info.tokens
    with safe_open(out, "np") as one, safe_open(whole.path, "np") as other:
        assert set(one.keys()) == set(other.keys())
        for name in one.keys():  # noqa: SIM118 - it is no dictionary
            np.testing.assert_array_equal(one.get_tensor(name), other.get_tensor(name))
        assert one.metadata() == other.metadata()


def test_windows_go_on_from_any_place_and_the_pieces_of_long_lines_lose_nothing(
    tmp_path: Path,
) -> None:
    lm = tiny_lm("gpt2")
    text = tmp_path / "long.txt"
    text.write_text("x" + "é" * 40_000 + "\nshort\n", encoding="utf-8")  # cut within a character
    files = corpus_files(text)
    made = list(windows(lm, files, 5000))
    ids = [i for window in made for i in window.ids]
    assert lm.tokenizer.decode(ids) == text.read_text(encoding="utf-8")
    for number in (0, 3, len(made) - 2):
        again = list(windows(lm, files, 5000, made[number].after))
        assert again == made[number + 1 :]
    assert list(windows(lm, files, 5000, CorpusPlace(1))) == []


def test_a_larger_corpus_needs_no_larger_state(corpus: Path, tmp_path: Path) -> None:
    lm = tiny_lm("gpt2")
    once = collect_examples(lm, corpus, tmp_path / "once.safetensors", SMALL)
    text = (corpus / "a.txt").read_text(encoding="utf-8")
    (corpus / "a.txt").write_text(text * 5, encoding="utf-8")
    more = collect_examples(lm, corpus, tmp_path / "more.safetensors", SMALL)
    assert more.info.tokens > 2 * once.info.tokens
    for layer in range(3):
        assert (more.peaks(layer) >= once.peaks(layer) - 1e-4).all()
    with safe_open(once.path, "np") as one, safe_open(more.path, "np") as other:
        for name in one.keys():  # noqa: SIM118
            assert one.get_slice(name).get_shape() == other.get_slice(name).get_shape()


@pytest.mark.usefixtures("changed_on_purpose")
def test_layers_that_were_not_asked_for_are_not_run(corpus: Path, tmp_path: Path) -> None:
    lm = tiny_lm("gpt2")
    ran: list[int] = []
    handle = lm.anatomy.layers[2].register_forward_hook(lambda *_: ran.append(2))
    settings = Collection(top_k=3, length=11, batch=4, before=4, after=2, layers=(1,))
    some = collect_examples(lm, corpus, tmp_path / "some.safetensors", settings)
    handle.remove()
    assert not ran
    every = collect_examples(lm, corpus, tmp_path / "all.safetensors", SMALL)
    assert some.neuron(1, 5).examples == every.neuron(1, 5).examples
    with pytest.raises(BadParameter, match="Layer 0 is not in"):
        some.neuron(0, 5)


def test_what_does_not_fit_is_refused_in_words(corpus: Path, tmp_path: Path) -> None:
    lm, out = tiny_lm("gpt2"), tmp_path / "out.safetensors"
    collect_examples(lm, corpus, out, SMALL)
    with pytest.raises(BadParameter, match="other top_k"):
        collect_examples(
            lm, corpus, out, Collection(top_k=4, length=11, batch=4, before=4, after=2)
        )
    with pytest.raises(BadParameter, match="tiny gpt2, and tiny llama has other weights"):
        collect_examples(tiny_lm("llama"), corpus, out, SMALL)
    (corpus / "a.txt").write_text("another", encoding="utf-8")
    with pytest.raises(BadParameter, match="another text than there is now"):
        collect_examples(lm, corpus, out, SMALL)
    with pytest.raises(BadParameter, match="1 to 64"):
        collect_examples(lm, corpus, tmp_path / "new", Collection(length=65))
    with pytest.raises(BadParameter, match="no layer 3"):
        collect_examples(lm, corpus, tmp_path / "new", Collection(length=12, layers=(3,)))
    (corpus / "bad.txt").write_bytes(b"\xff\xfe" * 9)
    with pytest.raises(BadParameter, match=r"bad\.txt is not UTF-8"):
        collect_examples(lm, corpus, tmp_path / "new", SMALL)
    with pytest.raises(BadParameter, match="Cannot read"):
        collect_examples(lm, tmp_path / "nowhere", tmp_path / "new", SMALL)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(BadParameter, match="no text"):
        collect_examples(lm, empty, tmp_path / "new", SMALL)
    with pytest.raises(BadResultFile, match="Cannot read"):
        ExamplesFile(empty)
    with pytest.raises(Unsupported):
        collect_examples(tiny_lm("mixtral"), corpus, tmp_path / "new", SMALL)


def test_the_analysis_and_the_holder_read_the_same_examples(corpus: Path, tmp_path: Path) -> None:
    lm, prompt, metric = case("llama")
    out = tmp_path / "out.safetensors"
    options = {"top_k": 3, "length": 11, "batch": 4, "before": 4, "after": 2}
    with NeuronAnalyzer(lm.model, lm.tokenizer) as analyzer:
        held = analyzer.max_activating(corpus, tmp_path / "held.safetensors", **options)
    made = max_activating(
        lm, prompt, metric, corpus=str(corpus), out=str(out), neuron="1.5", **options
    )
    again = max_activating(
        lm, prompt, metric, corpus=str(corpus), out=str(out), neuron="1.5", **options
    )
    for result in (made, again):
        np.testing.assert_array_equal(result.values[1], held.peaks(1))
        examples = held.neuron(1, 5).examples
        columns = {n: result.extra[n].values.tolist() for n in ("activation", "file", "position")}
        assert columns["activation"] == [e.activation for e in examples]
        assert columns["position"] == [e.position for e in examples]
        assert result.extra["peak_token"].values[0] == examples[0].tokens[examples[0].peak]
    assert result.values[1, 5] == result.extra["activation"].values[0]
    with pytest.raises(BadParameter, match="needs a corpus"):
        max_activating(lm, prompt, metric)


def test_the_commands_collect_and_show(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    words = ["max-activating", "--corpus", str(corpus), "--out", str(out), "--model", "demo"]
    assert cli.main([*words, "--layers", "1", "--top-k", "2", "--length", "24"]) == 0
    assert "tokens" in capsys.readouterr().err
    for form in ("text", "md", "json"):
        assert cli.main(["examples", str(out), "1.7", "--format", form]) == 0
    text, _, rest = capsys.readouterr().out.partition("activation | file")
    peak = ExamplesFile(out).neuron(1, 7).examples[0]
    assert f"[[{peak.tokens[peak.peak]}]]" in text
    found = json.loads(rest[rest.index("{\n") :])
    assert found["examples"][0]["activation"] == pytest.approx(peak.activation)
    assert cli.main(["examples", str(out), "0.7"]) == 2
    assert cli.main([*words, "--layers", "1", "--top-k", "3", "--length", "24"]) == 2
    assert "other top_k" in capsys.readouterr().err
