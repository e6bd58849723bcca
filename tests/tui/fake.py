"""An engine without a process: the same interface, canned and plausible answers, frozen figures."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from interpboard.engine import protocol
from interpboard.engine.client import Lost
from interpboard.results import Cells, Chat, LabelledArray, ModelInfo, PromptInfo
from interpboard.results.plan import Plan
from tests.tui import answers, chats
from tests.tui import answers_vocabulary as vocabulary
from tests.tui.answers import canned, tokens_of

LAYERS, HEADS = 4, 8
MEMORY = 15_000_000
PLAN = Plan("of any analysis", 6, 96, 120.4, 45 * 2**20, 3.2, "96 edited runs, 8 of them timed")


class FakeEngine:
    """Answers on the loop. ``paused``: jobs wait until ``release``; ``steps`` of progress come before."""

    def __init__(self, listener: Callable[[str, Any], None]) -> None:
        self.listener = listener
        self.idle = asyncio.Event()
        self.idle.set()
        self.paused = False
        self.alive = False
        self.pid = 4242
        self.layers, self.heads = LAYERS, HEADS
        self.requests: list[protocol.RunAnalysis] = []
        self.planned: list[protocol.RunAnalysis] = []
        self.stopped = False
        self.vocabularies = 0
        self.refused: dict[str, protocol.Failed] = {}  # by analysis
        self.tokens = tokens_of
        self._jobs: dict[str, Any] = {}
        self._number = 0
        self._waiting: deque[tuple[str, Any]] = deque()
        self.loaded = "demo"
        self.put_aside: tuple[str, ...] = ()
        self.has_template = True

    @property
    def busy_slots(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    async def start(self) -> None:
        self.alive = True

    async def stop(self) -> None:
        self.stopped, self.alive = True, False

    async def restart(self) -> None:
        self.alive = True
        self._submit("model", protocol.Load(job=0, model=self.loaded))

    def load(self, model: str, **options: Any) -> int:
        return self._submit("model", protocol.Load(job=0, model=model, **options))

    def run(
        self,
        slot: str,
        analysis: str,
        text: str | Chat,
        metric: Any = None,
        params: Any = None,
        cells: Any = None,
        bare: bool = False,
    ) -> int:
        request = protocol.RunAnalysis(
            job=0,
            analysis=analysis,
            text=text,
            metric=metric or protocol.MetricRequest(),
            params=dict(params or {}),
            cells=cells,
            bare=bare,
        )
        self.requests.append(request)
        return self._submit(slot, request)

    def plan(
        self,
        slot: str,
        analysis: str,
        text: str | Chat,
        metric: Any = None,
        params: Any = None,
        bare: bool = False,
    ) -> int:
        asked = protocol.RunAnalysis(
            0, analysis, text, metric or protocol.MetricRequest(), dict(params or {}), bare=bare
        )
        self.planned.append(asked)
        return self._submit(slot, protocol.PlanAnalysis(0, asked))

    def aside(self, slots: Any) -> None:
        self.put_aside = tuple(slots)

    def tokenize(self, slot: str, text: str | Chat, bare: bool = False) -> int:
        return self._submit(slot, protocol.Tokenize(job=0, text=text, bare=bare))

    def split(self, slot: str, text: str) -> int:
        return self._submit(slot, protocol.Split(job=0, text=text))

    def vocabulary(self, slot: str) -> int:
        self.vocabularies += 1
        return self._submit(slot, protocol.Vocabulary(job=0))

    def cancel(self, slot: str | None = None) -> None:
        for name in [slot] if slot else [name for name in self._jobs if name != "model"]:
            if self._jobs.pop(name, None) is not None:
                self._tell(name, protocol.Stopped(0))
        self._rest()

    # -- for tests --------------------------------------------------------------------------------

    def release(self) -> None:
        """Let waiting jobs answer."""
        self.paused = False
        while self._waiting:
            asyncio.get_running_loop().call_soon(self._answer, *self._waiting.popleft())

    def only(self, *slots: str) -> None:
        """Let the waiting jobs of ``slots`` answer; what they lead to waits too."""
        for job in [job for job in self._waiting if job[0] in slots]:
            self._waiting.remove(job)
            asyncio.get_running_loop().call_soon(self._answer, *job)

    def release_all_but(self, slot: str) -> None:
        """Let the waiting jobs of all other slots answer."""
        self.only(*{name for name, _ in self._waiting} - {slot})

    def progress(self, slot: str, done: int, total: int, partial: Any = None) -> None:
        """Say how far a job is."""
        self._tell(slot, protocol.Progress(0, done, total, partial))

    def compute(
        self, slot: str, cells: int, left_s: float | None = 30.0, expected: bool = False
    ) -> None:
        """The job of ``slot`` begins and has computed its first ``cells`` cells."""
        finished = self.event_of(self._jobs[slot])
        result = finished.result
        nothing = msgspec.structs.replace(
            result, axes=(), values=np.array(np.nan), extra={}, baseline=result.baseline
        )
        self._tell(slot, protocol.Begun(0, finished.prompt, nothing))
        values = np.full(result.values.size, np.nan)
        values[:cells] = result.values.reshape(-1)[:cells]
        shown = LabelledArray(result.axes, values.reshape(result.values.shape))
        known = np.arange(cells)
        kept = Cells(f"{result.analysis} {finished.prompt.text}", known, known, values[:cells])
        self._tell(slot, protocol.Progress(0, cells, values.size, shown, left_s, kept, expected))

    def die(self, restarting: bool = True, going_on: tuple[str, ...] = ()) -> None:
        """The process is killed; it comes back and loads the model, unless it gave up. With jobs ``going_on``
        as if other engines had a share of them."""
        slots = tuple(slot for slot in self._jobs if slot not in going_on)
        for slot in slots:
            del self._jobs[slot]
        self._waiting = deque(job for job in self._waiting if job[0] in going_on)
        if not self._jobs:
            self.idle.set()
        self.alive = False
        log = ("loading weights", "CUDA error: [/oops")
        self.listener("", Lost(-9, log, slots, restarting, going_on=going_on))
        if restarting:
            self.alive = True
            self._submit("model", protocol.Load(job=0, model=self.loaded))

    def _of_chat(self, chat: Chat) -> protocol.Failed | None:
        if not self.has_template:
            said = "This model's tokenizer has no chat template."
            return protocol.Failed(0, "unsupported", said, "Give a plain text.")
        roles = [message.role for message in chat.messages]
        if any(one == other for one, other in itertools.pairwise(roles)):
            return protocol.Failed(
                0, "bad_prompt", "The chat template refuses this chat.", "Roles."
            )
        return None

    # -- inside -----------------------------------------------------------------------------------

    def _submit(self, slot: str, request: Any) -> int:
        self._number += 1
        self._jobs[slot] = request
        self.idle.clear()
        if self.paused:
            self._waiting.append((slot, request))
        else:
            asyncio.get_running_loop().call_soon(self._answer, slot, request)
        return self._number

    def _answer(self, slot: str, request: Any) -> None:
        if self._jobs.get(slot) is not request:
            return
        del self._jobs[slot]
        self._rest()
        self._tell(slot, self.event_of(request))

    def _rest(self) -> None:
        if not self._jobs:
            self.idle.set()

    def _tell(self, slot: str, event: Any) -> None:
        self.listener(slot, event)

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.Load):
            if request.model not in ("demo", "other"):
                return protocol.Failed(
                    0, "unknown_model", f"There is no model {request.model!r}.", "Is it a folder?"
                )
            self.loaded = request.model
            info = ModelInfo(
                request.model, None, "llama", self.layers, self.heads, "float32", "cpu"
            )
            return protocol.Ready(0, info, "replay", 512, 4096, 3_000_000, MEMORY)
        if isinstance(request, protocol.PlanAnalysis):
            answer = self.event_of(request.run)
            return protocol.Planned(0, PLAN) if isinstance(answer, protocol.Finished) else answer
        if isinstance(request, protocol.Vocabulary):
            return protocol.TokenStrings.of(0, vocabulary.VOCABULARY)
        if isinstance(request, protocol.Tokenize):
            if isinstance(request.text, Chat):
                said = ("The chat template makes nothing of the tools.",) * bool(request.text.tools)
                prompt = chats.prompt(request.text)
                return self._of_chat(request.text) or protocol.Tokens(0, prompt, said)
            found = self.tokens(request.text)
            return protocol.Tokens(0, PromptInfo(request.text, found, answers.ids_of(found)))
        if isinstance(request, protocol.Split):
            known = request.text in vocabulary.VOCABULARY
            found = (request.text,) if known else self.tokens(request.text)
            ids = tuple(
                vocabulary.VOCABULARY.index(text) if text in vocabulary.VOCABULARY else 0
                for text in found
            )
            return protocol.Tokens(0, PromptInfo(request.text, found, ids))
        if request.analysis in self.refused:
            return self.refused[request.analysis]
        if isinstance(request.text, Chat):
            refused = self._of_chat(request.text)
            if refused is not None:
                return refused
            spoken = chats.prompt(request.text)
            plain = msgspec.structs.replace(request, text=spoken.text)
            _, result = canned(plain, spoken.tokens, self.layers, self.heads)
            return protocol.Finished(0, spoken, result, MEMORY)
        tokens = self.tokens(request.text)
        metric = request.metric
        if not tokens:
            return protocol.Failed(0, "bad_prompt", "The prompt is empty.", "Type a text.")
        for token in (metric.target, metric.foil):
            if token is not None and token not in vocabulary.VOCABULARY:
                return protocol.Failed(
                    0, "bad_target", f"{token!r} is 2 tokens: '[/INST]' 'x'.", "Choose one."
                )
        if "nonsense" in str(request.params.get("interventions", "")):
            return protocol.Failed(0, "bad_parameter", "Cannot read that.", "Write 2.5=zero.")
        source = request.params.get("source")
        if source is not None and len(self.tokens(source)) != len(tokens):
            said = f"The source has {len(self.tokens(source))} tokens, the prompt {len(tokens)}."
            return protocol.Failed(0, "bad_prompt", said, "Choose a source that is equally long.")
        if len(self.tokens(request.params.get("corrupted", request.text))) != len(tokens):
            return protocol.Failed(0, "bad_prompt", "Not equally long.", "Choose another.")
        return protocol.Finished(0, *canned(request, tokens, self.layers, self.heads), MEMORY)
