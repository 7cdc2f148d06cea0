"""REST API, version 1: imports of files."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from alerting.adapters.files.upload_folder import IMPORT_ID, UploadFolder
from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import NAME, NameText
from alerting.console.imports.import_answers import ChoicesBody, ImportView, import_view
from alerting.console.imports.receiving import file_name, receive_body
from alerting.console.imports.worker import ImportWorker
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import ImportChoices, ImportJob
from alerting.usecases.ingestion.uploads import (
    ImportsFull,
    ImportWork,
    admit,
    begin_check,
    begin_write,
    check_upload,
    find_import,
    list_imports,
    remove,
    require_free,
    write_upload,
)

CSV = "text/csv"
FILE = "application/octet-stream"
router = APIRouter(prefix="/api/v1", tags=["imports"])
ImportId = Annotated[str, Path(pattern=f"^{IMPORT_ID}$", description="Id of an import.")]
_TAKES_A_FILE = {
    "requestBody": {
        "required": True,
        "content": {FILE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Imports:
    """The imports of one request's person: documents, files, and the worker of this process."""

    def __init__(
        self, platform: Platform, person: Person, files: UploadFolder, worker: ImportWorker
    ) -> None:
        self.platform = platform
        self.jobs = platform.import_jobs
        self.files = files
        self._person = person
        self._worker = worker

    def admit(self, name: str, size: int, choices: ImportChoices) -> ImportJob:
        """Store a new import and make its folder. Raises HTTPException 429 beyond the bounds."""
        now = datetime.now(UTC)
        job = ImportJob(uuid.uuid4().hex[:12], name, self._person.name, now, size, choices)
        try:
            admit(self.jobs, self.files, job)
        except ImportsFull as full:
            raise HTTPException(429, full.message, {"retry-after": "60"}) from full
        self.files.create(job.id)
        return job

    def require_space(self) -> None:
        """Raise HTTPException 429 if the disk has no room for more of a file that comes."""
        try:
            require_free(self.files, 0)
        except ImportsFull as full:
            raise HTTPException(429, full.message, {"retry-after": "60"}) from full

    def abandon(self, job: ImportJob) -> None:
        """Remove an import whose file did not arrive."""
        remove(self.jobs, self.files, job)

    def check(self, job: ImportJob, choices: ImportChoices) -> ImportJob:
        """Begin to check an import with these choices; return it."""
        begun = begin_check(self.jobs, self.files, job, choices, datetime.now(UTC))

        def act(work: ImportWork) -> None:
            check_upload(self.platform, self.files, work, may_add_assets=self.may_add_assets)

        self._worker.start(self.jobs, begun, act)
        return begun

    def write(self, id: str) -> ImportJob:
        """Begin to write an import, or go on with one that was interrupted; return it."""
        begun = begin_write(self.jobs, self.files, self.find(id), datetime.now(UTC))

        def act(work: ImportWork) -> None:
            now = self.platform.clock.now()
            actor = self._person.name
            allowed = self.may_add_assets
            write_upload(self.platform, self.files, work, now, actor, may_add_assets=allowed)

        self._worker.start(self.jobs, begun, act)
        return begun

    @property
    def may_add_assets(self) -> bool:
        """Return whether the person sees the whole plant, so that a new asset is theirs to add."""
        return not self._person.scopes

    def find(self, id: str, wait: int = 0) -> ImportJob:
        """Return an import, after its work in this process, or this many seconds."""
        job = find_import(self.jobs, id)
        if wait and job.ended_at is None:
            self._worker.wait(id, wait)
            job = find_import(self.jobs, id)
        return job

    def remove(self, id: str) -> None:
        """Remove an import; one under way stops."""
        remove(self.jobs, self.files, self.find(id))

    def view(self, job: ImportJob) -> ImportView:
        """Return the view of an import."""
        has_rejects = self.files.rejects_file(job.id).exists()
        return import_view(job, datetime.now(UTC), has_rejects=has_rejects)


def the_imports(request: Request, platform: Served, person: Engineer) -> Imports:
    """Return the imports of the person of a request. Raises HTTPException 503 without a folder."""
    files: UploadFolder | None = request.app.state.import_files
    if files is None:
        raise HTTPException(503, "this server takes no imports")
    return Imports(platform, person, files, request.app.state.import_worker)


OwnImports = Annotated[Imports, Depends(the_imports)]


@router.post("/imports", status_code=202, openapi_extra=_TAKES_A_FILE, operation_id="upload_import")
async def upload_file(
    request: Request,
    imports: OwnImports,
    name: Annotated[
        str, Query(min_length=1, max_length=NAME, description="Name of the file.")
    ] = "file",
    asset: Annotated[NameText | None, Query(description="The asset of all lines.")] = None,
    what: Annotated[
        Literal["readings", "events"] | None,
        Query(description="What the lines are; recognised by the columns if left out."),
    ] = None,
) -> ImportView:
    """Send a file of readings or events, CSV (also compressed) or Parquet, at most 2 GiB, as
    `alerting import` reads it. It is checked at once, not written. Role: engineer.

    A person has at most four files under way and twenty in all; they are deleted after a day.
    """
    choices = ImportChoices(asset=asset, what=what)
    size = int(request.headers.get("content-length", "0"))
    if not size:
        raise UserError("the body is empty: send the file as the body")
    job = await run_in_threadpool(imports.admit, file_name(name), size, choices)
    try:
        await receive_body(request, imports.files.file(job.id), imports.require_space)
        return imports.view(await run_in_threadpool(imports.check, job, choices))
    except BaseException:
        imports.abandon(job)
        raise


@router.get("/imports", operation_id="list_imports")
def list_all(imports: OwnImports) -> list[ImportView]:
    """List imports, newest first: all of them for an engineer of the whole plant, else one's own.
    Role: engineer."""
    return [imports.view(job) for job in list_imports(imports.jobs)]


@router.get("/imports/{id:without_colon}")
def show_import(
    id: ImportId,
    imports: OwnImports,
    wait: Annotated[
        int, Query(ge=0, le=10, description="Seconds to wait for its end before the answer.")
    ] = 0,
) -> ImportView:
    """Show an import: its state and progress, what was recognised, the first rows, the result.
    Role: engineer."""
    return imports.view(imports.find(id, wait))


@router.post("/imports/{id}:write", status_code=202)
def write_import(id: ImportId, imports: OwnImports) -> ImportView:
    """Write the lines of a checked file, or go on with a write that was interrupted. Role:
    engineer."""
    return imports.view(imports.write(id))


@router.post("/imports/{id}:check", status_code=202)
def check_import(id: ImportId, imports: OwnImports, body: ChoicesBody) -> ImportView:
    """Check the file again with these choices; nothing is written. Role: engineer."""
    return imports.view(imports.check(imports.find(id), body.choices()))


@router.delete("/imports/{id:without_colon}", status_code=204, response_class=Response)
def delete_import(id: ImportId, imports: OwnImports) -> None:
    """Delete an import and its file; one under way stops, and what it has written stays. Role:
    engineer."""
    imports.remove(id)


@router.get(
    "/imports/{id}/rejects",
    responses={200: {"description": "Line, column, reason, line as it was.", "content": {CSV: {}}}},
    response_class=FileResponse,
    operation_id="download_rejects",
)
def send_rejects(id: ImportId, imports: OwnImports) -> FileResponse:
    """Send the bad lines that an import left out, with their reasons, as CSV. Role: engineer."""
    path = imports.files.rejects_file(imports.find(id).id)
    if not path.exists():
        raise NotFound(translatable("this import rejected no line"))
    return FileResponse(path, media_type=CSV, filename=f"rejects-{id}.csv")
