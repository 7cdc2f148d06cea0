"""REST API, version 1: scores of whole files, as jobs."""

from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import Field

from alerting.adapters.archive.predict_jobs import Job, JobsFull, PredictJobs
from alerting.adapters.platform import Platform
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import NAME, Id
from alerting.console.api.predict_api import require_definition
from alerting.console.api.views import View
from alerting.definitions.faults import UserError

PARQUET = "application/vnd.apache.parquet"
_BODY = {"requestBody": {"required": True, "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}}}}
_RESULT: dict[int | str, dict[str, Any]] = {200: {"description": "The scores.", "content": {PARQUET: {}}}}
_MAGIC = b"PAR1"
router = APIRouter(prefix="/api/v1")
JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="Id of a predict job.")]
Column = Annotated[str | None, Query(min_length=1, max_length=NAME)]


class JobResult(View):
    """Content of the scores: one row for each evaluated instant."""

    version: int = Field(description="The version of the model that scored.")
    rows: int = Field(description="Rows of readings.")
    scores: int = Field(description="Instants with a score.")
    unknown: dict[str, int] = Field(description="Instants without a score, by reason.")
    notes: list[str] = Field(description="What the scores lack.")


class JobView(View):
    """A predict job."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    ended_at: datetime | None
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="Share of the step that is done, from 0 to 1.")
    step: str | None
    fault: str | None = Field(description="Why it failed.")
    result: JobResult | None
    scores: str | None = Field(description="Address of the scores, once it is done: Parquet.")


def _jobs(request: Request) -> PredictJobs:
    found: PredictJobs | None = request.app.state.predict_jobs
    if found is None:
        raise HTTPException(503, "this server takes no predict jobs")
    return found


Jobs = Annotated[PredictJobs, Depends(_jobs)]


@router.post("/definitions/{name}/predict-jobs", tags=["predictions"], status_code=202, openapi_extra=_BODY)
async def order_scores(
    request: Request,
    name: Id,
    platform: Served,
    person: Engineer,
    jobs: Jobs,
    asset: Column = None,
    asset_column: Column = None,
    time: Column = None,
) -> JobView:
    """Score a Parquet file of readings, as `import readings` reads it; it is the body, at most 1 GiB. Role: engineer.

    `asset`: the asset of all rows, else that in `asset_column` (`asset` when left out); `time`: the column of the time stamps,
    found when left out.
    """
    size = int(request.headers.get("content-length", "0"))
    await run_in_threadpool(_require_scores, platform, name)
    try:
        folder = await run_in_threadpool(jobs.begin, size)
    except JobsFull as full:
        raise HTTPException(429, str(full), {"retry-after": "60"}) from full
    layout = {key: value for key, value in (("asset", asset), ("asset_column", asset_column), ("time", time)) if value}
    try:
        await _receive(request, folder / "readings.parquet", size)
        return _view(await run_in_threadpool(jobs.submit, folder, name, person.name, layout))
    except BaseException:
        jobs.abandon(folder)
        raise


@router.get("/predict-jobs", tags=["predictions"])
def list_jobs(_: Viewer, jobs: Jobs) -> list[JobView]:
    """List predict jobs, newest first."""
    return [_view(job) for job in jobs.all()]


@router.get("/predict-jobs/{id}", tags=["predictions"])
def show_job(id: JobId, _: Viewer, jobs: Jobs) -> JobView:
    """Show a predict job with its progress, and its result or fault."""
    return _view(jobs.get(id))


@router.get("/predict-jobs/{id}/scores", tags=["predictions"], responses=_RESULT, response_class=FileResponse)
def send_scores(id: JobId, _: Viewer, jobs: Jobs) -> FileResponse:
    """Send the scores of a job as Parquet: time, asset, score, threshold, model_version, reason where unknown."""
    return FileResponse(jobs.scores(id), media_type=PARQUET, filename=f"scores-{id}.parquet")


@router.post("/predict-jobs/{id}/cancel", tags=["predictions"])
def cancel_job(id: JobId, _: Engineer, jobs: Jobs) -> JobView:
    """Cancel a predict job that is not over. Role: engineer."""
    return _view(jobs.cancel(id))


def _require_scores(platform: Platform, name: str) -> None:
    """Raise UserError for a definition that would score no file, before the file is sent."""
    from alerting.usecases.scoring.file_scores import require_scores

    require_definition(platform, name)
    require_scores(platform, name)


async def _receive(request: Request, path: FilePath, size: int) -> None:
    """Write the body of a request to a file. Raises UserError if it is no Parquet file, or was cut off."""
    written, first, last = 0, b"", b""
    with path.open("wb") as file:
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
            written += len(chunk)
            first, last = (first + chunk[:4])[:4], (last + chunk[-4:])[-4:]
    if written != size:
        raise UserError(f"the body was cut off: {written} of {size} bytes arrived")
    if (first, last) != (_MAGIC, _MAGIC):
        raise UserError("the body is not a Parquet file: it neither begins nor ends with PAR1")


def _view(job: Job) -> JobView:
    order = job.order
    return JobView(
        id=order.id,
        definition=order.definition,
        actor=order.actor,
        created_at=order.created_at,
        ended_at=job.ended_at,
        state=job.state,
        progress=job.progress,
        step=job.step,
        fault=job.fault,
        result=None if job.result is None else JobResult.model_validate(job.result),
        scores=f"/api/v1/predict-jobs/{order.id}/scores" if job.state == "done" else None,
    )
