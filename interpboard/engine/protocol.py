"""What the screen and the engine say to each other: small typed messages, no pickle.

Each message is a msgpack map with a ``type`` tag, in a frame: four bytes of length, big-endian, then
the payload. Arrays travel inside as dtype, shape and raw bytes. A *job* is a number chosen by the
client; every event about it carries it. Nothing here assumes that both ends share a machine.

Each end says first which version it is, ``Greeting`` and ``Hello``, and both compare: after an upgrade
under a running app the two would misunderstand each other.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, TypeVar

import msgspec

from interpboard import __version__
from interpboard.display import spoken_bytes, visible
from interpboard.engine.token_strings import TokenStrings
from interpboard.errors import InterpBoardError
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from interpboard.results import (
    Cells,
    Chat,
    LabelledArray,
    MetricRequest,
    ModelInfo,
    PromptInfo,
    Result,
    pack,
    unpack,
)
from interpboard.results.plan import Plan

HEADER = struct.Struct(">I")
MAX_FRAME = 1 << 30
PROTOCOL = 5


class BadFrame(ValueError):
    """Bytes that are no message: the other end is not ours, or damaged."""


class TooLarge(InterpBoardError):
    """A result that no frame can carry."""

    kind = "too_large"


class Greeting(msgspec.Struct, frozen=True, tag="greeting"):
    """First request of an owner: which version it is."""

    version: str = __version__
    protocol: int = PROTOCOL


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load a model, in place of the one there is. A failed load leaves the old one in use."""

    job: int
    model: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    ignore_unused_weights: bool = False
    check_weights: bool = True
    special_tokens: bool = True
    options: LoadOptions = NOTHING_ASKED


class RunAnalysis(msgspec.Struct, frozen=True, tag="run", omit_defaults=True):
    """Run one analysis of the registry on one prompt. ``cells``: those that are known, to go on from.

    ``bare``: nothing is put around the text, since it is looked at beside a chat. ``share``: which engine of
    how many this is: it computes its share of the cells that are asked for next, and says ``Stopped``; where
    it knows all that are asked for, it gives the result.
    """

    job: int
    analysis: str
    text: str | Chat
    metric: MetricRequest = MetricRequest()
    params: dict[str, Any] = {}
    cells: Cells | None = None
    bare: bool = False
    share: tuple[int, int] | None = None


class PlanAnalysis(msgspec.Struct, frozen=True, tag="plan"):
    """Ask what ``run`` would take, without running it to its end. Answer: ``Planned``."""

    job: int
    run: RunAnalysis


class Tokenize(msgspec.Struct, frozen=True, tag="tokenize"):
    """Ask which tokens a text or a chat is as a prompt. ``bare``: see ``RunAnalysis``. Answer: ``Tokens``."""

    job: int
    text: str | Chat
    bare: bool = False


class Split(msgspec.Struct, frozen=True, tag="split"):
    """Ask into which tokens a text falls that is meant as one, a target say. Answer: ``Tokens``."""

    job: int
    text: str


class Vocabulary(msgspec.Struct, frozen=True, tag="vocabulary"):
    """Ask for the strings of all tokens. Answer: ``TokenStrings``."""

    job: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop a job, running or waiting. Answered by ``Stopped`` (or by its result, if it was quicker)."""

    job: int


class Aside(msgspec.Struct, frozen=True, tag="aside"):
    """Nobody looks at what these jobs are for: all others go before them."""

    jobs: tuple[int, ...]


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """End the process at once."""


EngineJob = Load | RunAnalysis | PlanAnalysis | Tokenize | Split | Vocabulary
EngineRequest = Greeting | EngineJob | Cancel | Aside | Shutdown


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First event of a process, before torch is imported: which version it is."""

    pid: int
    version: str = __version__
    protocol: int = PROTOCOL


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """How far a load is: a stage in words and a fraction of the whole."""

    job: int
    stage: str
    fraction: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A model is loaded and has passed its self-check. ``notes`` name what it cannot do."""

    job: int
    model: ModelInfo
    path: str
    context: int
    vocabulary: int
    parameters: int
    memory_bytes: int
    notes: tuple[str, ...] = ()


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A job whose cells are kept begins: what its result will be, without values."""

    job: int
    prompt: PromptInfo
    result: Result


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """``done`` of ``total`` steps. ``partial``: the values so far, NaN where not known yet.

    ``left_s``: how long the rest takes, judged by the steps that were timed; ``expected``: by those of
    earlier jobs, or by a first small one. ``cells``: those computed since this was told last.
    """

    job: int
    done: int
    total: int
    partial: LabelledArray | None = None
    left_s: float | None = None
    cells: Cells | None = None
    expected: bool = False


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """A job's result, whole."""

    job: int
    prompt: PromptInfo
    result: Result
    memory_bytes: int


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """Answer to ``PlanAnalysis``."""

    job: int
    plan: Plan


class Tokens(msgspec.Struct, frozen=True, tag="tokens"):
    """Answer to ``Tokenize`` and ``Split``. ``said``: what is to be known of a chat as a prompt."""

    job: int
    prompt: PromptInfo
    said: tuple[str, ...] = ()


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A job failed. ``kind`` is the error's kind, or ``bug``; ``message`` and ``remedy`` are for people."""

    job: int
    kind: str
    message: str
    remedy: str = ""
    traceback: str = ""


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """A job was cancelled. ``last``: what it had to tell by then, if it had begun."""

    job: int
    last: Progress | None = None


Event = (
    Hello | Loading | Ready | Begun | Progress | Finished | Planned | Tokens | TokenStrings | Failed
    | Stopped
)  # fmt: skip

M = TypeVar("M")


def mismatch(engine: Hello | Greeting, app: Hello | Greeting) -> str:
    """What is wrong if the two ends are not of one version; else empty."""
    if (engine.version, engine.protocol) == (app.version, app.protocol):
        return ""
    if engine.version == app.version:
        return (
            f"the engine speaks protocol {engine.protocol}, the app {app.protocol}: restart the app"
        )
    return f"the engine is {_short(engine.version)}, the app {_short(app.version)}: restart the app"


def _short(version: str) -> str:
    return visible(version[:40])


def frame(message: EngineRequest | Event) -> bytes:
    """The bytes that carry ``message``. Raises ``TooLarge``."""
    payload = pack(message)
    if len(payload) > MAX_FRAME:
        raise TooLarge(
            f"The result has {spoken_bytes(len(payload))}, too much to hand over.",
            "Ask for fewer layers or heads, or use the command line.",
        )
    return HEADER.pack(len(payload)) + payload


def size_of(header: bytes) -> int:
    """The payload's size. Raises ``BadFrame`` for one that no message has."""
    size: int = HEADER.unpack(header)[0]
    if size > MAX_FRAME:
        raise BadFrame(f"a frame of {size} bytes: the stream is not ours")
    return size


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next payload, or None at the end of the stream (also when it ends inside a frame).

    Raises ``BadFrame``.
    """
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    size = size_of(header)
    payload = stream.read(size)
    return payload if len(payload) == size else None


def decode_request(payload: bytes) -> EngineRequest:
    """A request from its payload. Raises ``BadFrame``."""
    return _decoded(payload, EngineRequest)


def decode_event(payload: bytes) -> Event:
    """An event from its payload. Raises ``BadFrame``."""
    return _decoded(payload, Event)


def _decoded(payload: bytes, kind: Any) -> Any:
    try:
        return unpack(payload, kind)
    except Exception as error:
        raise BadFrame(f"a message that cannot be read: {str(error)[:200]}") from error
