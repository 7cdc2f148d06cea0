"""REST API, version 1: scores of whole files, as jobs."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import Field, StringConstraints, ValidationError

from alerting.adapters.platform import Platform
from alerting.adapters.predictions.addresses import IncomingReadings, StoreBusy
from alerting.adapters.predictions.job_files import JOB_ID, JobFolder
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import NAME, Id
from alerting.console.api.predict_api import require_definition
from alerting.console.api.views import View
from alerting.console.gate import LARGEST_BODY
from alerting.console.web.prefix import address_of
from alerting.definitions.faults import UserError
from alerting.definitions.fields.names import Closed
from alerting.ports import PredictJob, ScoredFile
from alerting.usecases.scoring.jobs import (
    JobsFull,
    abandon,
    cancel,
    clean,
    describe_wait,
    find_job,
    list_jobs,
    order,
    require_scores_of,
    submit,
)

PARQUET = "application/vnd.apache.parquet"
_JSON = "application/json"
router = APIRouter(prefix="/api/v1")
JobId = Annotated[str, Path(pattern=f"^{JOB_ID}$", description="Id of a predict job.")]
ShortAddress = Annotated[str, StringConstraints(min_length=1, max_length=1200)]
Column = Annotated[str | None, Query(min_length=1, max_length=NAME)]


class JobBody(Closed):
    """Readings in an object store, instead of a file that is sent."""

    address: ShortAddress = Field(
        description=(
            "A Parquet file, at most 1 GiB: s3://bucket/folder/name, in a folder of "
            "ALERTING_PREDICTIONS_FROM."
        )
    )
    scores_to: ShortAddress | None = Field(
        None,
        description=(
            "A folder of the store that gets the scores too, as scores-<id>.parquet: one of "
            "ALERTING_PREDICTIONS_TO."
        ),
    )


_CONTENT = {
    PARQUET: {"schema": {"type": "string", "format": "binary"}},
    _JSON: {"schema": {"$ref": "#/components/schemas/JobBody"}},
}


class JobView(View):
    """A predict job."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    ended_at: datetime | None
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="Share of the step that is done, from 0 to 1.")
    step: str | None = Field(description="What is done, or what the job waits for.")
    fault: str | None = Field(description="Why it failed.")
    result: ScoredFile | None
    scores: str | None = Field(description="Address of the scores, once it is done: Parquet.")
    bytes: int = Field(description="Size of the readings.")
    sha256: str | None = Field(description="Of the readings; null before they are fetched.")
    address: str | None = Field(description="Of the readings in an object store.")
    scores_to: str | None = Field(
        description="The folder of the object store that gets the scores too."
    )


async def _files(request: Request) -> JobFolder:
    found: JobFolder | None = request.app.state.predict_files
    if found is None:
        raise HTTPException(503, "this server takes no predict jobs")
    return found


Files = Annotated[JobFolder, Depends(_files)]


@router.post(
    "/definitions/{name}/predict-jobs",
    tags=["predictions"],
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
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
    """Score a Parquet file of readings, as `import readings` reads it: the body, or an object in a
    store. Role: engineer.

    The body is the file, at most 1 GiB, or, of content type application/json, the address of one.
    `asset`: the asset of all rows, else that in `asset_column` (`asset` when left out); `time`: the
    column of the time stamps, found when left out. Airflow works at one job at a time.
    """
    await run_in_threadpool(_require_scores, platform, name)
    layout = {
        key: value
        for key, value in (("asset", asset), ("asset_column", asset_column), ("time", time))
        if value
    }
    size = int(request.headers.get("content-length", "0"))
    job = PredictJob(uuid.uuid4().hex[:12], name, person.name, datetime.now(UTC), size, layout)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
        body = await _read_body(request, size)
        return await run_in_threadpool(_order_address, platform, files, job, body)
    await run_in_threadpool(_order, platform, files, job)
    try:
        path = await run_in_threadpool(files.create, job.id)
        sha256 = await _receive(request, path, size)
        return await run_in_threadpool(_submit, platform, files, job, sha256)
    except BaseException:
        abandon(platform.predict_jobs, files, job)
        raise


def _order_address(platform: Platform, files: JobFolder, job: PredictJob, body: JobBody) -> JobView:
    try:
        state = files.addresses.state(body.address, body.scores_to)
    except StoreBusy as busy:
        raise _full(busy) from busy
    job = replace(job, size=state.size, etag=state.etag, **body.model_dump())
    _order(platform, files, job)
    return _submit(platform, files, job, None)


def _submit(platform: Platform, files: JobFolder, job: PredictJob, sha256: str | None) -> JobView:
    job = submit(platform.predict_jobs, job, sha256)
    after = {"definition": job.definition, "bytes": job.size, "state": job.state}
    platform.audit.add(job.actor, "predict job ordered", job.id, job.created_at, after=after)
    return _view(job, list_jobs(platform.predict_jobs), files)


def _order(platform: Platform, files: JobFolder, job: PredictJob) -> None:
    clean(platform.predict_jobs, files, job.created_at, platform.retention.predictions)
    try:
        order(platform.predict_jobs, files, job)
    except JobsFull as full:
        raise _full(full) from full


def _full(refusal: UserError) -> HTTPException:
    return HTTPException(429, str(refusal), {"retry-after": "60"})


async def _read_body(request: Request, size: int) -> JobBody:
    """Return the address in a JSON body. Raises HTTPException 400, 413 for another one."""
    if size > LARGEST_BODY:
        raise HTTPException(413, f"the body is larger than {LARGEST_BODY} bytes")
    try:
        return JobBody.model_validate_json(await request.body())
    except ValidationError as fault:
        if fault.errors()[0]["type"] == "json_invalid":
            raise HTTPException(400) from None
        raise RequestValidationError(
            [{**error, "loc": ("body", *error["loc"])} for error in fault.errors()]
        ) from None


@router.get("/predict-jobs", tags=["predictions"])
def list_predict_jobs(_: Viewer, platform: Served, files: Files) -> list[JobView]:
    """List predict jobs, newest first."""
    all_jobs = list_jobs(platform.predict_jobs)
    return [_view(job, all_jobs, files) for job in all_jobs]


@router.get("/predict-jobs/{id}", tags=["predictions"], operation_id="show_predict_job")
def show_job(id: JobId, _: Viewer, platform: Served, files: Files) -> JobView:
    """Show a predict job with its progress, and its result or fault."""
    return _view(find_job(platform.predict_jobs, id), list_jobs(platform.predict_jobs), files)


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
    require_scores_of(find_job(platform.predict_jobs, id), files)
    return FileResponse(files.scores(id), media_type=PARQUET, filename=f"scores-{id}.parquet")


@router.post("/predict-jobs/{id}/cancel", tags=["predictions"], operation_id="cancel_predict_job")
def cancel_job(id: JobId, person: Engineer, platform: Served, files: Files) -> JobView:
    """Cancel a predict job that is not over. Role: engineer."""
    now = datetime.now(UTC)
    before = {"state": find_job(platform.predict_jobs, id).state}
    job = cancel(platform.predict_jobs, files, id, now)
    after = {"state": job.state}
    platform.audit.add(person.name, "predict job cancelled", id, now, before, after)
    return _view(job, [job], files)


def _require_scores(platform: Platform, name: str) -> None:
    """Raise UserError for a definition that would score no file, before the file is sent."""
    from alerting.usecases.scoring.file_scores import require_scores

    require_definition(platform, name)
    require_scores(platform, name)


async def _receive(request: Request, path: FilePath, size: int) -> str:
    """Write a body to a file; return its SHA-256. Raises UserError if cut off, no Parquet."""
    with path.open("wb") as file:
        arriving = IncomingReadings(file)
        async for chunk in request.stream():
            await run_in_threadpool(arriving.write, chunk)
    return arriving.finish(size, "the body")


def _view(job: PredictJob, all_jobs: Sequence[PredictJob], files: JobFolder) -> JobView:
    has_scores = job.state == "done" and files.is_shared
    return JobView.model_validate(
        {
            **vars(job),
            "step": describe_wait(all_jobs, job, datetime.now(UTC)),
            "scores": address_of(f"/api/v1/predict-jobs/{job.id}/scores") if has_scores else None,
            "bytes": job.size,
        }
    )
