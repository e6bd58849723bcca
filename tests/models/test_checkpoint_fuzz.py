"""Whatever is done to a checkpoint's folder: it opens and is finite, or it ends in an error of ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interpboard.errors import InterpBoardError
from interpboard.models.language_model import open_model
from tests.models.folders import SHARD, saved, with_index

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,  # the same folders every time: what is found is to be found again
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Of every kind, and of sizes that must be refused before they are built.
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 9), st.sampled_from([10**7, 10**12, -(10**30)]),
    st.floats(), st.text(max_size=4), st.just([]), st.just({}), st.lists(st.integers(), max_size=2),
    st.sampled_from(["gelu", "GPT2LMHeadModel", "../x.bin", "float16", "llama", "cuda"]),
)  # fmt: skip


def opens_or_is_refused(folder: Path) -> None:
    said = ""
    try:
        lm = open_model(folder, "cpu", "float32")
    except InterpBoardError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1500
    if said:
        return
    ids = lm.tokenizer("The Eiffel Tower")["input_ids"]
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([ids]) % lm.anatomy.d_vocab).logits
    assert torch.isfinite(logits).all()


def paths(node: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values of a JSON document are; of long lists and tables the first few."""
    if isinstance(node, dict):
        inside = [(key, node[key]) for key in list(node)[:60]]
    elif isinstance(node, list):
        inside = list(enumerate(node[:3]))
    else:
        return [before]
    return [before, *(path for key, value in inside for path in paths(value, (*before, key)))]


def put(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(node, dict):
        return node | {path[0]: put(node[path[0]], path[1:], value)}
    changed = list(node)
    changed[path[0]] = put(node[path[0]], path[1:], value)
    return changed


@SETTINGS
@given(st.sampled_from(["llama", "gpt2"]), st.sampled_from(FILES[:3]), VALUES, st.data())
def test_any_value_of_a_json_file_can_be_another(
    family: str, file: str, value: Any, data: st.DataObject
) -> None:
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(saved(family), Path(home) / "m"))
        content = json.loads((folder / file).read_text())
        place = data.draw(st.sampled_from(paths(content)))
        (folder / file).write_text(json.dumps(put(content, place, value)))
        opens_or_is_refused(folder)


@SETTINGS
@given(st.sampled_from(FILES), st.floats(0, 1), st.binary(max_size=6), st.booleans())
def test_any_bytes_of_any_file_can_be_others(
    file: str, where: float, content: bytes, cut: bool
) -> None:
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(saved("llama"), Path(home) / "m"))
        raw = (folder / file).read_bytes()
        # Half of the changes to the weights fall into their header.
        most = 3000 if file == FILES[3] and len(content) % 2 else len(raw)
        at = int(where * most)
        (folder / file).write_bytes(raw[:at] + content + (b"" if cut else raw[at + len(content) :]))
        opens_or_is_refused(folder)


@SETTINGS
@given(st.data(), VALUES)
def test_any_entry_of_a_header_or_an_index_can_be_another(data: st.DataObject, value: Any) -> None:
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(saved("llama"), Path(home) / "m"))
        path = folder / FILES[3]
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        table = json.loads(raw[8 : 8 + length])
        if data.draw(st.booleans()):
            with_index(folder, put(dict.fromkeys(table, SHARD), ("lm_head.weight",), value))
        else:
            place = data.draw(st.sampled_from(paths(table)))
            header = json.dumps(put(table, place, value)).encode()
            path.write_bytes(len(header).to_bytes(8, "little") + header + raw[8 + length :])
        opens_or_is_refused(folder)


@SETTINGS
@given(st.permutations(FILES))
def test_files_can_hold_each_other_s_content(order: list[str]) -> None:
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(saved("llama"), Path(home) / "m"))
        contents = {name: (folder / name).read_bytes() for name in FILES}
        for name, other in zip(FILES, order, strict=True):
            (folder / name).write_bytes(contents[other])
        opens_or_is_refused(folder)
