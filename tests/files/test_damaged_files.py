"""Whatever a saved file holds, it is read or refused in words: no foreign error comes through."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interpboard import config
from interpboard.circuits.lens.translators import PARAMS, Translators, load_translators
from interpboard.circuits.lens.unfinished import BegunTraining
from interpboard.circuits.neurons.collected import Collected
from interpboard.errors import BadConfig, BadPrompt, InterpBoardError, StoreProblem
from interpboard.interventions.vectors import read_vector, save_vector
from interpboard.models.fingerprints import Origin
from interpboard.results import Document, Result, pack
from interpboard.results.examples import KEY, ExamplesFile
from interpboard.store.rows import document_of
from interpboard.visualization import export
from tests import sample
from tests.files.damage import changed_bytes, changed_json, joined, parts_of
from tests.files.examples import INFO, examples_file
from tests.lm import tiny_lm
from tui.files import prompt_file
from tui.files.prompt_book import PromptBook

some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def file_of(raw: bytes, name: str = "file") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(raw)
        yield path


@lru_cache
def written(kind: str) -> bytes:
    """A whole file of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        if kind == "examples":
            examples_file(path)
        elif kind == "vector":
            save_vector(path, torch.ones(32), 1, Origin.of(tiny_lm("gpt2").info))
        elif kind == "lens":
            path = Translators.identity(tiny_lm("gpt2")).save(folder) / PARAMS
        elif kind == "training":
            begun(path).save(1)
        return path.read_bytes()


def begun(path: Path) -> BegunTraining:
    parameters = (torch.zeros(3, 2, 2), torch.zeros(3, 2))
    adam = torch.optim.Adam([part.requires_grad_() for part in parameters])
    for part in parameters:
        part.grad = torch.ones_like(part)
    adam.step()
    return BegunTraining(
        path, {"steps": 4, "text": "x"}, Origin("m", "numbers:a.b", "t", "x"), parameters, adam
    )


def read_examples(path: Path) -> None:
    """As the command, the app and a collection that goes on read it."""
    file = ExamplesFile(path)
    for layer in (0, 1):
        for neuron in range(3):
            with contextlib.suppress(InterpBoardError):
                found = file.neuron(layer, neuron)
                assert all(0 <= example.peak < len(example.tokens) for example in found.examples)
        with contextlib.suppress(InterpBoardError):
            assert file.peaks(layer).shape == file.positive(layer).shape
    Collected.begin(tiny_lm("gpt2"), file.info, path)


def read_lens(path: Path) -> None:
    lens = load_translators(tiny_lm("gpt2"), path.parent)
    assert lens.weight.isfinite().all()


def read_training(path: Path) -> None:
    assert 0 <= begun(path).restored() <= 4


def read(kind: str, raw: bytes) -> None:
    """Read a damaged file of ``kind``: it is good, or one of our errors."""
    name = PARAMS if kind == "lens" else "file.safetensors"
    with file_of(raw, name) as path, contextlib.suppress(InterpBoardError):
        if kind == "lens":
            whole = {"num_hidden_layers": 3, "d_model": 32}
            (path.parent / "config.json").write_text(json.dumps(whole))
        {
            "examples": read_examples,
            "vector": lambda place: read_vector(tiny_lm("gpt2"), place),
            "lens": read_lens,
            "training": read_training,
        }[kind](path)


KINDS = ("examples", "vector", "lens", "training")


@pytest.mark.parametrize("kind", KINDS)
@some
@given(data=st.data())
def test_tensor_files_with_changed_bytes(kind: str, data: st.DataObject) -> None:
    read(kind, data.draw(changed_bytes(written(kind))))


@pytest.mark.parametrize("kind", KINDS)
@some
@given(data=st.data())
def test_tensor_files_with_other_headers(kind: str, data: st.DataObject) -> None:
    header, rest = parts_of(written(kind))
    read(kind, joined(data.draw(changed_json(header)), rest))


@some
@given(data=st.data())
def test_examples_that_say_something_else_of_themselves(data: st.DataObject) -> None:
    header, rest = parts_of(written("examples"))
    said = json.loads(header["__metadata__"][KEY])
    header["__metadata__"][KEY] = json.dumps(data.draw(changed_json(said)))
    read("examples", joined(header, rest))


@pytest.mark.parametrize("damage", ["token", "file", "nan", "negative"])
def test_examples_whose_numbers_point_nowhere_are_refused(damage: str, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = examples_file(tmp_path / "examples")
    tensors = load_file(path)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    name, value = {
        "token": ("0.context", 99), "file": ("0.place", 5), "nan": ("0.activation", np.nan),
        "negative": ("0.place", -3),
    }[damage]  # fmt: skip
    tensors[name][0, 0] = value
    save_file(tensors, path, metadata=metadata)
    if damage == "nan":
        assert len(ExamplesFile(path).neuron(0, 0).examples) == 1
    else:
        with pytest.raises(InterpBoardError, match="damaged"):
            ExamplesFile(path).neuron(0, 0)
    assert len(ExamplesFile(path).neuron(1, 0).examples) == 2
    assert INFO.layers == (0, 1)


@some
@given(data=st.data())
def test_a_lens_with_another_configuration(data: st.DataObject) -> None:
    whole = {
        "base_model_name_or_path": "tiny gpt2", "d_model": 32, "num_hidden_layers": 3, "bias": True,
        "lens_type": "linear_tuned_lens",
    }  # fmt: skip
    raw = data.draw(
        changed_json(whole).map(lambda value: json.dumps(value).encode())
        | changed_bytes(json.dumps(whole).encode())
        | st.sampled_from([b"[" * 100_000, b"null", b"\xff"])
    )
    with file_of(written("lens"), PARAMS) as path, contextlib.suppress(InterpBoardError):
        (path.parent / "config.json").write_bytes(raw)
        load_translators(tiny_lm("gpt2"), path.parent)


@example(
    b"\x93NUMPY\x01\x00v\x00\x00'descr': '<f8', 'shape': (32,), }" + b" " * 76 + b"\n" + b"\0" * 256
)
@some
@given(st.binary(max_size=80) | changed_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': "
       b"False, 'shape': (32,), }" + b" " * 57 + b"\n" + b"\0" * 256))  # fmt: skip
def test_a_vector_of_numpy(raw: bytes) -> None:
    with file_of(raw, "v.npy") as path, contextlib.suppress(InterpBoardError):
        assert read_vector(tiny_lm("gpt2"), path).values.isfinite().all()


@some
@given(
    st.binary(max_size=80) | changed_bytes(b"\x80\x02}q\x00X\x08\x00\x00\x000.weightq\x01K\x05s.")
)
def test_a_pickle_of_a_lens(raw: bytes) -> None:
    with file_of(raw, "params.pt") as path, contextlib.suppress(InterpBoardError):
        whole = {"num_hidden_layers": 3, "d_model": 32}
        (path.parent / "config.json").write_text(json.dumps(whole))
        load_translators(tiny_lm("gpt2"), path.parent, allow_pickle=True)


def use(document: Document) -> None:
    """Everything that shows a saved result."""
    repr(document)
    document.to_json()
    for view in (export.text, export.markdown, export.csv_text):
        view(document)


DOCUMENTS = {
    "document": (sample.full().to_json(None), Document.load),
    "result": (sample.ablation().to_json(None), Result.load),
}


@pytest.mark.parametrize("kind", list(DOCUMENTS))
@some
@given(data=st.data())
def test_saved_results(kind: str, data: st.DataObject) -> None:
    whole, load = DOCUMENTS[kind]
    raw = data.draw(
        changed_json(json.loads(whole)).map(lambda value: json.dumps(value).encode())
        | changed_bytes(whole.encode())
    )
    with file_of(raw) as path, contextlib.suppress(InterpBoardError):
        found: Any = load(path)
        if isinstance(found, Document):
            use(found)
        else:
            repr(found)
            found.to_json()


@pytest.mark.parametrize("number", range(4))
def test_a_result_whose_values_are_texts_is_shown_and_mixed_ones_are_refused(number: int) -> None:
    def texts(values: Any) -> Any:
        return [texts(value) for value in values] if isinstance(values, list) else "a"

    whole = json.loads(sample.full().to_json())
    result = whole["results"][number]
    result["values"] = texts(result["values"])
    use(Document.from_json(json.dumps(whole)))
    row = result["values"][0] if isinstance(result["values"][0], list) else result["values"]
    row[0] = 1.0
    with pytest.raises(InterpBoardError, match="texts and numbers"):
        Document.from_json(json.dumps(whole))


@some
@given(data=st.data())
def test_rows_of_the_store(data: st.DataObject) -> None:
    import zlib

    raw = pack(sample.full())
    blob = data.draw(
        changed_bytes(raw).map(zlib.compress)
        | changed_bytes(zlib.compress(raw))
        | st.sampled_from([b"", None, 5, "text"])
    )
    with contextlib.suppress(StoreProblem):
        repr(document_of(blob))


CONFIG = b"""
model = "demo"
color = 256
mouse = false
batch_tokens = 5
model_folders = ["a", "b"]
[keys]
zoom = "U"
"""


@some
@given(
    changed_bytes(CONFIG)
    | st.binary(max_size=60)
    | st.sampled_from([b"keep_runs = " + b"9" * 5000, b"keys = " + b"[" * 5000, b"model = \xff"])
)
def test_configurations(raw: bytes) -> None:
    with file_of(raw) as path, contextlib.suppress(BadConfig):
        assert config.read_settings({}, {}, path).settings.keep_runs >= 1


@given(st.text(max_size=20) | st.just("9" * 5000) | st.just("²"))
def test_variables(text: str) -> None:
    for name in ("KEEP_RUNS", "BATCH_TOKENS", "KEYS", "MODEL_FOLDERS", "MOUSE", "COLOR"):
        with contextlib.suppress(BadConfig):
            config.read_settings({}, {f"INTERPBOARD_{name}": text}, Path("/no/file"))


@some
@given(
    st.binary(max_size=60) | changed_bytes(b'["ran", "a"]\n["named", "b", "c"]\n["forgot", "a"]\n')
)
def test_prompts(raw: bytes) -> None:
    with file_of(raw) as path:
        PromptBook().open(path)
        with contextlib.suppress(BadPrompt):
            assert all(prompt_file.read_prompt_file(path).texts)


def test_prompts_without_an_end_and_nested_beyond_measure_are_not_read_for_ever() -> None:
    with pytest.raises(BadPrompt, match="more than"):
        prompt_file.read_prompt_file(Path("/dev/zero"))
    with file_of(b"[" * 100_000 + b'\n["ran", "a"]\n') as path:
        book = PromptBook()
        book.open(path)
        assert book.ran == ["a"]
