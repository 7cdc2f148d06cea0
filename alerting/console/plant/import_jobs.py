"""Files that people import in the browser: received, checked, written, deleted after a day.

The check and the write are the same as in `alerting import`. Imports live in this process: after a
restart a file is sent again, which stores nothing twice, and earlier files are gone.
"""

import logging
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)
from pymongo.errors import PyMongoError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alerting.adapters.files.find_form import first_lines, hash_form, open_table
from alerting.adapters.files.packed import SheetWanted, forget_copies
from alerting.adapters.files.readings_and_events import open_rows
from alerting.adapters.files.rows import RejectsFile
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.api.parameters import NAME, Short
from alerting.definitions.faults import NotFound, UserError, storable
from alerting.definitions.file_form import FORM_FIELDS, FileForm, FormFault, Stated, read_form
from alerting.definitions.file_form import (
    Fields as FormFields,
)
from alerting.definitions.form_fields import BY_COLUMN, KINDS, What
from alerting.definitions.wording.clean_text import clean_line, clean_text
from alerting.ports import EventRow, Platform, ReadingRow
from alerting.usecases.ingestion.imported_files import Duration, Reject
from alerting.usecases.ingestion.stated_options import keep, recall, with_note
from alerting.usecases.ingestion.tables import (
    CheckedFile,
    ImportResult,
    check_rows,
    first_rows,
    ignore_line,
)

_LONGEST = 4000  # bytes of a field, and of a line above it
_LONGEST_TEXT = 20_000  # characters of names with commas, the longest that is stated
_ASKED_EVERY = 16 << 20  # bytes
_UNREADABLE = "the form cannot be read: it is no form with a file"
Fields = dict[str, str]
Admit = Callable[[Fields, str], Path]
"""Admits a file by the fields that stand before it in the form and its name; returns its path."""


def file_name(text: str) -> str:
    """Return the name of a file as its sender wrote it: without folders, cut and printable."""
    name = clean_line(storable(text.replace("\\", "/").rpartition("/")[2])).strip()
    return name[:200] or "file"


async def receive_form(
    request: Request, fields: Fields, admit: Admit, require_space: Callable[[], None]
) -> None:
    """Write the one file of a form to the path that `admit` gives it, in a thread. `fields`: takes
    the other fields, also of a form that is refused then. `require_space`: raises if the disk has
    no room for more; asked while the file comes.

    Raises HTTPException 422 for a body that is no form, UserError for one without a file, and what
    `admit` and `require_space` raise.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise HTTPException(422, _UNREADABLE)
    form = _Form(fields, admit, require_space)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except FormParserError as fault:
        raise HTTPException(422, _UNREADABLE) from fault
    finally:
        if form.file is not None:
            form.file.close()
    if form.file is None:
        raise UserError("choose a file")


class _Form:
    """A form under way: its fields in memory within bounds, its file on the disk."""

    def __init__(self, fields: Fields, admit: Admit, require_space: Callable[[], None]) -> None:
        self.file: BinaryIO | None = None
        self._fields = fields
        self._admit = admit
        self._require_space = require_space
        self._header = [bytearray(), bytearray()]
        self._text = bytearray()
        self._name = ""
        self._unchecked_bytes = 0

    def callbacks(self) -> Any:
        """Return the functions that the parser calls."""
        name, value = self._header
        return {
            "on_header_field": lambda data, start, end: _extend(name, data[start:end]),
            "on_header_value": lambda data, start, end: _extend(value, data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end_part,
        }

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._text[:] = value
        name.clear()
        value.clear()

    def _begin_part(self) -> None:
        _, options = parse_options_header(bytes(self._text))
        self._text.clear()
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        sent = options.get(b"filename")
        if sent is None:
            if len(self._fields) >= 20:
                raise HTTPException(422, _UNREADABLE)
        elif not sent or self.file is not None:  # a form without a chosen file has an empty name
            raise UserError("choose a file")
        else:
            path = self._admit(self._fields, file_name(sent.decode("utf-8", "replace")))
            self.file = path.open("xb")

    def _take(self, data: bytes) -> None:
        if self.file is None or self.file.closed:
            _extend(self._text, data)
            return
        self._unchecked_bytes -= len(data)
        if self._unchecked_bytes < 0:
            self._require_space()
            self._unchecked_bytes = _ASKED_EVERY
        self.file.write(data)

    def _end_part(self) -> None:
        if self.file is not None and not self.file.closed:
            self.file.close()
        else:
            self._fields[self._name] = self._text.decode("utf-8", "replace")
        self._text.clear()


def _extend(text: bytearray, more: bytes) -> None:
    if len(text) + len(more) > _LONGEST:
        raise HTTPException(422, _UNREADABLE)
    text += more


MOST_BYTES = 2 << 30
MOST_LEFT = 64 << 20
"""Bytes of a file that stays until its import is deleted, so that it can be taken back."""
MOST_AT_ONCE = 4
MOST_IMPORTS = 20
LASTS = timedelta(days=1)
SHOWN_LINES = 12
_MOST_LINES = 40  # of the file as it is, if its rows begin further down
_REMEDY = "change or empty these choices to read it otherwise"
_SPARE = 1 << 30  # bytes of the disk that uploads leave free
_WORKING = 2  # checks and writes at once
_OF_EVENTS = (("type", "start"), ("type", "end"))
"""Titles that together show that the lines of a file are events."""
State = Literal["arriving", "checking", "refused", "checked", "writing", "done", "failed"]
_log = logging.getLogger(__name__)


_Text = Annotated[str, StringConstraints(max_length=_LONGEST_TEXT), AfterValidator(clean_text)]


def read_stated(posted: Mapping[str, Any], form_fields: FormFields = FORM_FIELDS) -> Stated:
    """Return the texts that the fields of a form in the browser state, by the field of the form of
    a file; what belongs to one column is stated beside it."""
    stated: dict[str, tuple[str, ...]] = {}
    for name, declared in form_fields.items():
        written = str(posted.get(name, "")) if declared.kind not in BY_COLUMN else ""
        lines = written.splitlines() if declared.kind == "texts" else [written]
        texts = tuple(line if declared.kind == "exact" else line.strip() for line in lines)
        texts = tuple(text for text in texts if text and text != declared.default)
        if texts:
            stated[name] = ("",) if declared.kind == "switch" else texts
    return stated


class Choices(BaseModel):
    """Statements of a person on a file: texts of the fields of its form, where the recognition is
    open or wrong, and what becomes of its lines. `title`, `before`, `name`, `column_type`: columns,
    with their names before and now, and their types."""

    model_config = ConfigDict(frozen=True)

    stated: dict[str, tuple[_Text, ...]] = {}
    what: What | None = None
    duration: Duration | None = None
    skip_bad: bool = False
    take_back: bool = False
    title: list[Short] = Field([], max_length=NAME)
    before: list[Short] = Field([], max_length=NAME)
    name: list[Short] = Field([], max_length=NAME)
    column_type: list[Literal["number", "category", "boolean", ""]] = Field([], max_length=NAME)

    @field_validator("stated")
    @classmethod
    def _require_values(cls, stated: Stated) -> Stated:
        try:
            read_form(stated)
        except FormFault as fault:
            raise ValueError(fault.message) from fault
        return stated

    def with_columns(self, earlier: Stated) -> "Choices":
        """Return the choices with what is stated of columns, now or earlier."""
        form = read_form({name: earlier.get(name, ()) for name in ("rename", "types")})
        rows = zip(self.title, self.name, self.before, strict=False)
        names = {**form.rename, **{title: name for title, name, before in rows if name != before}}
        types = {**form.types, **dict(zip(self.title, self.column_type, strict=False))}
        written = {
            name: KINDS["by_title"].write({title: text for title, text in texts.items() if text})
            for name, texts in (("rename", names), ("types", types))
        }
        stated = {name: texts for name, texts in (self.stated | written).items() if texts}
        return self.model_copy(update={"stated": stated})

    def texts(self) -> dict[str, str]:
        """Return what was chosen, as the fields of a form in the browser hold it."""
        chosen = self.model_dump(include={"what", "duration", "skip_bad", "take_back"})
        stated = {name: "\n".join(texts) or "yes" for name, texts in self.stated.items()}
        return stated | {n: "yes" if value is True else value or "" for n, value in chosen.items()}


@dataclass
class Import:
    """A file that a person imports. `fault`: why it was refused, or failed; `over`: whether no work
    on it is under way. `note`: a sentence on what was stored of its form, None until that is asked
    for. `lines`, `head`, `titles`: the first lines as they are, what they were taken for, and the
    columns; `sheets`: those of a workbook."""

    id: str
    name: str
    actor: str
    created_at: datetime
    file: Path
    choices: Choices
    note: str | None = None
    lines: Sequence[str] = ()
    sheets: Sequence[str] = ()
    head: FileForm = field(default_factory=FileForm)
    titles: Sequence[str] = ()
    state: State = "arriving"
    progress: float = 0.0
    checked: CheckedFile | None = None
    rows: Sequence[ReadingRow | EventRow] = ()
    fault: str = ""
    result: ImportResult | None = None
    over: Event = field(default_factory=Event)

    @property
    def is_busy(self) -> bool:
        return self.state in ("arriving", "checking", "writing")

    @property
    def rejects(self) -> Path:
        """Return the path of the lines that were left out, which may not exist."""
        return self.file.with_name("rejects.csv")

    @property
    def what(self) -> What:
        """Return what the rows of the file are: as chosen, else as its titles show."""
        is_event = any({*pair} <= {*self.titles} for pair in _OF_EVENTS)
        return self.choices.what or ("events" if is_event else "readings")

    def follow(self, step: str, done: int, total: int | None) -> None:
        """Note progress; the port `Progress`. Raises FileNotFoundError if the file was deleted."""
        del step
        self.file.stat()
        self.progress = done / total if total else 0.0


class Imports:
    """The imports of this process, below a folder that only its owner may enter. `plant_zone`: zone
    of stamps without one; None if the plant has none."""

    def __init__(self, folder: Path, plant_zone: str | None = None) -> None:
        self._folder = folder
        self._plant_zone = plant_zone
        self._jobs: dict[str, Import] = {}
        self._lock = Lock()
        self._turns = BoundedSemaphore(_WORKING)
        shutil.rmtree(folder, ignore_errors=True)  # files of a process that has ended

    def all(self) -> list[Import]:
        """Return the imports whose files have arrived, newest first."""
        arrived = [job for job in self._jobs.copy().values() if job.state != "arriving"]
        return sorted(arrived, key=lambda job: job.created_at, reverse=True)

    def find(self, id: str) -> Import:
        """Return an import whose file has arrived. Raises NotFound for any other."""
        job = self._jobs.get(id)
        if job is None or job.state == "arriving":
            raise NotFound(f"there is no import {id}; imports are deleted after a day")
        return job

    def admit(self, name: str, actor: str, size: int, choices: Choices) -> Import:
        """Return a new import, whose file will be written to its path. The oldest import is removed
        if there are too many. Raises HTTPException 429 if too many are under way or the disk is too
        full."""
        id = uuid.uuid4().hex[:12]
        now = datetime.now(UTC)
        job = Import(id, name, actor, now, self._folder / id / "file", choices)
        with self._lock:
            self.tidy(now)
            busy = sum(earlier.is_busy for earlier in self._jobs.values())
            if busy >= MOST_AT_ONCE:
                raise _full(f"{busy} files are being imported; send this one when some are done")
            idle = [earlier for earlier in self._jobs.values() if not earlier.is_busy]
            for earlier in idle[: max(0, len(self._jobs) + 1 - MOST_IMPORTS)]:
                self.remove(earlier)
            self.require_space(size)
            job.file.parent.mkdir(mode=0o700, parents=True)
            self._folder.chmod(0o700)
            self._jobs[id] = job
        return job

    def require_space(self, size: int = 0) -> None:
        """Raise HTTPException 429 if the disk has no room for this many further bytes."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < size + _SPARE:
            raise _full("the disk has too little free space for this file; delete some imports")

    def tidy(self, now: datetime) -> None:
        """Remove the imports of more than a day ago."""
        for job in list(self._jobs.values()):
            if job.created_at < now - LASTS and not job.is_busy:
                self.remove(job)

    def remove(self, job: Import) -> None:
        """Remove an import and its files. Work on it stops, and rows that are written stay."""
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.file.parent, ignore_errors=True)
        forget_copies()

    def check(self, platform: Platform, job: Import, choices: Choices) -> None:
        """Begin to check a file with these choices. Raises UserError if work on it is under way, or
        it no longer exists."""
        self._begin(job, "checking", partial(self._check_and_show, platform, job), choices)

    def write(self, platform: Platform, job: Import, actor: str) -> None:
        """Begin to write the lines of a checked file; after a failed write, write them once more.
        Raises UserError if they cannot be written."""
        if job.checked is None or job.state not in ("checked", "failed"):
            raise UserError("the file is not checked; look at it again")
        self._begin(job, "writing", partial(self._write, platform, job, actor))

    def _begin(
        self, job: Import, state: State, act: Callable[[], None], choices: Choices | None = None
    ) -> None:
        with self._lock:
            if job.is_busy and job.state != "arriving":
                raise UserError("the file is being worked at; wait until that is over")
            if not job.file.exists():
                raise UserError("the uploaded file is no longer there; import it again")
            if choices:
                job.choices = choices.with_columns(job.choices.stated)
            job.state = state
            job.progress = 0.0
            job.fault = ""
            job.result = None
            job.over = Event()
        # the copy names the origin of the request in the audit
        run = partial(copy_context().run, self._run, job, act)
        Thread(target=run, name="import", daemon=True).start()

    def _run(self, job: Import, act: Callable[[], None]) -> None:
        try:
            with self._turns:
                act()
        except UserError as refusal:
            _end(job, "refused", refusal.message)
        except (PyMongoError, DatabaseDown):
            _end(job, "failed", "the database did not answer; continue the import")
        except Exception:  # of a thread, which has no request to answer
            if job.id in self._jobs:
                _log.exception("import %s", job.id)
            _end(job, "failed", "a fault of the server; its log has the details")
        finally:
            job.over.set()

    def _check_and_show(self, platform: Platform, job: Import) -> None:
        job.checked = None
        _look_at_head(job)
        note = "" if job.note is not None else _recall(platform, job)
        if note:
            _look_at_head(job)
        job.note = note
        checked = with_note(partial(self._check, platform, job, ignore_line), note)
        job.rows = first_rows(checked, 10)
        job.checked = checked
        _end(job, "checked")

    def _check(self, platform: Platform, job: Import, reject: Reject) -> CheckedFile:
        chosen = job.choices
        form = read_form(chosen.stated, FileForm(plant_zone=self._plant_zone))
        return check_rows(
            open_rows(job.file, form, job.what, skip_bad=chosen.skip_bad, name=job.name),
            job.what,
            platform,
            duration=chosen.duration,
            now=datetime.now(UTC),
            reject=reject if chosen.skip_bad else None,
            progress=job.follow,
            take_back=chosen.take_back,
        )

    def _write(self, platform: Platform, job: Import, actor: str) -> None:
        with RejectsFile(job.rejects, job.file) as reject:
            checked = self._check(platform, job, reject)
            try:
                now = platform.clock.now()
                job.result = checked.write(now=now, actor=actor, progress=job.follow)
                stated = {} if job.choices.take_back else job.choices.stated
                keep(platform.file_forms, hash_form(job.file, job.what), job.name, stated, now)
            except UserError as refusal:  # some rows are written
                _end(job, "failed", refusal.message)
                return
        _end(job, "done")
        if job.file.stat().st_size > MOST_LEFT:  # a smaller one can be taken back
            job.file.unlink()


def _recall(platform: Platform, job: Import) -> str:
    """Fill the choices of a new import with what is stored of its form; return a note on that."""
    form = hash_form(job.file, job.what)
    forms = platform.file_forms
    stated, note = recall(forms, form, job.choices.stated, platform.zone, _REMEDY)
    job.choices = job.choices.model_copy(update={"stated": stated})
    return note


def _look_at_head(job: Import) -> None:
    """Note the first lines, and what they are taken for, also of a file that will be refused."""
    form = read_form(job.choices.stated)
    job.lines = first_lines(job.file, form, _MOST_LINES)
    job.head = FileForm()
    job.titles = ()
    try:
        table = open_table(job.file, form)
        job.titles = table.titles
        job.sheets = table.content.sheets
        job.head = FileForm(
            separator=table.separator,
            title_lines=table.title_lines,
            unit_line=table.unit_line,
            first_line=table.first_line,
        )
    except SheetWanted as refusal:
        job.sheets = refusal.sheets
    except UserError:
        pass


def _full(why: str) -> HTTPException:
    return HTTPException(429, why, {"retry-after": "60"})


def _end(job: Import, state: State, fault: str = "") -> None:
    job.state = state
    job.fault = fault
