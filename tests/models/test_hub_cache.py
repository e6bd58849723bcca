"""A model of the hub: from the cache without a word to the network, and refused at once without either."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from threading import Event
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from interpboard.errors import Cancelled, InterpBoardError, UnknownModel, UnsafeWeights
from interpboard.models.checkpoint import hub
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.load import load_model_and_tokenizer
from tests.models.folders import saved
from tests.tiny import tiny_model

REVISION = "0123456789abcdef0123456789abcdef01234567"
NAME = "somebody/tiny-llama"


class Asked(Exception):
    """Somebody went to the network."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache on disk, as huggingface_hub lays it out, with one model; no network."""

    def connect(*_args: Any, **_kwargs: Any) -> None:
        raise Asked

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", connect)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--tiny-llama"
    snapshot = repository / "snapshots" / REVISION
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    for file in saved("llama").iterdir():
        content = file.read_bytes()
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def refused(name: str = NAME, **options: Any) -> InterpBoardError:
    with pytest.raises(InterpBoardError) as caught:
        load_model_and_tokenizer(name, "cpu", **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("offline", [False, True])
def test_a_cached_model_opens_without_asking_anybody(
    offline: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    lm = open_model(NAME, "cpu")
    expected = tiny_model("llama").state_dict()
    assert all(torch.equal(expected[name], t) for name, t in lm.model.state_dict().items())
    assert (lm.info.name, lm.info.revision, lm.info.notes) == (NAME, REVISION, ())
    assert LanguageModel.of(lm.model, lm.tokenizer).info.name == NAME


def test_the_folder_of_a_snapshot_is_of_its_revision_and_any_other_folder_of_none(
    cache: Path,
) -> None:
    assert open_model(cache, "cpu").info.revision == REVISION
    assert open_model(saved("llama"), "cpu").info.revision is None


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_is_not_whole_in_the_cache_is_asked_for_and_refused_in_one_line_without_network(
    missing: str, cache: Path
) -> None:
    (cache / missing).unlink()
    error = refused()
    assert isinstance(error, UnknownModel)
    assert "could not be fetched (Asked)" in error.message
    assert "HF_HUB_OFFLINE" in error.remedy


def test_a_download_that_stopped_between_two_shards_is_not_whole(cache: Path) -> None:
    weights = cache / "model.safetensors"
    weights.rename(cache / "model-00001-of-00002.safetensors")
    placed = {"lm_head.weight": "model-00001-of-00002.safetensors"}
    index = cache / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    assert open_model(NAME, "cpu").info.revision == REVISION
    placed["model.norm.weight"] = "model-00002-of-00002.safetensors"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    assert "could not be fetched" in refused().message


def test_a_link_to_a_blob_that_is_gone_counts_as_missing(cache: Path) -> None:
    (cache / "model.safetensors").resolve().unlink()
    assert "could not be fetched" in refused().message


def test_a_model_that_is_nowhere_is_refused_at_once_when_offline(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused("nobody/has-this-model").message


def test_the_hub_is_asked_one_question_with_a_limit_of_seconds(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(hub, "_DEADLINE_S", 0.1)

    def ask_for_ever(*_args: Any, **_kwargs: Any) -> None:
        Event().wait()

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", ask_for_ever)
    assert "no answer within" in refused("nobody/has-this-model").message

    def ask(_self: Any, name: str, timeout: float) -> None:
        asked.append((name, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", ask)
    assert "could not be fetched (timed out)" in refused("nobody/has-this-model").message
    assert [name for name, _ in asked] == ["nobody/has-this-model"]
    assert all(timeout <= 10 for _, timeout in asked)


def test_settings_of_a_tokenizer_that_nobody_asked_for_are_a_note_without_network(
    cache: Path,
) -> None:
    (cache / "tokenizer_config.json").unlink()
    (note,) = open_model(NAME, "cpu").info.notes
    assert "tokenizer_config.json" in note
    absent = cache.parent.parent / ".no_exist" / REVISION
    absent.mkdir(parents=True)
    (absent / "tokenizer_config.json").touch()
    assert open_model(NAME, "cpu").info.notes == ()


class There:
    """A hub that has ``files``, and notes what is downloaded."""

    def __init__(self, cache: Path, monkeypatch: pytest.MonkeyPatch, *files: str) -> None:
        self.downloaded: list[str] = []
        siblings = [type("File", (), {"rfilename": name}) for name in files]

        def download(_name: str, allow_patterns: list[str]) -> str:
            self.downloaded += allow_patterns
            return str(saved("llama"))

        about = type("About", (), {"siblings": siblings})
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_a, **_k: about)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)


def test_only_what_opening_needs_is_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = There(
        cache, monkeypatch, "config.json", "tokenizer.json", "tokenizer_config.json",
        "model.safetensors", "pytorch_model.bin", "consolidated.safetensors", "own.py",
        "onnx/model.onnx", "tf_model.h5", "README.md", "tokenizer.model",
    )  # fmt: skip
    load_model_and_tokenizer("other/model", "cpu")
    assert sorted(there.downloaded) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json",
    ]  # fmt: skip


def test_a_cancelled_load_is_no_failed_download(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    There(cache, monkeypatch, "config.json", "model.safetensors")

    def stop(stage: str, _fraction: float) -> None:
        if stage.startswith("downloading"):
            raise Cancelled

    with pytest.raises(Cancelled):
        load_model_and_tokenizer("other/model", "cpu", on_stage=stop)


def test_pickles_of_the_hub_are_not_even_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = There(cache, monkeypatch, "config.json", "tokenizer.json", "pytorch_model.bin")
    assert isinstance(refused("other/model"), UnsafeWeights)
    assert there.downloaded == []
    load_model_and_tokenizer("other/model", "cpu", allow_pickle=True)
    assert "pytorch_model.bin" in there.downloaded


@pytest.mark.parametrize(
    ("files", "words"), [(("README.md",), "no config.json"), (("config.json",), "no weights")]
)
def test_a_repository_of_another_kind_is_said_to_be_one(
    files: tuple[str, ...], words: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    There(cache, monkeypatch, *files)
    assert words in refused("other/model").message


@pytest.mark.parametrize(
    ("kind", "words"),
    [(GatedRepoError, "is gated on the hub"), (RepositoryNotFoundError, "The hub has no model")],
)
def test_what_the_hub_says_is_told(
    kind: type[Exception], words: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_args: Any, **_kwargs: Any) -> None:
        raise kind.__new__(kind, "no")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", ask)
    assert words in refused("other/model").message


@pytest.mark.parametrize("name", ["a--b/c", "a/b.git", "-a/b", "a..b/c"])
def test_a_name_that_the_hub_cannot_have_is_no_model_name(name: str, cache: Path) -> None:
    assert "is no model name" in refused(name).message
