"""A family that is not known is refused with its modules in sight, and opens once its parts are named."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from interpboard.cli.main import main
from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.models.language_model import open_model
from interpboard.models.named_parts import TEMPLATE, read_parts
from tests.models.test_quantised import agrees_with_plain_hooks, wide
from tests.tiny import tiny_tokenizer


class MysteryConfig(PretrainedConfig):
    """No name in it is one that a known family has."""

    model_type = "mystery"

    def __init__(self, width: int = 32, depth: int = 3, heads: int = 4, **kwargs: Any) -> None:
        self.width, self.depth, self.heads, self.vocab_size = width, depth, heads, 420
        super().__init__(**kwargs)


class _Mixer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.take, self.give = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.hear = nn.Linear(width, width)
        self.count = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        parts = (
            torch.cat([self.take(x), self.hear(x)], -1)
            .view(rows, length, 3, self.count, -1)
            .permute(2, 0, 3, 1, 4)
        )
        mixed = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        out: torch.Tensor = self.give(mixed.transpose(1, 2).reshape(rows, length, width))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = _Mixer(width, heads)
        self.thinker = nn.ModuleDict(
            {"widen": nn.Linear(width, 48), "narrow": nn.Linear(48, width)}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mixer(self.first(x))
        wide = torch.relu(self.thinker["widen"](self.second(x)))
        out: torch.Tensor = x + self.thinker["narrow"](wide)
        return out


class _Core(nn.Module):
    def __init__(self, config: MysteryConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(420, config.width)
        self.places = nn.Embedding(64, config.width)
        self.stack = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.depth))
        self.tidy = nn.LayerNorm(config.width)

    def forward(self, input_ids: torch.Tensor, **_: Any) -> BaseModelOutput:
        x = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1]))
        for block in self.stack:
            x = block(x)
        return BaseModelOutput(last_hidden_state=self.tidy(x))


class MysteryForCausalLM(PreTrainedModel):
    """Embedding, blocks, norm and head, none of them by a known name."""

    config_class = MysteryConfig

    def __init__(self, config: MysteryConfig) -> None:
        super().__init__(config)
        self.core = _Core(config)
        self.speak = nn.Linear(config.width, 420, bias=False)
        self.post_init()

    def _init_weights(self, _module: nn.Module) -> None:
        pass

    def forward(self, input_ids: torch.Tensor, **_: Any) -> CausalLMOutput:
        return CausalLMOutput(logits=self.speak(self.core(input_ids).last_hidden_state))


PARTS = {
    "body": "core", "layers": "core.stack", "embedding": "core.words", "final_norm": "core.tidy",
    "head": "speak", "attention": "mixer", "out_proj": "mixer.give", "mlp": "thinker",
    "down_proj": "thinker.narrow", "before_mlp": "second", "n_heads": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the made-up family, which transformers is told of."""
    AutoConfig.register("mystery", MysteryConfig, exist_ok=True)
    AutoModelForCausalLM.register(MysteryConfig, MysteryForCausalLM, exist_ok=True)
    torch.manual_seed(0)
    model = MysteryForCausalLM(MysteryConfig()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0 if parameter.dim() > 1 else 1.0)
    place = tmp_path_factory.mktemp("mystery")
    model.save_pretrained(place)
    tiny_tokenizer().save_pretrained(place)
    return place


def in_file(tmp_path: Path, **changes: Any) -> Path:
    """The parts as a TOML file; a change to None leaves one out."""
    named = {name: value for name, value in (PARTS | changes).items() if value is not None}
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in named.items()]
    path = tmp_path / "parts.toml"
    path.write_text("\n".join(lines))
    return path


def test_an_unknown_family_is_refused_with_its_modules_and_the_template(folder: Path) -> None:
    with pytest.raises(NotALanguageModel) as caught:
        open_model(folder, "cpu")
    assert "\n" not in str(caught.value)
    assert "--parts FILE" in caught.value.remedy
    (note,) = caught.value.__notes__
    for line in ("core: _Core", "  stack: ModuleList", "mixer: _Mixer", "give: Linear 32 → 32"):
        assert line in note
    assert "0: _Block (3 alike)" in note
    assert TEMPLATE in note
    assert len(note.splitlines()) < 80


def test_the_command_line_shows_modules_and_template_below_the_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "--text", "Tom is", "--model", str(folder), "-a", "logit_lens"]) == 2
    error = capsys.readouterr().err
    assert "error: " in error
    assert "mixer: _Mixer" in error
    assert "out_proj = " in error


@pytest.mark.parametrize("form", ["mapping", "file"])
def test_with_its_parts_named_it_is_right_to_plain_hooked_forwards(
    form: str, folder: Path, tmp_path: Path
) -> None:
    given: Any = PARTS if form == "mapping" else in_file(tmp_path)
    lm = open_model(folder, "cpu", parts=given)
    assert (lm.info.layers, lm.info.heads, lm.anatomy.d_head) == (3, 4, (8, 8, 8))
    assert {"z", "attn_out", "neuron", "mlp_out", "resid_mid"} <= lm.verified.sites
    assert lm.verified.lens
    assert lm.info.parts == PARTS
    agrees_with_plain_hooks(lm)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": "core.stak"}, "_Core|MysteryForCausalLM has no such module"),
        ({"layers": "core.words"}, "not a list of layers"),
        ({"attention": "mixr"}, "_Block has no such module"),
        ({"final_norm": "tidy"}, "MysteryForCausalLM has no such module"),
        ({"n_heads": 5}, "does not split into 5 heads"),
        ({"n_heads": 0}, "does not say how many heads"),
        ({"attention": "thinker", "out_proj": ""}, "ModuleDict, named as attention, has no output"),
        ({"d_head": 16}, "does not split into 4 heads of 16"),
        ({"head": "core.words"}, "is not what makes the logits"),
        ({"head": "core.tidy"}, "is not what makes the logits"),
        ({"embedding": "core.places"}, "named as embedding, is not what makes vectors of tokens"),
        ({"before_mlp": "first"}, "named as before_mlp, is not given what attn_out adds"),
    ],
)
def test_a_name_that_is_wrong_is_said_or_found_out(
    changes: dict[str, Any], words: str, folder: Path
) -> None:
    with pytest.raises(NotALanguageModel, match=words):
        open_model(folder, "cpu", parts=PARTS | changes)


def test_parts_that_are_not_what_their_name_says_are_found_out_by_the_proof(folder: Path) -> None:
    """The MLP's last map is no output of attention."""
    named = PARTS | {"attn_out": "thinker.narrow"}
    with pytest.raises(NotALanguageModel, match="is not given what attn_out adds"):
        open_model(folder, "cpu", parts=named)
    del named["before_mlp"]
    assert "attn_out" not in open_model(folder, "cpu", parts=named).verified.sites


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers = ", "is not TOML"),
        ("layers = 3", "layers"),
        ("layrs = 'x'", "layrs"),
        ("n_heads = 'four'", "n_heads"),
        ("n_heads = -1", "n_heads"),
        ("[layers]\nx = 1", "layers"),
        ("", "names no part"),
        ("# layers = 'x'\nn_heads = 0", "names no part"),
    ],
)
def test_a_file_of_parts_that_is_none_is_refused_in_a_line(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "parts.toml"
    path.write_text(text)
    with pytest.raises(BadParameter, match=words) as caught:
        read_parts(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(BadParameter, match="Cannot read"):
        read_parts(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"n_heads": 8}, "n_heads = 8: the model's configuration says num_attention_heads = 4"),
        ({"n_heads": 32, "attention": "self_attn"}, "num_attention_heads = 4"),
        ({"n_kv_heads": 3}, "num_key_value_heads = 2"),
    ],
)
def test_a_number_of_heads_that_the_configuration_contradicts_is_refused(
    named: dict[str, Any], words: str
) -> None:
    """The width could be cut so, and half a head ablated without a word."""
    with pytest.raises(BadParameter, match=words):
        open_model(wide(), "cpu", parts=named)


def _mixed_by_hand(self: Any, x: torch.Tensor, softmax: bool) -> torch.Tensor:
    """As ``_Mixer.forward``, written out; without ``softmax`` weighed in a way that no one counts."""
    rows, length, width = x.shape
    q, k, v = (
        torch.cat([self.take(x), self.hear(x)], -1)
        .view(rows, length, 3, self.count, -1)
        .permute(2, 0, 3, 1, 4)
    )
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    if softmax:
        pattern = scores.masked_fill(later, torch.finfo(scores.dtype).min).softmax(-1)
    else:
        weights = scores.exp().masked_fill(later, 0.0)
        pattern = weights / weights.sum(-1, keepdim=True)
    out: torch.Tensor = self.give((pattern @ v).transpose(1, 2).reshape(rows, length, width))
    return out


@pytest.mark.parametrize("n_heads", [1, 2, 8, 16])
@pytest.mark.parametrize("written_out", [False, True])
def test_a_number_of_heads_that_divides_the_width_is_counted_in_attention(
    n_heads: int, written_out: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration does not say it, and halves of heads add up as heads do."""
    if written_out:
        monkeypatch.setattr(_Mixer, "forward", partialmethod(_mixed_by_hand, softmax=True))
    with pytest.raises(
        NotALanguageModel, match=r"_Mixer of layer 0 has 4 attention patterns. Name n_heads = 4"
    ) as caught:
        open_model(folder, "cpu", parts=PARTS | {"n_heads": n_heads})
    assert f"n_heads = {n_heads}" in str(caught.value)
    lm = open_model(folder, "cpu", parts=PARTS)
    assert lm.anatomy.d_head == (8, 8, 8)


def test_heads_that_cannot_be_counted_are_not_taken_at_the_users_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Mixer, "forward", partialmethod(_mixed_by_hand, softmax=False))
    with pytest.raises(NotALanguageModel, match="how many heads _Mixer has cannot be counted"):
        open_model(folder, "cpu", parts=PARTS)
    of_heads = ("n_heads", "attention", "out_proj")
    without = {name: path for name, path in PARTS.items() if name not in of_heads}
    lm = open_model(folder, "cpu", parts=without | {"attn_out": "mixer"})
    assert {"attn_out", "resid_mid", "neuron"} <= lm.verified.sites
    assert "z" not in lm.verified.sites


def test_the_template_is_a_file_of_parts() -> None:
    import tomllib

    parts = read_parts(tomllib.loads(TEMPLATE))
    assert parts is not None
    assert parts.layers == "model.layers"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"out_proj": "mixer.hear"}, "named as attn_out"),  # of values: all that attention says
        ({"attn_out": "mixer.hear"}, "named as attn_out"),
        ({"down_proj": "thinker.widen"}, "named as mlp_out"),
        ({"mlp_out": "second"}, "named as mlp_out"),
    ],
)
def test_a_map_further_up_is_not_taken_for_what_is_added_to_the_stream(
    wrong: dict[str, str], words: str, folder: Path
) -> None:
    with pytest.raises(NotALanguageModel, match=words):
        open_model(folder, "cpu", parts=PARTS | wrong)
