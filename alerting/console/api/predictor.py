"""The predictions under way in this process, and the champions that it has loaded for them."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import HTTPException

from alerting.adapters.platform import Platform
from alerting.deferred import load
from alerting.definitions.model import Definition
from alerting.ports import ModelUnavailable
from alerting.usecases.registry.model_cache import ModelCache

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

AT_ONCE = 2
MOST_WAITING = 100
MOST_LOADING = 4
MOST_MODEL_BYTES = 256 << 20
LOAD_WITHIN_S = 10.0
"""Seconds that a prediction waits for its model; the load itself goes on, and the next prediction
may find it done."""
T = TypeVar("T")
_Key = tuple[str, int]
_FAULT_LASTS_S = 5.0


class _NotLoaded(Exception):
    """Signal: a prediction needs a model that is not loaded."""

    def __init__(self, definition: Definition, version: int) -> None:
        super().__init__(f"version {version} of {definition.name!r} is not loaded")
        self.definition = definition
        self.version = version


class _Fault(NamedTuple):
    until: float
    why: str


class Predictor:
    """Champions that this process has loaded, and the predictions under way. For one event loop.

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
        self._limiter = CapacityLimiter(AT_ONCE)
        self._waiting = 0

    def get(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a model that is loaded. Raises ModelUnavailable if it could not be loaded a moment
        ago.

        Within `run` only: a model that is not loaded ends the computation, which `run` begins again
        with the model.
        """
        model = self._cache.loaded(definition, version)
        if model is not None:
            return model
        fault = self._faults.get((definition.name, version))
        if fault is not None and time.monotonic() < fault.until:
            raise ModelUnavailable(fault.why)
        raise _NotLoaded(definition, version)

    async def run(self, compute: Callable[[], T]) -> T:
        """Compute in a thread, a few at once, once all models are loaded that `compute` gets.

        Raises HTTPException 429 if too many predictions wait, and 503 if a model takes longer to
        load than a prediction waits.
        """
        if self._waiting >= MOST_WAITING:
            detail = (
                f"{MOST_WAITING} predictions are under way or waiting; ask again after a second"
            )
            raise HTTPException(429, detail, {"retry-after": "1"})
        self._waiting += 1
        try:
            until = time.monotonic() + self._load_within_s
            while True:
                try:
                    return await run_sync(compute, limiter=self._limiter)
                except _NotLoaded as missing:
                    await self._load(missing, until)
        finally:
            self._waiting -= 1

    async def _load(self, missing: _NotLoaded, until: float) -> None:
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

    def _read(
        self, missing: _NotLoaded, key: _Key, loading: "Future[BaseException | None]"
    ) -> None:
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
