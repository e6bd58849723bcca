"""Where a model is: at a revision of the hub, in a subfolder; what is asked of the wrong place is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from interpboard.errors import BadParameter, InterpBoardError, NotALanguageModel, UnknownModel
from interpboard.models import placement
from interpboard.models.language_model import open_model
from tests.models.folders import copied, saved
from tests.models.test_hub_cache import NAME, REVISION, cache
from tests.tiny import tiny_model

__all__ = ["cache"]
OTHER = "89abcdef0123456789abcdef0123456789abcdef"


def refused(place: Path | str, kind: type[InterpBoardError], **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_model(place, "cpu", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def two_revisions(cache: Path) -> Path:
    """The cache's repository with a second commit, called ``v2``, of another model."""
    repository = cache.parent.parent
    snapshot = cache.parent / OTHER
    shutil.copytree(saved("mistral"), snapshot)
    (repository / "refs" / "v2").write_text(OTHER)
    return repository


@pytest.mark.parametrize(
    ("name", "options", "family", "commit"),
    [
        (NAME, {}, "llama", REVISION),
        (f"{NAME}@v2", {}, "mistral", OTHER),
        (NAME, {"revision": "v2"}, "mistral", OTHER),
        (f"{NAME}@v2", {"revision": "v2"}, "mistral", OTHER),
        (f"{NAME}@{OTHER}", {}, "mistral", OTHER),
        (f"{NAME}@{REVISION}", {}, "llama", REVISION),
    ],
)
def test_a_revision_in_the_cache_opens_without_network_and_is_kept(
    name: str, options: dict[str, str], family: str, commit: str, two_revisions: Path
) -> None:
    """The fixture makes every connection fail, so nothing was asked of anybody."""
    lm = open_model(name, "cpu", **options)  # type: ignore[arg-type]
    assert (lm.info.family, lm.info.revision, lm.info.name) == (family, commit, NAME)
    assert lm.info.options.revision == commit
    expected = tiny_model(family).state_dict()
    assert all(torch.equal(expected[n], t) for n, t in lm.model.state_dict().items())


def test_a_revision_that_is_not_in_the_cache_is_named(two_revisions: Path) -> None:
    said = refused(f"{NAME}@v3", UnknownModel)
    assert f"{NAME}@v3 is no folder here, not in the hub's cache" in said
    assert "do not agree" in refused(f"{NAME}@v2", BadParameter, revision="v1")
    assert "names no revision" in refused(f"{NAME}@", BadParameter)


@pytest.mark.parametrize("option", ["revision", "subfolder", "gguf_file"])
def test_what_a_place_does_not_have_is_refused_and_not_ignored(option: str) -> None:
    assert "The model demo has no" in refused("demo", BadParameter, **{option: "main"})
    kind = BadParameter if option == "revision" else UnknownModel
    said = refused(saved("llama"), kind, **{option: "main"})
    assert str(saved("llama")) in said
    assert "main" in said


@pytest.mark.parametrize("path", ["../llama", "/etc", "~/x", "a/../../b"])
@pytest.mark.parametrize("option", ["subfolder", "gguf_file"])
def test_a_path_that_leads_out_of_the_folder_is_refused(path: str, option: str) -> None:
    assert "leads out of" in refused(saved("llama"), BadParameter, **{option: path})


def test_a_subfolder_is_opened_with_its_own_tokenizer_or_the_one_above(tmp_path: Path) -> None:
    whole = copied("llama", tmp_path / "root")
    lm = open_model(tmp_path / "root", "cpu", subfolder="llama")
    assert lm.info.options.subfolder == "llama"
    assert lm.info.notes == ()
    assert lm.info.weights == open_model(saved("llama"), "cpu").info.weights
    for file in whole.glob("*token*"):
        file.rename(tmp_path / "root" / file.name)
    (note,) = open_model(tmp_path / "root", "cpu", subfolder="llama").info.notes
    assert "the tokenizer is the one above" in note
    said = refused(tmp_path / "root", NotALanguageModel)
    assert "holds no config.json. There is one in it: --subfolder llama." in said


def test_a_subfolder_of_a_repository_in_the_cache_opens_without_network(cache: Path) -> None:
    inner = cache / "small"
    inner.mkdir()
    for file in list(cache.iterdir()):
        if file.is_symlink():
            (inner / file.name).symlink_to(Path("..") / file.name)
    lm = open_model(NAME, "cpu", subfolder="small")
    assert (lm.info.revision, lm.info.options.subfolder) == (REVISION, "small")


@pytest.mark.parametrize("asked", ["auto", "float32"])
def test_a_checkpoint_that_does_not_fit_in_float32_is_opened_in_its_own_format(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied("llama", tmp_path)
    tiny_model("llama", torch.bfloat16).save_pretrained(folder)
    numbers = sum(p.numel() for p in tiny_model("llama").parameters())
    monkeypatch.setattr(placement, "free_bytes", lambda: 4 * numbers)
    lm = open_model(folder, "cpu", asked)
    narrow = asked == "auto"
    assert lm.info.dtype == ("bfloat16" if narrow else "float32")
    said = [note for note in lm.info.notes if "in float32 it would take" in note]
    assert bool(said) is narrow
    assert not narrow or "opened in bfloat16, as the checkpoint is" in said[0]


@pytest.mark.parametrize(
    ("stored", "room"), [(torch.float32, 1), (torch.bfloat16, 100), (torch.bfloat16, None)]
)
def test_float32_stays_where_it_fits_or_the_checkpoint_is_no_smaller(
    stored: torch.dtype, room: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied("llama", tmp_path)
    tiny_model("llama", stored).save_pretrained(folder)
    size = 4 * sum(p.numel() for p in tiny_model("llama").parameters())
    monkeypatch.setattr(placement, "free_bytes", lambda: None if room is None else room * size)
    lm = open_model(folder, "cpu")
    assert (lm.info.dtype, lm.info.notes) == ("float32", ())
