"""REST API, version 1: scores of whole files, as jobs."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import Field

from alerting.adapters.predictions import (
    JOB_ID,
    JobsFull,
    JobState,
    PredictFolder,
    PredictJob,
    ScoredFile,
)
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import NAME, Id
from alerting.console.api.predict_api import require_definition
from alerting.console.api.views import View
from alerting.console.web.prefix import address_of
from alerting.definitions.faults import NotFound, UserError
from alerting.usecases.scoring.file_scores import require_scores

PARQUET = "application/vnd.apache.parquet"
_BODY = {"required": True, "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}}}
_MAGIC = b"PAR1"
router = APIRouter(prefix="/api/v1")
JobId = Annotated[str, Path(pattern=f"^{JOB_ID}$", description="Id of a predict job.")]
Column = Annotated[str | None, Query(min_length=1, max_length=NAME)]


class JobView(View):
    """A predict job."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    ended_at: datetime | None
    state: JobState
    fault: str | None = Field(description="Why it failed.")
    result: ScoredFile | None
    scores: str | None = Field(description="Address of the scores, once it is done: Parquet.")
    bytes: int = Field(description="Size of the readings.")


async def _files(request: Request) -> PredictFolder:
    found: PredictFolder | None = request.app.state.predict_files
    if found is None:
        raise HTTPException(503, "this server takes no predict jobs")
    return found


Files = Annotated[PredictFolder, Depends(_files)]


@router.post(
    "/definitions/{name}/predict-jobs",
    tags=["predictions"],
    status_code=202,
    openapi_extra={"requestBody": _BODY},
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
    await run_in_threadpool(_require_scores, platform, name)
    given = {"asset": asset, "asset_column": asset_column, "time": time}
    layout = {key: value for key, value in given.items() if value}
    size = int(request.headers.get("content-length", "0"))
    lasts = platform.retention.predictions
    try:
        job = await run_in_threadpool(files.order, name, person.name, size, layout, lasts)
    except JobsFull as full:
        raise HTTPException(429, str(full), {"retry-after": "60"}) from full
    try:
        await _receive(request, files, job)
        return await run_in_threadpool(_submit, platform, files, job)
    except BaseException:
        files.drop(job.id)
        raise


def _submit(platform: Any, files: PredictFolder, job: PredictJob) -> JobView:
    job = files.submit(job)
    after = {"definition": job.definition, "bytes": job.bytes, "state": job.state}
    platform.audit.add(job.actor, "predict job ordered", job.id, job.created_at, after=after)
    return _view(job)


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


def _require_scores(platform: Any, name: str) -> None:
    """Raise UserError for a definition that would score no file, before the file is sent."""
    require_definition(platform, name)
    require_scores(platform, name)


@router.get("/predict-jobs/{id}", tags=["predictions"], operation_id="show_predict_job")
def show_job(id: JobId, _: Viewer, platform: Served, files: Files) -> JobView:
    """Show a predict job with its state, and its result or fault."""
    job = files.get(id)
    require_definition(platform, job.definition)
    return _view(job)


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


def _view(job: PredictJob) -> JobView:
    at = address_of(f"/api/v1/predict-jobs/{job.id}/scores") if job.state == "done" else None
    return JobView.model_validate({**vars(job), "scores": at})
