"""The parts of a family that is not known, as a user names them: a TOML file, or the same as a mapping.

Paths are attributes with dots between them, those of a layer relative to it; ``a|b`` is the first of the two
that a layer has. What is not named is looked for as ever. Naming proves nothing: ``selfcheck`` does, as for
any family.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from torch import nn

from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.files.places import expanded

_LINES = 40  # of the module tree that a refusal shows
_FILE_AT_MOST = 65536  # bytes


_Count = Annotated[int, msgspec.Meta(ge=0)]
_COUNTED_BY = {"n_heads": "num_attention_heads", "n_kv_heads": "num_key_value_heads"}


class Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Names of modules, empty where they are looked for; see ``TEMPLATE`` for each."""

    body: str = ""
    layers: str = ""
    embedding: str = ""
    final_norm: str = ""
    head: str = ""
    attention: str = ""
    out_proj: str = ""
    attn_out: str = ""
    mlp: str = ""
    down_proj: str = ""
    mlp_out: str = ""
    before_mlp: str = ""
    n_heads: _Count = 0
    n_kv_heads: _Count = 0
    d_head: _Count = 0

    @property
    def names_layers(self) -> bool:
        """Whether anything within a layer is named."""
        own = (self.attention, self.out_proj, self.attn_out, self.mlp, self.down_proj, self.mlp_out)
        return any(own)


TEMPLATE = """\
# Parts of a model for --parts FILE. Paths from the model: leave out what is found without.
layers = "model.layers"          # the list of layers
final_norm = "model.norm"        # the norm between the last layer and the head
body = "model"                   # all of the model but its head
embedding = "model.embed_tokens" # of tokens
head = "lm_head"                 # the unembedding
# Paths from a layer:
attention = "self_attn"          # what mixes tokens
out_proj = "self_attn.o_proj"    # its last linear map, whose input is the heads side by side
attn_out = "self_attn.o_proj"    # whose output is added to the stream
mlp = "mlp"
down_proj = "mlp.down_proj"      # its last linear map, whose input is the neurons
mlp_out = "mlp.down_proj"        # whose output is added to the stream
before_mlp = "post_attention_layernorm"  # whose input is the stream between attention and MLP
# Numbers, where config.json has other names for them:
n_heads = 32
n_kv_heads = 8
d_head = 128
"""


def read_parts(given: str | Path | Mapping[str, Any] | None) -> Parts | None:
    """The parts that a file or a mapping names; None where nothing is given. Raises ``BadParameter``."""
    if not given:
        return None
    where = "parts" if isinstance(given, Mapping) else f"--parts {given}"
    try:
        named = given if isinstance(given, Mapping) else _read(expanded(given), where)
        parts = msgspec.convert(dict(named), Parts)
    except (msgspec.ValidationError, TypeError) as error:
        raise BadParameter(
            f"{where}: {error}.", f"It may name {', '.join(Parts.__struct_fields__)}."
        ) from error
    if parts == Parts():
        raise BadParameter(
            f"{where} names no part.", f"It may name {', '.join(Parts.__struct_fields__)}."
        )
    return parts


def _read(path: Path, where: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _FILE_AT_MOST:
            raise BadParameter(f"{where} is larger than any such file.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadParameter(f"Cannot read {where}: {error.strerror}.", "Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter(f"{where} is not TOML: {str(error)[:120]}.") from error


def refuse_other_counts(parts: Parts, config: Any) -> None:
    """Raise ``BadParameter`` where ``parts`` names another number of heads than ``config`` has.

    A width can be cut into any number of heads: what is done to each would look right.
    """
    for name, own in _COUNTED_BY.items():
        named, counted = getattr(parts, name), getattr(config, own, None)
        if named and isinstance(counted, int) and counted not in (0, named):
            raise BadParameter(
                f"{name} = {named}: the model's configuration says {own} = {counted}.",
                f"Leave {name} out.",
            )


def named_module(root: nn.Module, path: str, what: str) -> nn.Module:
    """The module at ``path`` of ``root``; raises ``NotALanguageModel`` naming the first step that fails."""
    for choice in path.split("|"):
        module: Any = root
        for step in choice.strip().split("."):
            module = getattr(module, step, None)
            if not isinstance(module, nn.Module):
                break
        else:
            return module
    has = ", ".join(name for name, _ in root.named_children()) or "no modules"
    raise NotALanguageModel(
        f"{what} = {path!r}: {type(root).__name__} has no such module.", f"It has {has[:300]}."
    )


def named_layers(model: nn.Module, path: str) -> tuple[nn.Module, ...]:
    """The list of layers at ``path``; raises ``NotALanguageModel``."""
    found = named_module(model, path, "layers")
    if not isinstance(found, (nn.ModuleList, nn.Sequential)) or not len(found):
        raise NotALanguageModel(
            f"layers = {path!r} is a {type(found).__name__}, not a list of layers."
        )
    return tuple(found)


def with_parts_explained(error: NotALanguageModel, model: nn.Module) -> NotALanguageModel:
    """``error`` with the modules of ``model`` and the template of the file as a note."""
    remedy = (
        f"{error.remedy} If it is a family that is not known here, name its parts: --parts FILE."
    )
    explained = NotALanguageModel(error.message, remedy.strip())
    explained.add_note(
        f"The modules of {type(model).__name__}:\n{module_tree(model)}\n\nA file for --parts:\n{TEMPLATE}"
    )
    return explained


def module_tree(model: nn.Module) -> str:
    """The modules of ``model``, indented, equal neighbours once; at most so many lines."""
    lines = _tree(model, "")
    more = len(lines) - _LINES
    return "\n".join(lines[:_LINES] + ([f"… {more} more"] if more > 0 else []))


def _tree(module: nn.Module, indent: str) -> list[str]:
    lines: list[str] = []
    alike: dict[str, list[str]] = {}
    for name, child in module.named_children():
        subtree = _tree(child, indent + "  ")
        shape = "\n".join([type(child).__name__, *subtree])
        if name.isdigit() and shape in alike:
            alike[shape].append(name)
            continue
        alike[shape] = [name]
        width = getattr(child, "in_features", None)
        size = f" {width} → {getattr(child, 'out_features', '?')}" if width is not None else ""
        lines += [f"{indent}{name}: {type(child).__name__}{size}", *subtree]
    counts = {names[0]: len(names) for names in alike.values() if len(names) > 1}
    return [
        line + f" ({counts[key]} alike)"
        if (key := line.strip().partition(":")[0]) in counts and not line.startswith(indent + " ")
        else line
        for line in lines
    ]
