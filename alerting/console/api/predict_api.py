"""REST API, version 1: scores on request."""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import Field
from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.scored_files import (
    JOB_ID,
    JobsFull,
    JobState,
    PredictFolder,
    PredictJob,
    ScoredFile,
)
from alerting.console.access import Engineer, Served, Viewer, part_of_app
from alerting.console.api.parameters import NAME, Id, Instant, NameText
from alerting.console.api.views import View, reader_of, translate_texts
from alerting.console.rendering import address_of
from alerting.deferred import load
from alerting.definitions.alert_definition import Definition
from alerting.definitions.faults import NotFound, UserError
from alerting.ports import ModelUnavailable, Platform
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring.past_scores import require_scores
from alerting.usecases.scoring.predict import Prediction, PredictQuestion

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel
from alerting.console.api.views import Body

MOST_TOGETHER = 50
"""Questions that one computation answers: more, and the first of them waits for all."""
MOST_WAITING = 100
MOST_LOADING = 4
MOST_MODEL_BYTES = 256 << 20
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

    Waiting questions with the same key are answered by one computation, at most `MOST_TOGETHER`. A
    question that finds a free turn does not wait for others.

    A model is loaded at its first prediction, in a thread of its own: predictions of loaded models
    go on meanwhile. A model that is promoted later has another version, and is loaded then. The
    hashes of its files are compared at each load. Beyond `MOST_MODEL_BYTES` of files the least
    recently used models are dropped. `load_within_s`: how long a prediction waits for its model;
    the load itself goes on, and the next prediction may find it done.
    """

    def __init__(self, platform: Platform, load_within_s: float = 10.0) -> None:
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
        """Return a model that is loaded. Raises ModelUnavailable if loading it failed a moment ago.

        Within `run` and `ask` only: a model that is not loaded ends the computation, which begins
        again once the model is loaded.
        """
        model = self._cache.loaded(definition, version)
        if model is not None:
            return model
        fault = self._faults.get((definition.name, version))
        if fault is not None and time.monotonic() < fault.until:
            raise ModelUnavailable(fault.why)
        raise NotLoaded(definition, version)

    async def run(self, compute: Callable[[], T]) -> T:
        """Compute in a thread, one computation after another, once all models that `compute` gets
        are loaded. Computations of `ask` do not wait for it.

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
        """Return the answers to questions, computed as by `run`, together with questions of other
        requests with an equal key. If `answer` raises, all questions of its computation raise the
        same."""
        self._admit(len(questions))
        try:
            return await asyncio.gather(
                *[self._join(key, question, answer) for question in questions]
            )
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
        """Return the future answer of a batch that has not begun."""
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
            computed = await self._compute(lambda: answer(batch.questions), self._turn, begin)
        except BaseException as fault:
            for coming in batch.answers:
                if not coming.done():
                    coming.set_exception(fault)
            return
        for coming, value in zip(batch.answers, computed, strict=True):
            if not coming.done():
                coming.set_result(value)

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
            others = {failed: noted for failed, noted in self._faults.items() if now < noted.until}
            self._faults = {**others, key: _Fault(now + _FAULT_LASTS_S, str(error))}
        except BaseException as error:  # of the database: every prediction that waits answers it
            fault = error
        self._loading.pop(key)
        loading.set_result(fault)


def _not_yet(key: _Key, why: str) -> HTTPException:
    name, version = key
    detail = (
        f"the load of version {version} of the model of {name!r} {why}; ask again after a few "
        "seconds. If this goes on, check that MLflow answers"
    )
    return HTTPException(503, detail, {"retry-after": "5"})


MOST_ROWS = 20_000
MOST_ASSETS = 100
router = APIRouter(prefix="/api/v1")


class SentRow(Body):
    """The readings of one instant."""

    ts: str | float = Field(
        description="Time stamp: ISO 8601, or seconds or milliseconds since 1970."
    )
    values: dict[str, float | str | bool | None] = Field(description="Values by variable.")
    quality: str | dict[str, str] | None = Field(
        None, description="Quality of all samples, or by variable; good when left out."
    )


class PredictBody(Body):
    """A question about one asset."""

    asset: NameText = Field(description="Name of the asset.")
    at: Instant | None = Field(
        None,
        description="Score the last instant that is evaluated up to here. When left out: up to now "
        "less the latency, or to the last of `rows`.",
    )
    rows: list[SentRow] | None = Field(
        None,
        min_length=1,
        max_length=MOST_ROWS,
        description=(
            "Raw readings to score instead of the stored ones, as far back as the features look."
        ),
    )


class PredictBatchBody(Body):
    """A question about several assets."""

    assets: list[NameText] = Field(
        min_length=1, max_length=MOST_ASSETS, description="Names of the assets."
    )
    at: Instant | None = Field(
        None,
        description="Score the last instant of each that is evaluated up to here. When left out: "
        "up to now less the latency.",
    )


class AssetPredictionView(View):
    """The answer about one of several assets."""

    asset: str
    prediction: Prediction | None
    fault: str | None = Field(description="Why there is no prediction; null where there is one.")


class PredictionBatchView(View):
    """An answer about each asset."""

    answers: list[AssetPredictionView] = Field(description="In the order of the question.")


Predicting = Annotated[Predictor, Depends(part_of_app("predictor"))]


@router.post("/definitions/{name}/predict", tags=["predictions"], operation_id="predict")
async def predict_one(
    name: Id, body: PredictBody, platform: Served, _: Viewer, predictor: Predicting
) -> Prediction:
    """Score an asset at one instant: of the stored readings, or of raw readings that are sent.
    Stores nothing. Role: viewer."""
    if body.rows is not None:  # which may take long, and have nothing in common with others
        return await predictor.run(lambda: _predict_sent(platform, predictor, name, body))
    [prediction] = await _ask(platform, predictor, name, [PredictQuestion(body.asset, body.at)])
    if isinstance(prediction, Exception):
        raise prediction
    return prediction


@router.post(
    "/definitions/{name}/predict-batch", tags=["predictions"], operation_id="predict_batch"
)
async def predict_several(
    name: Id, body: PredictBatchBody, platform: Served, _: Viewer, predictor: Predicting
) -> PredictionBatchView:
    """Score several assets at one instant, of the stored readings: each as `predict` does alone. An
    asset without an answer states its fault. Stores nothing. Role: viewer."""
    questions = [PredictQuestion(asset, body.at) for asset in body.assets]
    predictions = await _ask(platform, predictor, name, questions)
    return PredictionBatchView(
        answers=[
            _asset_view(platform, asset, prediction)
            for asset, prediction in zip(body.assets, predictions, strict=True)
        ]
    )


def _asset_view(
    platform: Platform, asset: str, prediction: Prediction | Exception
) -> AssetPredictionView:
    if isinstance(prediction, UserError):
        fault = reader_of(platform).translate(prediction.message)
        return AssetPredictionView(asset=asset, prediction=None, fault=fault)
    if isinstance(prediction, Exception):
        raise prediction
    return AssetPredictionView(asset=asset, prediction=prediction, fault=None)


async def _ask(
    platform: Platform, predictor: Predictor, name: str, questions: Sequence[PredictQuestion]
) -> list[Prediction | Exception]:
    """Return an answer to each question about stored readings, or why there is none. Questions of
    requests with the same view, the whole plant, are answered together."""

    def answer(together: Sequence[PredictQuestion]) -> list[Prediction | Exception]:
        return _predict_together(platform, predictor, name, together)

    return await predictor.ask((id(platform), name), questions, answer)


def require_definition(platform: Platform, name: str) -> None:
    """Raise NotFound if there is no definition of this name."""
    if platform.definitions.newest_revision(name) is None:
        raise NotFound(f"there is no definition {name!r}")


def _predict_sent(
    platform: Platform, predictor: Predictor, name: str, body: PredictBody
) -> Prediction:
    from alerting.usecases.scoring.predict import predict, sent_readings

    rows = [row.model_dump(exclude_none=True) for row in body.rows or ()]
    readings = sent_readings(platform, body.asset, rows)
    prediction = predict(platform, predictor, name, body.asset, body.at, readings)
    return translate_texts(prediction, reader_of(platform))


def _predict_together(
    platform: Platform, predictor: Predictor, name: str, questions: Sequence[PredictQuestion]
) -> list[Prediction | Exception]:
    """Return an answer to each question, or its own fault; equal questions get the same answer.
    Raises a fault that concerns all of them."""
    from alerting.usecases.scoring.predict import PredictionBatch

    different = dict.fromkeys(questions)
    batch = PredictionBatch(platform, predictor, name, different)
    answers: dict[PredictQuestion, Prediction | Exception] = {}
    for question in different:
        try:
            answers[question] = translate_texts(batch.answer(question), reader_of(platform))
        except (NotLoaded, DatabaseDown, PyMongoError):
            raise
        except Exception as fault:
            answers[question] = fault
    return [answers[question] for question in questions]


PARQUET = "application/vnd.apache.parquet"
_MAGIC = b"PAR1"
JobId = Annotated[str, Path(pattern=f"^{JOB_ID}$", description="Id of a predict job.")]
Column = Annotated[str | None, Query(min_length=1, max_length=NAME)]


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A predict job. `scores`: the address of its scores, once it is done: Parquet."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    bytes: int
    layout: Mapping[str, str]
    state: JobState
    fault: str | None
    result: ScoredFile | None
    ended_at: datetime | None
    scores: str | None


def _job_view(job: PredictJob) -> JobView:
    return JobView(
        id=job.id,
        definition=job.definition,
        actor=job.actor,
        created_at=job.created_at,
        bytes=job.bytes,
        layout=job.layout,
        state=job.state,
        fault=job.fault,
        result=job.result,
        ended_at=job.ended_at,
        scores=address_of(f"/api/v1/predict-jobs/{job.id}/scores") if job.state == "done" else None,
    )


Files = Annotated[
    PredictFolder, Depends(part_of_app("predict_files", "this server takes no predict jobs"))
]


@router.post(
    "/definitions/{name}/predict-jobs",
    tags=["predictions"],
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    operation_id="order_predict_job",
)
async def order_scores(
    request: Request,
    name: Id,
    platform: Served,
    person: Engineer,
    files: Files,
    asset: Column = None,
    asset_column: Column = None,
    time: Column = None,
) -> JobView:
    """Score a Parquet file of readings, as `import readings` reads it: the body, at most 1 GiB.
    Role: engineer.

    `asset`: the asset of all rows, else that in `asset_column` (`asset` when left out); `time`: the
    column of the time stamps, found when left out. Airflow works at one job at a time.
    """
    await run_in_threadpool(require_definition, platform, name)
    await run_in_threadpool(require_scores, platform, name)  # before the file is sent
    columns = {"asset": asset, "asset_column": asset_column, "time": time}
    layout = {key: value for key, value in columns.items() if value}
    size = int(request.headers.get("content-length", "0"))
    lasts = platform.retention.predictions
    try:
        job = await run_in_threadpool(files.order, name, person.name, size, layout, lasts)
    except JobsFull as full:
        raise HTTPException(429, str(full), {"retry-after": "60"}) from full
    try:
        await _receive(request, files, job)
        return _job_view(await run_in_threadpool(_submit, platform, files, job))
    except BaseException:
        files.drop(job.id)
        raise


def _submit(platform: Any, files: PredictFolder, job: PredictJob) -> PredictJob:
    job = files.submit(job)
    after = {"definition": job.definition, "bytes": job.bytes, "state": job.state}
    platform.audit.add(job.actor, "predict job ordered", job.id, job.created_at, after=after)
    return job


async def _receive(request: Request, files: PredictFolder, job: PredictJob) -> None:
    """Write a body to a file. Raises UserError if it is cut off, or no Parquet."""
    size = 0
    first = last = b""
    with files.readings(job.id).open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            first = (first + chunk[:4])[:4]
            last = (last + chunk[-4:])[-4:]
            await run_in_threadpool(file.write, chunk)
    if size != job.bytes:
        raise UserError(f"the body was cut off: {size} bytes instead of {job.bytes}")
    if (first, last) != (_MAGIC, _MAGIC):
        raise UserError("the body is not a Parquet file: it neither begins nor ends with PAR1")


@router.get("/predict-jobs/{id}", tags=["predictions"], operation_id="show_predict_job")
def show_job(id: JobId, _: Viewer, platform: Served, files: Files) -> JobView:
    """Show a predict job with its state, and its result or fault."""
    job = files.get(id)
    require_definition(platform, job.definition)
    return _job_view(job)


@router.get(
    "/predict-jobs/{id}/scores",
    tags=["predictions"],
    responses={200: {"description": "The scores.", "content": {PARQUET: {}}}},
    response_class=FileResponse,
    operation_id="download_scores",
)
def send_scores(id: JobId, _: Viewer, platform: Served, files: Files) -> FileResponse:
    """Send the scores of a job as Parquet: time, asset, score, threshold, model_version, reason
    where unknown."""
    job = files.get(id)
    require_definition(platform, job.definition)
    if job.state != "done":
        why = f": {job.fault}" if job.fault else ""
        raise NotFound(f"predict job {id} is {job.state}: it has no scores{why}")
    path = files.file(id, "scores.parquet")
    return FileResponse(path, media_type=PARQUET, filename=f"scores-{id}.parquet")
