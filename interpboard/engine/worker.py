"""The engine process: ``python -m interpboard.engine.worker``, spoken to over its pipe.

One thread reads requests, so a cancel is heard at once; one writes events, so that an owner who does not
read them blocks neither; the main thread computes. Descriptor 1 is kept
for the protocol before anything else is imported, and what any library prints goes to the log
(standard error). The process ends when its input ends, in the middle of a job too: an owner that was
killed leaves nothing running.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from interpboard.config.garbage import look_as_usual, look_seldom
from interpboard.engine import protocol
from interpboard.engine.compute import Interrupted, compute_job
from interpboard.engine.jobs import Queue
from interpboard.engine.kept_jobs import KeptJobs
from interpboard.engine.outbox import Outbox
from interpboard.engine.threads import let_the_app_go_first, let_threads_sleep
from interpboard.errors import Cancelled, InterpBoardError, bounded
from interpboard.registry.loading import READING_WEIGHTS, given
from interpboard.runs.measured import MeasuredMetrics
from interpboard.runs.speed import Speed

if TYPE_CHECKING:
    from interpboard.models.language_model import LanguageModel
    from interpboard.runs.clean_runs import CleanRuns

WRONG_VERSION = 3  # exit code
GREETING_S = 5.0
# Bars would be the last lines of the log that people are shown when a process dies.
_NO_BARS = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


_Job = TypeVar("_Job", protocol.RunAnalysis, protocol.PlanAnalysis)


class NoModel(InterpBoardError):
    """An analysis was asked for before any model was loaded."""

    kind = "no_model"


class Worker:
    """Holds the model and runs jobs one after the other."""

    def __init__(self, outbox: Outbox, queue: Queue) -> None:
        self.outbox = outbox
        self.queue = queue
        self.lm: LanguageModel | None = None
        self.speed, self.measured = Speed(), MeasuredMetrics()  # of the model
        self.runs: CleanRuns | None = None  # of the prompt that was asked about last
        self.kept_jobs = KeptJobs()

    def serve(self) -> None:
        """Run jobs until the process ends."""
        while True:
            request = self.queue.take()
            self.kept_jobs.forget_all_but({*self.queue.waiting, request.job})
            try:
                self._run(request)
            except Interrupted as stopped:
                self.outbox.send(protocol.Stopped(request.job, stopped.last))
            except Cancelled:
                self.outbox.send(protocol.Stopped(request.job))
            except InterpBoardError as error:
                self.outbox.send(
                    protocol.Failed(
                        request.job,
                        error.kind,
                        bounded(error.message),
                        bounded(error.remedy),
                        traceback.format_exc(),
                    )
                )
            except Exception as error:  # noqa: BLE001 - a bug in one job must not end the others
                traceback.print_exc()
                self.outbox.send(_bug(request.job, error))

    def _run(self, request: protocol.EngineJob) -> None:
        if self.queue.cancelled():
            raise Cancelled
        if isinstance(request, protocol.Load):
            self._load(request)
        elif isinstance(request, protocol.Tokenize):
            from interpboard.runs.chat import prompt_of
            from interpboard.runs.chat_warnings import chat_warnings

            lm, prompt = prompt_of(self._model(), request.text, bare=request.bare)
            self.outbox.send(protocol.Tokens(request.job, prompt, chat_warnings(lm, prompt)))
        elif isinstance(request, protocol.Split):
            from interpboard.runs.references import pieces

            self.outbox.send(protocol.Tokens(request.job, pieces(self._model(), request.text)))
        elif isinstance(request, protocol.PlanAnalysis):
            self._stoppably(self._plan, request)
        elif isinstance(request, protocol.Vocabulary):
            from interpboard.runs.vocabulary import token_strings

            strings = token_strings(self._model())
            self.outbox.send(protocol.TokenStrings.of(request.job, strings))
        else:
            self._stoppably(self._analyze, request)

    def _stoppably(self, job: Callable[[_Job], None], request: _Job) -> None:
        """``job`` ends within a pass, too, when it is cancelled."""
        from interpboard.models.stopping import stopped_by

        with stopped_by(self.queue.cancelled):
            job(request)

    def _load(self, request: protocol.Load) -> None:
        def say(stage: str, fraction: float) -> None:
            if self.queue.cancelled():
                raise Cancelled
            if fraction >= READING_WEIGHTS:
                look_as_usual()
            self.outbox.send(protocol.Loading(request.job, stage, fraction))

        say("importing torch", 0.0)
        import torch

        # What a library says of kernels that nobody asked for is no reason for whatever happens later.
        for name in ("torchao", "torch.utils._pytree"):
            logging.getLogger(name).setLevel(logging.ERROR)
        say("importing transformers", 0.1)
        from interpboard.models.language_model import open_model
        from interpboard.models.memory import memory_named

        self.runs = None
        _ = torch.zeros(1)  # its thread pool starts here, not inside the first timed job
        with memory_named(
            f"The model {request.model}", "Use --dtype bfloat16, or a smaller model."
        ):
            self.lm = lm = open_model(
                request.model,
                request.device,
                request.dtype,
                trust_remote_code=request.trust_remote_code,
                allow_pickle=request.allow_pickle,
                ignore_unused_weights=request.ignore_unused_weights,
                check_weights=request.check_weights,
                special_tokens=request.special_tokens,
                **given(request.options),
                on_stage=say,
            )
        self.speed, self.measured = Speed(), MeasuredMetrics()
        self.outbox.send(
            protocol.Ready(
                job=request.job,
                model=lm.info,
                path=lm.verified.path,
                context=lm.anatomy.context or 0,
                vocabulary=lm.anatomy.d_vocab,
                parameters=lm.parameters,
                memory_bytes=_memory(lm),
                notes=(*lm.info.notes, *lm.verified.notes),
            )
        )

    def _analyze(self, request: protocol.RunAnalysis) -> None:
        lm = self._model()
        from interpboard.analyze import begin

        begun = begin(
            lm, request.text, request.analysis, request.metric, request.params,
            bare=request.bare, runs=self.runs,
        )  # fmt: skip
        self.runs = begun.runs
        self.measured.recall(begun.lm, begun.prompt, begun.metric)
        result = compute_job(begun, request, self.outbox, self.queue, self.kept_jobs, self.speed)
        if result is not None:
            self.outbox.send(protocol.Finished(request.job, begun.prompt, result, _memory(lm)))

    def _plan(self, request: protocol.PlanAnalysis) -> None:
        from interpboard.planning import plan
        from interpboard.runs.chat import without_special_tokens
        from interpboard.runs.watch import Watch

        asked, lm = request.run, self._model()
        (planned,) = plan(
            without_special_tokens(lm) if asked.bare else lm,
            asked.text,
            (asked.analysis,),
            asked.metric,
            {asked.analysis: asked.params},
            watch=Watch(cancelled=self.queue.cancelled),
        )
        self.outbox.send(protocol.Planned(request.job, planned))

    def _model(self) -> LanguageModel:
        if self.lm is None:
            raise NoModel("No model is loaded.", "Load one first.")
        return self.lm


def read_requests(stream: BinaryIO, queue: Queue, outbox: Outbox) -> None:
    """Hear requests until the stream ends, then end the process."""
    greeted = False
    while (payload := protocol.read_frame(stream)) is not None:
        request = protocol.decode_request(payload)
        if isinstance(request, protocol.Greeting):
            _require_same_version(request)
            greeted = True
        elif isinstance(request, protocol.Shutdown):
            break
        elif not greeted:  # the versions before this one said nothing
            _require_same_version(protocol.Greeting("an older one", 0))
        elif isinstance(request, protocol.Aside):
            queue.aside(request.jobs)
        elif isinstance(request, protocol.Cancel):
            if queue.cancel(request.job):
                outbox.send(protocol.Stopped(request.job), at_once=True)
        else:
            queue.put(request)
    os._exit(
        0
    )  # the computing thread may be deep inside a kernel: nothing here is worth waiting for


def _require_same_version(owner: protocol.Greeting) -> None:
    wrong = protocol.mismatch(protocol.Greeting(), owner)
    if wrong:
        print(wrong, file=sys.stderr, flush=True)
        os._exit(WRONG_VERSION)


def main() -> None:
    """Take the pipe, greet, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # when this process ends is for its owner to say
    look_seldom()
    let_threads_sleep()
    let_the_app_go_first()
    for name, value in _NO_BARS.items():
        os.environ.setdefault(name, value)
    stream = _private_stdout()
    outbox, queue = Outbox(stream), Queue()
    outbox.send(protocol.Hello(os.getpid()))
    outbox.all_written(GREETING_S)  # an owner of another version must hear of it before we end
    reader = threading.Thread(
        target=_read_or_die, args=(sys.stdin.buffer, queue, outbox), daemon=True
    )
    reader.start()
    Worker(outbox, queue).serve()


def _read_or_die(stream: BinaryIO, queue: Queue, outbox: Outbox) -> None:
    try:
        read_requests(stream, queue, outbox)
    except Exception:  # noqa: BLE001 - an unreadable stream cannot be served: say why in the log
        traceback.print_exc()
        os._exit(1)


def _private_stdout() -> BinaryIO:
    """Our own copy of descriptor 1, which from now on is the log for everybody else."""
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return private


def _memory(lm: LanguageModel) -> int:
    """Bytes in use: allocated on the GPU if the model is there, else resident in this process."""
    import torch

    if lm.device.type == "cuda":
        return int(torch.cuda.memory_allocated(lm.device))
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: the peak is the next best
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _bug(job: int, error: Exception) -> protocol.Failed:
    return protocol.Failed(
        job,
        "bug",
        bounded(f"{type(error).__name__}: {error}"),
        "This is a fault of interpboard; the log has the traceback.",
        traceback.format_exc(),
    )


if __name__ == "__main__":
    main()
