"""The engine as the app sees it: what it may be asked, and the one that is a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from interpboard.results import Chat, MetricRequest
    from tui.session.state import PromptKind, Request


MODEL_SLOT = "model"  # that of the events of loading


class EngineLike(Protocol):
    """What the app needs of ``interpboard.engine.client.EngineClient``."""

    idle: asyncio.Event

    async def start(self) -> None:
        """Start the process."""

    async def stop(self) -> None:
        """End it."""

    async def restart(self) -> None:
        """Start anew, also after giving up."""

    def load(self, model: str, **options: Any) -> int:
        """Load a model."""

    def run(
        self,
        slot: str,
        analysis: str,
        text: Any,
        metric: Any = None,
        params: Any = None,
        cells: Any = None,
        bare: bool = False,
    ) -> int:
        """Run an analysis of a text or a chat; ``cells`` of it are known. ``bare``: as beside a chat."""

    def plan(
        self,
        slot: str,
        analysis: str,
        text: Any,
        metric: Any = None,
        params: Any = None,
        bare: bool = False,
    ) -> int:
        """Ask what ``run`` would take of the same."""

    def tokenize(self, slot: str, text: Any, bare: bool = False) -> int:
        """Ask which tokens a prompt is."""

    def split(self, slot: str, text: str) -> int:
        """Ask which tokens a text is inside another."""

    def vocabulary(self, slot: str) -> int:
        """Ask for the strings of all tokens."""

    def cancel(self, slot: str | None = None) -> None:
        """Cancel one job, or every analysis."""

    def aside(self, slots: Collection[str]) -> None:
        """Nobody looks at these: their jobs come last."""

    @property
    def busy_slots(self) -> tuple[str, ...]:
        """Slots with a job."""


def ask(engine: EngineLike, slot: str, request: Request, cells: Any) -> int:
    """Ask ``request`` in ``slot``; ``cells`` of it are known. The number of the job."""
    given, metric, bare = _given(request)
    return engine.run(slot, request.analysis, given, metric, request.params, cells, bare)


def ask_plan(engine: EngineLike, slot: str, request: Request) -> int:
    """Ask in ``slot`` what ``request`` would take."""
    given, metric, bare = _given(request)
    return engine.plan(slot, request.analysis, given, metric, request.params, bare)


def _given(request: Request) -> tuple[str | Chat, MetricRequest, bool]:
    """Prompt, metric, and whether nothing is put around the prompt."""
    from interpboard.engine.protocol import MetricRequest

    question = request.question
    name = request.metric or question.metric
    metric = MetricRequest(name, question.target, question.foil_of(name), question.position)
    given, bare = given_prompt(question.text, question.kind)
    return given, metric, bare


def given_prompt(text: str, kind: PromptKind) -> tuple[str | Chat, bool]:
    """What the engine is given as a prompt, and whether nothing is put around it. See ``Question``."""
    if kind != "chat":
        return text, kind == "bare"
    from interpboard.results.chats import chat_in

    return chat_in(text), False


TakesEvents = Callable[[str, Any], None]  # takes each event, with the slot that it is of
EngineFactory = Callable[[TakesEvents], EngineLike]


def engine_process(listener: TakesEvents) -> EngineLike:
    """The real engine; its client brings numpy, so it is imported after the first paint."""
    from interpboard.engine.client import EngineClient

    return EngineClient(listener)


def engine_processes(listener: TakesEvents) -> EngineLike:
    """One for each device of the model, which are named with commas between them."""
    from interpboard.engine.several import SeveralEngines

    return SeveralEngines(listener)


def second_engine_process(listener: TakesEvents) -> EngineLike:
    """Another one beside it, with a log of its own."""
    from interpboard.config import engine_log
    from interpboard.engine.client import EngineClient

    log = engine_log()
    return EngineClient(listener, log_path=log.with_name(f"{log.stem}-second.log"))
