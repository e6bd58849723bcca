"""The lines around the panes, as pure functions of the state: status, tabs, footer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import spoken_bytes, spoken_seconds, visible
from tui import words
from tui.commands.command import Command, keyed, shown_keys
from tui.session.job import Job
from tui.session.state import Engine, State
from tui.theme import Inks

if TYPE_CHECKING:
    from interpboard.results import ModelInfo, Result

_PHASES = {
    "starting": "engine: starting",
    "loading": "engine: loading",
    "ready": "engine: idle",
    "failed": "engine: no model",
    "restarting": "engine: starting again",
    "gave up": "engine: down",
}
BAR = 10


def status(
    state: State, ink: Inks, width: int, edited: bool = False, predicted: Result | None = None
) -> Text:
    """`` demo · cpu · float32 · 14 MiB │ logit ·Paris │ engine: idle``, or the running job.

    ``predicted`` knows the target that the engine chose. Where it is narrow the model says less, so that
    what happens now is always in sight.
    """
    doing = now(state, ink, edited)
    text = Text()
    if state.sweep:
        doing.append(f" │ {state.sweep}", ink.text)
    for name, details, asked in _SHORTER:
        text = _model(state, ink, name, details, asked, predicted)
        if text.cell_len + doing.cell_len <= width:
            return text.append_text(doing)
    return text.append_text(now(state, ink, edited, width - text.cell_len))


# (cells of the model's name, its details, what is asked): less and less.
_SHORTER = (
    (40, 4, True), (40, 3, True), (40, 2, True), (40, 1, True), (40, 0, True), (24, 0, True),
    (16, 0, True), (16, 0, False), (0, 0, False),
)  # fmt: skip


def _model(
    state: State, ink: Inks, name: int, details: int, asked: bool, predicted: Result | None
) -> Text:
    text, model = Text(" ", ink.text), state.model
    if not name:
        return text
    bold = Style(color=ink.accent, bold=True)
    if model is None:
        text.append("InterpBoard", bold)
    else:
        info = model.info
        text.append(words.short_path(visible(info.name), name), bold)
        memory = spoken_bytes(model.memory_bytes) if model.memory_bytes else "not loaded"
        from interpboard.results.opened import opened_as  # numpy: after the first paint

        how = ", ".join(opened_as(info))
        device = words.devices(state.devices, state.asked_devices) or info.device
        parts = ((how,) if how else ()) + (device, memory, info.dtype, model.path)
        text.append("".join(f" · {visible(part)}" for part in parts[:details] if part), ink.text)
        if info.adapters and not details:
            text.append(_adapters(info), ink.text)
    text.append(" │ ", ink.frame)
    if asked:
        text.append(_metric(state, predicted), ink.text)
        text.append(" │ ", ink.frame)
    return text


def _adapters(info: ModelInfo) -> str:
    """That there are some, where there is no room for their names: it is another model without them."""
    how = "" if info.options.adapter_state == "on" else f" {info.options.adapter_state}"
    return f" +adapter{'s' if len(info.adapters) > 1 else ''}{how}"


def _metric(state: State, predicted: Result | None) -> str:
    """The metric, with the target that the engine chose where none was asked for; of means that of their
    rows, each of which has its own target."""
    if state.means is not None:
        metrics = dict.fromkeys(own.metric.name for own in state.means.document.results)
        return f"{', '.join(metrics)} over rows"
    name = words.question_name(state.question)
    if predicted is not None:
        name = words.metric_name(predicted.metric)
    return name + (f" @{state.question.position}" if state.question.position >= 0 else "")


def now(state: State, ink: Inks, edited: bool = False, room: int | None = None) -> Text:
    """What the engine does: the running job, or that it is idle, or what happened to it.

    In ``room`` cells a job has no bar, and says less of how far it is.
    """
    text, engine, busy = Text(), state.engine, state.busy
    if engine.notice and not busy and engine.phase != "loading":
        text.append(visible(engine.notice), Style(color=ink.warning, bold=True))
        text.append(_after_death(engine), ink.text)
        text.append(f"  {visible(engine.log[-1])}" if engine.log else "", ink.muted)
    elif engine.phase == "loading":
        opening = f"{words.short_model(engine.opening)}: " if engine.opening else ""
        text.append(f"{opening}{visible(engine.stage) or 'loading'} ", ink.text)
        _bar(text, engine.fraction, ink)
        if engine.opening:
            text.append(f" {shown_keys('cancel')} cancels", ink.muted)
    elif busy:
        answer = state.slots[busy[0]]
        job, asked = answer.job, answer.pending
        name = job.title if job is not None else ""
        if not name and asked is not None:
            name = words.analysis_title(asked.analysis, state.problem)
        if (
            edited
        ):  # first, so that it is never cut: the panes are of another text than the one above them
            text.append(f"{_edited_words()}  ", ink.accent)
        text.append(f"{name} ", ink.text)
        others = f" +{len(busy) - 1}" if len(busy) > 1 else ""
        if room is not None and job is not None:
            text.append(standing(job, room - text.cell_len - len(others)), ink.text)
            return text.append(others, ink.muted)
        _bar(text, job.fraction if job is not None else 0.0, ink)
        if job is not None:
            text.append(job_words(job), ink.text)
        text.append(others, ink.muted)
    else:
        text.append(_PHASES[engine.phase], ink.muted)
        if edited:
            text.append(f"  {_edited_words()}", ink.accent)
    return text


def _edited_words() -> str:
    return keyed("prompt edited: {key:run} runs")


def job_words(job: Job) -> str:
    """`` of 32 heads, 12 s left``, and of a long job the key that stops it.

    Before its own first steps a long job says what is expected: `` of 1,536 heads, about 40 s, x stops``.
    """
    size = f" of {job.total:,} {job.unit}" if job.unit and job.total > 1 else ""
    if job.left_s is None or not job.tells_time or (job.expected and not job.long):
        return size
    took = spoken_seconds(job.left_s)
    left = f"{',' if size else ''} " + (f"about {took}" if job.expected else f"{took} left")
    return f"{size}{left}" + (f", {shown_keys('cancel')} stops" if job.long else "")


def standing(job: Job, room: int | None = None) -> str:
    """How far a job is, for the frame of a pane; it waits until its first step, and while another goes first.

    In ``room`` cells first its size gives way, then the time that is left: the key that stops it stays.
    """
    if not job.total:
        return "waiting"
    if not job.runs:
        return f"waiting at {job.fraction * 100:.0f}%"
    far = f"running {job.fraction * 100:.0f}%"
    more = job_words(job)
    full = far + ("" if job.unit or not more else ",") + more
    if room is None or len(full) <= room:
        return full
    stops = [f"{shown_keys('cancel')} stops"] if job.long else []
    left = [f"{spoken_seconds(job.left_s or 0.0)} left"] if job.tells_time else []
    shorter = (", ".join([far, *more]) for more in ([*left, *stops], stops))
    return next((words for words in shorter if len(words) <= room), far)


def under_way(state: State) -> list[str]:
    """The jobs, one a line, for the log: ``head ablation: 34% of 32 heads, 12 s left``."""
    jobs = []
    for name in state.busy:
        job, asked = state.slots[name].job, state.slots[name].pending
        if job is not None and asked is not None:
            title = job.title or words.analysis_title(asked.analysis, state.problem)
            jobs.append(f"{title}: {standing(job).removeprefix('running ')}")
    return [*jobs, *([state.sweep] if state.sweep else [])]


def _after_death(engine: Engine) -> str:
    run, log = map(shown_keys, ("run", "log"))
    if engine.phase == "restarting":
        return f", starting again, {log} its log"
    if engine.phase == "gave up":
        return f", {run} tries again, {log} its log"
    return f", restarted: {run} runs{' what was lost' if engine.lost else ''}, {log} its log"


def _bar(text: Text, fraction: float, ink: Inks) -> None:
    text.append(f"{fraction * 100:3.0f}% ", ink.text)
    text.append("▕", ink.frame)
    text.append(words.bar(fraction, BAR), ink.accent)
    text.append("▏", ink.frame)


def tabs(
    names: Sequence[tuple[int, str, str, str]], active: str, state: State, ink: Inks, width: int
) -> Text:
    """`` 1 Tokens │ 2 Heads │…``; ``names`` are (number, title, short, slot). A running pane has dots.

    Where they do not all fit, long names are shortened; then only the active one has a name.
    """
    text = Text()
    room = width - len(names)
    if sum(len(title) + 4 for _, title, _, _ in names) > room:
        names = [(number, short or title, short, slot) for number, title, short, slot in names]
    if sum(len(title) + 4 for _, title, _, _ in names) > room + 1:
        names = [(n, title if slot == active else "", "", slot) for n, title, _, slot in names]
    for at, (number, title, _, slot) in enumerate(names):
        if at:
            text.append("│", ink.frame)
        here = slot == active
        style = Style(color=ink.accent, bold=True, reverse=True) if here else Style(color=ink.muted)
        running = slot in state.slots and state.slots[slot].job is not None
        mark = "…" if running else " "
        text.append(f" {number} {title}{mark}" if title else f" {number}{mark}", style)
    return text


def hint(command: Command, ink: Inks) -> Text:
    """Its first key and its label."""
    text = Text()
    text.append(f" {command.shown.split(' ')[0]}", Style(color=ink.accent, bold=True))
    return text.append(f" {command.label} ", ink.muted)


def footer(commands: Iterable[Command], ink: Inks, width: int) -> Text:
    """Live keys for what has the focus; those at the end that do not fit are left out."""
    text = Text()
    for command in commands:
        shown = hint(command, ink)
        if text.cell_len + shown.cell_len > width:
            break
        text.append_text(shown)
    return text
