"""The lines that make a document again: Python, and a command line. No torch.

The same model, text, metric and parameters; the target is named only where the user named it, since
the model's own top token is found again anyway and need not be writable as text.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES
from interpboard.registry.loading import given, option_words
from interpboard.registry.parameter import Parameter
from interpboard.results import Document, MetricRequest, ModelInfo, PromptInfo, Result
from interpboard.results.chats import chat_json
from interpboard.results.tokens import text_at

# What was allowed when the model was opened, which its notes say by the option's name.
_ALLOWED = {
    "--ignore-unused-weights": "ignore_unused_weights=True",
    "--no-check-weights": "check_weights=False",
}


def _said(option: str, model: ModelInfo) -> bool:
    return any(option in note for note in model.notes)


def _opening(model: ModelInfo) -> dict[str, Any]:
    """How the model was opened, as arguments of ``open_model``; the parts themselves, not their file."""
    asked = given(model.options)
    return asked | ({"parts": model.parts} if model.parts else {})


def python_lines(document: Document, asked: MetricRequest) -> str:
    """Python that leaves the results in ``document``."""
    return script([(document, asked)])


def script(parts: Sequence[tuple[Document, MetricRequest]]) -> str:
    """Python that makes and prints the documents, all of one model; the last is ``document``."""
    model = parts[0][0].model
    place = f"{model.name!r}, device={model.device!r}, dtype={model.dtype!r}"
    bare = not all(document.model.special_tokens for document, _ in parts)  # chats are so anyway
    place += ", special_tokens=False" if bare else ""
    place += "".join(f", {name}={value!r}" for name, value in _opening(model).items())
    place += "".join(f", {python}" for option, python in _ALLOWED.items() if _said(option, model))
    chats = any(document.prompt.chat is not None for document, _ in parts)
    lines = [
        "from interpboard import MetricRequest, open_model",
        "from interpboard.analyze import analyze",
        *(["from interpboard.results.chats import read_chat"] if chats else []),
        "",
        f"lm = open_model({place})",
    ]
    for document, asked in parts:
        lines += [f"# Was {words}: this computes all of it." for words in _partial(document)]
        params = {result.analysis: own_params(result) for result in document.results}
        params = {name: given for name, given in params.items() if given}
        lines += [
            "document = analyze(",
            "    lm,",
            f"    {_source(document.prompt)},",
            f"    {[result.analysis for result in document.results]!r},",
            f"    MetricRequest({_arguments(asked)}),",
            *([f"    {params!r},"] if params else []),
            ")",
            "print(document.to_json())",
        ]
    return "\n".join(lines) + "\n"


def command_line(document: Document, asked: MetricRequest) -> str:
    """``interpboard analyze …`` for bash or zsh; a comment where a parameter is no text."""
    model, text = document.model, document.prompt.text
    opening = model_words(model)
    if opening is None:
        return f"# no command line can say parts = {model.parts!r}\n"
    words = ["interpboard", "analyze", *opening]
    for result in document.results:
        words += ["--analysis", result.analysis]
    words += ["--metric", asked.name]
    if asked.position >= 0:
        words += ["--position", str(asked.position)]
    words += [f"--{name}={token}" for name, token in _tokens(asked)]
    for result in document.results:
        for name, value in own_params(result).items():
            written = _written(_parameter(result.analysis, name), value, document)
            if written is None:
                return f"# no command line can say {result.analysis}.{name} = {value!r}\n"
            words += ["--param", f"{result.analysis}.{name}={written}"]
    words += ["--format", "json", f"--text={text}"]
    if document.prompt.chat is not None:
        words[-1] = f"--chat={chat_json(document.prompt.chat)}"
    line = " ".join(_quoted(word) for word in words)
    line += "".join(f"  # was {extent}: this computes all of it" for extent in _partial(document))
    # The text "-" means standard input, so it comes from there.
    spoken = document.prompt.chat is not None
    return f"printf %s - | {line}\n" if text == "-" and not spoken else f"{line}\n"


def model_words(model: ModelInfo) -> list[str] | None:
    """The words of a command line that open ``model`` as it is; None where none can."""
    if model.parts and not model.options.parts:
        return None
    words = ["--model", model.name, "--device", model.device, "--dtype", model.dtype]
    words += [] if model.special_tokens else ["--no-special-tokens"]
    return words + option_words(model.options) + [o for o in _ALLOWED if _said(o, model)]


def _source(prompt: PromptInfo) -> str:
    """The text, or the chat, as an argument of ``analyze``."""
    if prompt.chat is None:
        return repr(prompt.text)
    return f"read_chat({json.loads(chat_json(prompt.chat))!r})"


def _partial(document: Document) -> list[str]:
    """What is missing in the results that were stopped."""
    found = [(r.analysis, r.partial) for r in document.results if r.partial is not None]
    return [f"partial, {name}: {visible(str(partial))}" for name, partial in found]


def own_params(result: Result) -> dict[str, Any]:
    """The parameters of a result that are not what the registry takes by itself."""
    return chosen_params(result.analysis, result.params)


def chosen_params(analysis: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``params`` that ``analysis`` takes and that differ from its defaults."""
    usual = {parameter.name: parameter.default for parameter in _parameters(analysis)}
    return {
        name: value
        for name, value in params.items()
        if name in usual and _plain(value) != _plain(usual[name])
    }


def _plain(value: Any) -> Any:
    """One form for what means the same: lists are tuples, and no text is an empty list of texts."""
    if value == "":
        return ()
    return tuple(value) if isinstance(value, list) else value


def _arguments(asked: MetricRequest) -> str:
    words = [repr(asked.name), *(f"{name}={token!r}" for name, token in _tokens(asked))]
    if asked.position >= 0:
        words.append(f"position={asked.position}")
    return ", ".join(words)


def _tokens(asked: MetricRequest) -> list[tuple[str, str]]:
    pairs = (("target", asked.target), ("foil", asked.foil))
    return [(name, token) for name, token in pairs if token is not None]


def _written(parameter: Parameter, value: Any, document: Document) -> str | None:
    """A parameter's value as ``--param`` reads it back; None where it would not."""
    if parameter.kind is object and not parameter.many:
        return _stretch(value, document)
    return _read_back(parameter, value)


def written_param(analysis: str, name: str, value: Any) -> str | None:
    """The same of every prompt: what names places in one of them is written only where it is a text."""
    parameter = _parameter(analysis, name)
    if parameter.kind is object and not parameter.many:
        return _plain_text(value) if isinstance(value, str) else None
    return _read_back(parameter, value)


def _read_back(parameter: Parameter, value: Any) -> str | None:
    written = _commas(value) if parameter.many else _plain_text(value)
    try:
        same = written is not None and _plain(parameter.parse(written)) == _plain(value)
    except BadParameter:
        return None
    return written if same else None


def _commas(value: Any) -> str | None:
    """Of a parameter that takes several: the parts with commas between; None is all of them."""
    if value is None:
        return "all"
    parts = [_plain_text(part) for part in ([value] if isinstance(value, str) else value)]
    return ",".join(part for part in parts if part is not None) if None not in parts else None


def _plain_text(value: Any) -> str | None:
    """A value, or a list of texts with one a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and all(_is_a_line(part) for part in value):
        return "\n".join(value)
    return None


def _is_a_line(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() and len(value.splitlines()) == 1


def _stretch(value: Any, document: Document) -> str | None:
    """Positions as the text that stands there, if it stands nowhere else; or as ``1,2``."""
    places = list(value) if isinstance(value, Sequence) else []
    if isinstance(value, str) or any(isinstance(place, str) for place in places):
        return _plain_text(value)
    prompt = document.prompt
    if not places or not all(0 <= place < len(prompt.tokens) for place in places):
        return None
    written = [",".join(map(str, places))]
    if places == list(range(places[0], places[0] + len(places))):
        written.append(f"{places[0]}:{places[-1] + 1}")
        words = text_at(prompt, tuple(places)).strip()
        # Without spans it is not known whether the text is found in just these tokens.
        once = bool(words) and prompt.text.count(words) == 1 and words[0] not in "#\\"
        if once and (not prompt.spans or _only_there(prompt, words, places)):
            return words
    return next((numbers for numbers in written if numbers not in prompt.text), None)


def _only_there(prompt: PromptInfo, words: str, places: Sequence[int]) -> bool:
    begin = prompt.text.find(words)
    end = begin + len(words)
    spans = enumerate(prompt.spans)
    return [at for at, (b, e) in spans if max(b, begin) < min(e, end)] == list(places)


def _parameters(analysis: str) -> tuple[Parameter, ...]:
    known = ANALYSES.get(analysis)
    return known.parameters if known else ()


def _parameter(analysis: str, name: str) -> Parameter:
    return next(parameter for parameter in _parameters(analysis) if parameter.name == name)


def _quoted(word: str) -> str:
    """``word`` for a shell; control characters written out, so that a paste does nothing."""
    if word.isprintable():
        return shlex.quote(word)
    names = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    parts = []
    for char in word:
        if char in names:
            parts.append(names[char])
        elif char.isprintable():
            parts.append(char)
        else:
            parts += [f"\\{byte:03o}" for byte in char.encode()]
    return "$'" + "".join(parts) + "'"
