"""The predictions under way in this process, and the champions that it has loaded for them."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import HTTPException

from alerting.adapters.platform import Platform
from alerting.deferred import load
from alerting.definitions.model import Definition
from alerting.ports import ModelUnavailable
from alerting.usecases.registry.registration import ModelCache

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

MOST_TOGETHER = 50
"""Questions that one computation answers: more, and the first of them waits for all."""
MOST_WAITING = 100
MOST_LOADING = 4
MOST_MODEL_BYTES = 256 << 20
LOAD_WITHIN_S = 10.0
"""Seconds that a prediction waits for its model; the load itself goes on, and the next prediction
may find it done."""
Q = TypeVar("Q")
T = TypeVar("T")
_Key = tuple[str, int]
_FAULT_LASTS_S = 5.0


class NotLoaded(Exception):
    """Signal: a prediction needs a model that is not loaded."""

    def __init__(self, definition: Definition, version: int) -> None:
        super().__init__(f"version {version} of {definition.name!r} is not loaded")
        self.definition = definition
        self.version = version


class _Fault(NamedTuple):
    until: float
    why: str


class _Batch(NamedTuple):
    """Questions that wait to be answered together, and where each answer goes."""

    questions: list[Any]
    answers: "list[asyncio.Future[Any]]"


class Predictor:
    """Champions that this process has loaded, and the predictions under way. For one event loop.

    Questions of the same key that wait for their turn are answered by one computation, at most
    `MOST_TOGETHER`. One that finds a turn free does not wait for others.

    A model is loaded at its first prediction, in a thread of its own: predictions of loaded models
    go on meanwhile. One that is promoted later has another version, and is loaded then. The hashes
    of its files are compared at each load. Beyond `MOST_MODEL_BYTES` of files the least recently
    used models go. `load_within_s`: how long a prediction waits for its model.
    """

    def __init__(self, platform: Platform, load_within_s: float = LOAD_WITHIN_S) -> None:
        self._cache = ModelCache(platform, MOST_MODEL_BYTES)
        self._load_within_s = load_within_s
        self._loading: dict[_Key, Future[BaseException | None]] = {}
        self._faults: dict[_Key, _Fault] = {}
        self._turn = CapacityLimiter(1)  # two threads of Python take more CPU, and are no faster
        self._turn_alone = CapacityLimiter(1)
        self._waiting = 0
        self._batches: dict[Hashable, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a model that is loaded. Raises ModelUnavailable if it could not be loaded a moment
        ago.

        Within `run` and `ask` only: a model that is not loaded ends the computation, which begins
        again with the model.
        """
        model = self._cache.loaded(definition, version)
        if model is not None:
            return model
        fault = self._faults.get((definition.name, version))
        if fault is not None and time.monotonic() < fault.until:
            raise ModelUnavailable(fault.why)
        raise NotLoaded(definition, version)

    async def run(self, compute: Callable[[], T]) -> T:
        """Compute in a thread, one after another, once all models are loaded that `compute` gets.
        What `ask` computes does not wait for it.

        Raises HTTPException 429 if too many predictions wait, and 503 if a model takes longer to
        load than a prediction waits.
        """
        self._admit(1)
        try:
            return await self._compute(compute, self._turn_alone)
        finally:
            self._waiting -= 1

    async def ask(
        self, key: Hashable, questions: Sequence[Q], answer: Callable[[Sequence[Q]], Sequence[T]]
    ) -> list[T]:
        """Return the answers to questions, computed as by `run`, together with those of other
        requests with an equal key. What `answer` raises, all questions of its computation raise."""
        self._admit(len(questions))
        try:
            return await asyncio.gather(*[self._join(key, one, answer) for one in questions])
        finally:
            self._waiting -= len(questions)

    def _admit(self, number: int) -> None:
        if self._waiting >= MOST_WAITING:
            detail = (
                f"{MOST_WAITING} predictions are under way or waiting; ask again after a second"
            )
            raise HTTPException(429, detail, {"retry-after": "1"})
        self._waiting += number

    def _join(
        self, key: Hashable, question: Q, answer: Callable[[Sequence[Q]], Sequence[T]]
    ) -> "asyncio.Future[T]":
        """Return the answer to come of a batch that has not begun."""
        batch = self._batches.get(key)
        if batch is None or len(batch.questions) >= MOST_TOGETHER:
            batch = self._batches[key] = _Batch([], [])
            task = asyncio.create_task(self._answer(key, batch, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        coming: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        batch.questions.append(question)
        batch.answers.append(coming)
        return coming

    async def _answer(
        self, key: Hashable, batch: _Batch, answer: Callable[[Sequence[Q]], Sequence[T]]
    ) -> None:
        def begin() -> None:
            if self._batches.get(key) is batch:
                del self._batches[key]

        try:
            found = await self._compute(lambda: answer(batch.questions), self._turn, begin)
        except BaseException as fault:
            for coming in batch.answers:
                if not coming.done():
                    coming.set_exception(fault)
            return
        for coming, one in zip(batch.answers, found, strict=True):
            if not coming.done():
                coming.set_result(one)

    async def _compute(
        self,
        compute: Callable[[], T],
        turn: CapacityLimiter,
        begin: Callable[[], object] = bool,
    ) -> T:
        until = time.monotonic() + self._load_within_s
        while True:
            try:
                async with turn:
                    begin()
                    return await run_sync(compute)
            except NotLoaded as missing:
                await self._load(missing, until)

    async def _load(self, missing: NotLoaded, until: float) -> None:
        """Wait for a model's load, perhaps begun here. Raises HTTPException 503 at `until`."""
        key = missing.definition.name, missing.version
        loading = self._loading.get(key)
        if loading is None and self._cache.loaded(missing.definition, missing.version) is not None:
            return  # the load ended between the computation and here
        if loading is None and len(self._loading) < MOST_LOADING:
            loading = self._loading[key] = Future()
            Thread(
                target=self._read, args=(missing, key, loading), name="load-model", daemon=True
            ).start()
        if loading is None:
            raise _not_yet(key, f"waits, because {MOST_LOADING} others are under way")
        done, _ = await asyncio.wait(
            [asyncio.wrap_future(loading)], timeout=max(0.0, until - time.monotonic())
        )
        if not done:
            raise _not_yet(key, f"takes longer than {self._load_within_s:g} s, and goes on")
        fault = done.pop().result()
        if fault is not None:
            raise fault

    def _read(self, missing: NotLoaded, key: _Key, loading: "Future[BaseException | None]") -> None:
        """Load a model; note its fault for a moment, so that predictions name it at once."""
        fault: BaseException | None = None
        try:
            load("pandas")  # which libraries of models load, too: see there
            self._cache.get(missing.definition, missing.version)
        except ModelUnavailable as error:
            now = time.monotonic()
            others = {other: noted for other, noted in self._faults.items() if now < noted.until}
            self._faults = {**others, key: _Fault(now + _FAULT_LASTS_S, str(error))}
        except BaseException as error:  # of the database: every prediction that waits answers it
            fault = error
        self._loading.pop(key)
        loading.set_result(fault)


def _not_yet(key: _Key, why: str) -> HTTPException:
    name, version = key
    detail = (
        f"the load of version {version} of the model of {name!r} {why}; ask again after a few "
        "seconds. If this goes on, check "
        "that MLflow answers"
    )
    return HTTPException(503, detail, {"retry-after": "5"})
