"""The whole text in Tokens: how likely each token was, and what the interventions that are on change."""

from __future__ import annotations

from dataclasses import replace
from math import exp, isnan
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import visible
from tui import words
from tui.commands.command import keyed
from tui.session.state import Question, Request, State
from tui.slots.what_if.spec import edited_request

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import PromptInfo, Result
    from interpboard.visualization.colors import Scale
    from tui.theme import Inks

LOSSES = "token_losses"
WITHOUT_MASK = (
    "The prompt has no mask: each token is masked in turn. {key:explain_here} at a word puts one."
)
# What can be painted: its name here, what it is called, and what its sides say where it has two.
_PAINTED = {
    "effect": ("change of loss", "− likelier, + less likely than clean"),
    "loss": ("loss", ""),
    "surprise": ("surprise", "− likelier, + less likely than expected"),
    "entropy": ("entropy", ""),
}


def losses_request(request: Request, state: State) -> Request:
    """With the interventions that are on made beside the clean run."""
    edited = edited_request(state, LOSSES)
    params = {} if edited is None else edited.params
    own = state.params.get(LOSSES, {})
    return replace(request, analysis=LOSSES, params={**own, **params})


def paintings(result: Result) -> tuple[str, ...]:
    """What of it can be painted, first what it shows at first: the change, where something is on."""
    return tuple(name for name in _PAINTED if name == "loss" or name in result.extra)


def painting_of(result: Result, chosen: str) -> str:
    """What is painted where ``chosen`` was."""
    names = paintings(result)
    return chosen if chosen in names else names[0]


def next_painting(result: Result, chosen: str) -> str:
    """What is painted after it."""
    names = paintings(result)
    return names[(names.index(painting_of(result, chosen)) + 1) % len(names)]


def painted_losses(result: Result, name: str) -> tuple[np.ndarray, Scale]:
    """The numbers [token] of a painting, and their scale."""
    from interpboard.visualization.colors import Scale

    values = result.values if name == "loss" else result.extra[name].values
    return values, Scale.of_kind(values, "diverging" if _PAINTED[name][1] else "magnitude")


def text_of_losses(result: Result, prompt: PromptInfo) -> PromptInfo:
    """The prompt; where a file was scored the text of it that has losses."""
    labels = result.axes[0].labels
    if len(labels) == len(prompt.tokens):
        return prompt
    from interpboard.results import PromptInfo

    return PromptInfo("".join(labels), labels, ())


# -- words ---------------------------------------------------------------------------------------------


def losses_title(result: Result, name: str) -> str:
    """What is painted, the perplexity of the whole, and of which text."""
    kind = "pseudo_perplexity" if "pseudo_perplexity" in result.extra else "perplexity"
    said = f"{_PAINTED[name][0]} of each token  {kind.replace('_', '-')} "
    said += _clean_and_edited(result, kind)
    file = str(result.params.get("file", ""))
    return said + f" of {visible(file)}" * bool(file)


def losses_readout(result: Result, prompt: PromptInfo, at: int, ink: Inks) -> Text:
    """The token at ``at``: how likely it was, what the model expected, and what the interventions change."""
    said = Text.assemble(
        (f" {at} ", ink.muted), (words.token(prompt.tokens[at]), Style(color=ink.text, bold=True))
    )
    loss, strong = float(result.values[at]), Style(color=ink.accent, bold=True)
    if isnan(loss):
        return said.append(f"  {_why_none(result, prompt, at)}", ink.muted)
    own = {name: array.values[at] for name, array in result.extra.items() if array.values.ndim == 1}
    said.append(f"  loss {words.unsigned(loss)}", strong)
    if "edited" in own:
        said.append(f" → {words.unsigned(float(own['edited']))}", strong)
        said.append(f" ({words.signed(float(own['effect']))})", ink.text)
    said.append(f"  p {words.percent(exp(-loss))}  rank {int(own['rank']):,}", ink.text)
    said.append(f"  entropy {words.unsigned(float(own['entropy']))}", ink.text)
    said.append(f"  surprise {words.signed(float(own['surprise']))}", ink.text)
    if own["rank"] > 1:
        share = words.percent(float(own["likeliest_prob"]))
        said.append(f"  likeliest {words.token(str(own['likeliest']))} {share}", ink.muted)
    return said.append("  exact", ink.muted)


def _why_none(result: Result, prompt: PromptInfo, at: int) -> str:
    if at < prompt.border:
        return "no loss: it is of the source"
    if prompt.spans and prompt.spans[at][0] == prompt.spans[at][1]:
        return "no loss: it is no part of the text"
    if "pseudo_perplexity" in result.extra:
        return "no loss: a mask is no word"
    return "no loss: nothing stands before it"


def losses_legend(result: Result, name: str) -> Text:
    """The mean loss, and how much of it the interventions leave."""
    said = _PAINTED[name][1] or "nats, a size, no sign"
    recovered = words.scalar(result.extra.get("loss_recovered"))
    of = "" if recovered is None else f"  loss recovered {recovered:.0%}"
    return Text(f"{said}  mean loss {_clean_and_edited(result, 'mean_loss')}{of}")


def _clean_and_edited(result: Result, name: str) -> str:
    """A number of the whole text, ``6.93 → 10.2`` where something is on."""
    both = [words.scalar(result.extra.get(own)) for own in (name, f"edited_{name}")]
    known = [own for own in both if own is not None]
    return " → ".join(words.unsigned(own, 2) if own < 1e4 else f"{own:.2e}" for own in known)


# -- what Space does -----------------------------------------------------------------------------------


def explained_token(state: State, result: Result, prompt: PromptInfo, at: int) -> Question | str:
    """The question why the token at ``at`` is there, or what is in the way of it.

    A masked model is asked at a mask in the place of the token.
    """
    if result.params.get("file"):
        return "This is the text of a file: only a prompt's tokens are explained."
    if state.previous("tokens"):
        return keyed("This is the previous prompt: {key:run} runs the new one.")
    if isnan(float(result.values[at])):
        why = _why_none(result, prompt, at)
        return f"{words.token(prompt.tokens[at])} has {why}."
    target, question = spelt(prompt, at), state.question
    if "pseudo_perplexity" not in result.extra:
        if (question.position, question.target) == (at - 1, target):
            return replace(question, position=-1, target=None)
        return replace(question, position=at - 1, target=target)
    mask = "" if state.model is None else state.model.info.mask_token
    if mask in question.text:
        return f"The prompt has its {mask}: what stands there is explained. Write the word there first."
    begin, end = prompt.spans[at]
    text = prompt.text
    if question.kind != "text" or text != question.text:
        return "Only in a plain text can a mask be put."
    begin += len(text[begin:end]) - len(text[begin:end].lstrip())
    if _joined(text, begin) or _joined(text, end):
        own = words.token(prompt.tokens[at])
        return f"{own} is a part of a word: a mask in the text would make other tokens of the word."
    return replace(question, text=f"{text[:begin]}{mask}{text[end:]}", target=target, position=-1)


def _joined(text: str, at: int) -> bool:
    """Do letters or digits stand on both sides of the place?"""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def spelt(prompt: PromptInfo, at: int) -> str:
    """The token at ``at`` as it can be typed: by its id where it is not the text that stands there."""
    token = prompt.tokens[at]
    begin, end = prompt.spans[at] if prompt.spans else (0, 0)
    alike = not prompt.spans or prompt.text[begin:end].strip() == token.strip()
    return token if alike else f"#{prompt.token_ids[at]}"
