"""Files that people import in the browser: received, checked, written, deleted after a day.

Check and write are those of `alerting import`. Imports live in this process: after a restart a file
is sent again, which stores nothing twice, and no file of before is left.
"""

import logging
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any, BinaryIO, Literal

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import PyMongoError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from alerting.adapters.files.checks import RejectsFile
from alerting.adapters.files.readings_and_events import EventColumns, EventsFile, ReadingsFile
from alerting.adapters.files.rows import Layout, open_table
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.api.parameters import NAME, NameText, Short
from alerting.definitions.faults import NotFound, UserError, storable
from alerting.definitions.wording.clean_text import clean_line
from alerting.ports import EventRow, Platform, ReadingRow
from alerting.usecases.ingestion.imported_files import Reject
from alerting.usecases.ingestion.tables import (
    CheckedFile,
    ImportResult,
    check_events,
    check_readings,
    first_rows,
    ignore_line,
)

_MOST_FIELDS = 20
_LONGEST = 4000  # bytes of a field, and of a line above it
_LONGEST_NAME = 200
_ASKED_EVERY = 16 << 20  # bytes
_UNREADABLE = "the form cannot be read: it is no form with a file"
Fields = dict[str, str]
Admit = Callable[[Fields, str], Path]
"""Admits a file by the fields that stand before it in the form and its name; returns its path."""


def file_name(text: str) -> str:
    """Return the name of a file as its sender wrote it: without folders, cut and printable."""
    name = clean_line(storable(text.replace("\\", "/").rpartition("/")[2])).strip()
    return name[:_LONGEST_NAME] or "file"


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
        self._left = 0

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
            if len(self._fields) >= _MOST_FIELDS:
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
        self._left -= len(data)
        if self._left < 0:
            self._require_space()
            self._left = _ASKED_EVERY
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
SHOWN_ROWS = 10
_SPARE = 1 << 30  # bytes of the disk that uploads leave free
_WORKING = 2  # checks and writes at once
_OF_EVENTS = (("type", "start"), ("type", "end"))
"""Titles that together show that the lines of a file are events."""
State = Literal["arriving", "checking", "refused", "checked", "writing", "done", "failed"]
_log = logging.getLogger(__name__)


class Choices(BaseModel):
    """How a file is read, where that is left open or recognised wrongly: the options of `alerting
    import`. `title`, `before`, `name`: columns, with their names before and now."""

    model_config = ConfigDict(frozen=True)

    what: Literal["readings", "events"] | None = None
    asset: NameText | None = None
    asset_column: NameText | None = None
    time: Short | None = None
    time_format: Short | None = None
    zone: Short | None = None
    separator: Short | None = None
    decimal: Literal[".", ","] | None = None
    encoding: Short | None = None
    missing: str = Field("", max_length=2000)
    duplicates: Literal["refuse", "last", "mean"] = "refuse"
    skip_bad: bool = False
    event_type: NameText | None = None
    type_column: NameText | None = None
    end_column: NameText | None = None
    duration: Literal["instant", "lasting"] | None = None
    take_back: bool = False
    title: list[Short] = Field([], max_length=NAME)
    before: list[Short] = Field([], max_length=NAME)
    name: list[Short] = Field([], max_length=NAME)

    def renamed(self) -> dict[str, str]:
        """Return the names that a person changed, by title."""
        rows = zip(self.title, self.name, self.before, strict=False)
        return {title: name for title, name, before in rows if name not in ("", before)}


@dataclass
class Import:
    """A file that a person imports. `fault`: why it was refused, or failed; `over`: no work at it
    is under way."""

    id: str
    name: str
    actor: str
    created_at: datetime
    file: Path
    choices: Choices
    names: dict[str, str] = field(default_factory=dict)
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

    def follow(self, step: str, done: int, total: int | None) -> None:
        """Note progress; the port `Progress`. Raises FileNotFoundError if the file was deleted."""
        del step
        self.file.stat()
        self.progress = done / total if total else 0.0


class Imports:
    """The imports of this process, below a folder that only its owner may enter. `plant_zone`: of
    stamps that name none; None if the plant has none."""

    def __init__(self, folder: Path, plant_zone: str | None = None) -> None:
        self._folder = folder
        self._plant_zone = plant_zone
        self._found: dict[str, Import] = {}
        self._lock = Lock()
        self._turns = BoundedSemaphore(_WORKING)
        shutil.rmtree(folder, ignore_errors=True)  # files of a process that has ended

    def all(self) -> list[Import]:
        """Return the imports whose files have arrived, newest first."""
        found = [one for one in self._found.copy().values() if one.state != "arriving"]
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    def find(self, id: str) -> Import:
        """Return an import whose file has arrived. Raises NotFound for any other."""
        found = self._found.get(id)
        if found is None or found.state == "arriving":
            raise NotFound(f"there is no import {id}; imports are deleted after a day")
        return found

    def admit(self, name: str, actor: str, size: int, choices: Choices) -> Import:
        """Return a new import, whose file will be written to its path. The oldest one makes room.
        Raises HTTPException 429 if too many are under way or the disk is too full."""
        id = uuid.uuid4().hex[:12]
        now = datetime.now(UTC)
        one = Import(id, name, actor, now, self._folder / id / "file", choices)
        with self._lock:
            self.tidy(now)
            busy = sum(other.is_busy for other in self._found.values())
            if busy >= MOST_AT_ONCE:
                raise _full(f"{busy} files are being imported; send this one when some are done")
            idle = [other for other in self._found.values() if not other.is_busy]
            for other in idle[: max(0, len(self._found) + 1 - MOST_IMPORTS)]:
                self.remove(other)
            self.require_space(size)
            one.file.parent.mkdir(mode=0o700, parents=True)
            self._folder.chmod(0o700)
            self._found[id] = one
        return one

    def require_space(self, size: int = 0) -> None:
        """Raise HTTPException 429 if the disk has no room for this many further bytes."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < size + _SPARE:
            raise _full("the disk has too little free space for this file; delete some imports")

    def tidy(self, now: datetime) -> None:
        """Remove the imports of more than a day ago."""
        for one in list(self._found.values()):
            if one.created_at < now - LASTS and not one.is_busy:
                self.remove(one)

    def remove(self, one: Import) -> None:
        """Remove an import and its files; work at it stops, and what is written stays."""
        self._found.pop(one.id, None)
        shutil.rmtree(one.file.parent, ignore_errors=True)

    def check(self, platform: Platform, one: Import, choices: Choices) -> None:
        """Begin to check a file with these choices. Raises UserError if it is being worked at, or
        no longer there."""
        self._begin(one, "checking", partial(self._check_and_show, platform, one), choices)

    def write(self, platform: Platform, one: Import, actor: str) -> None:
        """Begin to write the lines of a checked file, once more those of a failed write. Raises
        UserError if they cannot be written."""
        if one.checked is None or one.state not in ("checked", "failed"):
            raise UserError("the file is not checked; look at it again")
        self._begin(one, "writing", partial(self._write, platform, one, actor))

    def _begin(
        self, one: Import, state: State, act: Callable[[], None], choices: Choices | None = None
    ) -> None:
        with self._lock:
            if one.is_busy and one.state != "arriving":
                raise UserError("the file is being worked at; wait until that is over")
            if not one.file.exists():
                raise UserError("the uploaded file is no longer there; import it again")
            one.choices = choices or one.choices
            one.names |= choices.renamed() if choices else {}
            one.state = state
            one.progress = 0.0
            one.fault = ""
            one.result = None
            one.over = Event()
        # the copy names the origin of the request in the audit
        run = partial(copy_context().run, self._run, one, act)
        Thread(target=run, name="import", daemon=True).start()

    def _run(self, one: Import, act: Callable[[], None]) -> None:
        try:
            with self._turns:
                act()
        except UserError as refusal:
            _end(one, "refused", refusal.message)
        except (PyMongoError, DatabaseDown):
            _end(one, "failed", "the database did not answer; continue the import")
        except Exception:  # of a thread, which has no request to answer
            if one.id in self._found:
                _log.exception("import %s", one.id)
            _end(one, "failed", "a fault of the server; its log has the details")
        finally:
            one.over.set()

    def _check_and_show(self, platform: Platform, one: Import) -> None:

        one.checked = None
        checked = self._check(platform, one, ignore_line)
        one.rows = first_rows(checked, SHOWN_ROWS)
        one.checked = checked
        _end(one, "checked")

    def _check(self, platform: Platform, one: Import, reject: Reject) -> CheckedFile:

        chosen = one.choices
        layout = self._layout(one)
        used = reject if chosen.skip_bad else None
        back = chosen.take_back
        if self._is_of_events(one):
            columns = EventColumns(chosen.event_type, chosen.type_column, "", chosen.end_column)
            events = EventsFile(one.file, layout, columns)
            events.name = one.name
            duration = chosen.duration
            return check_events(
                events,
                platform,
                duration=duration,
                reject=used,
                progress=one.follow,
                take_back=back,
            )
        readings = ReadingsFile(one.file, layout)
        readings.name = one.name
        now = datetime.now(UTC)
        return check_readings(
            readings, platform, reject=used, progress=one.follow, take_back=back, now=now
        )

    def _is_of_events(self, one: Import) -> bool:

        chosen = one.choices
        if chosen.what is not None:
            return chosen.what == "events"
        titles = {*open_table(one.file, chosen.separator, chosen.encoding).titles}
        return any({*pair} <= titles for pair in _OF_EVENTS)

    def _layout(self, one: Import) -> Layout:

        chosen = one.choices
        return Layout(
            time=chosen.time,
            time_format=chosen.time_format,
            asset=chosen.asset,
            asset_column=chosen.asset_column,
            zone=chosen.zone,
            plant_zone=self._plant_zone,
            separator=chosen.separator,
            decimal=chosen.decimal,
            encoding=chosen.encoding,
            rename=one.names,
            missing=tuple(t for line in chosen.missing.splitlines() if (t := line.strip())),
            duplicates=chosen.duplicates,
        )

    def _write(self, platform: Platform, one: Import, actor: str) -> None:

        with RejectsFile(one.rejects, one.file) as reject:
            checked = self._check(platform, one, reject)
            try:
                one.result = checked.write(
                    now=platform.clock.now(), actor=actor, progress=one.follow
                )
            except UserError as refusal:  # some rows are written
                _end(one, "failed", refusal.message)
                return
        _end(one, "done")
        if one.file.stat().st_size > MOST_LEFT:  # a smaller one can be taken back
            one.file.unlink()


def _full(why: str) -> HTTPException:
    return HTTPException(429, why, {"retry-after": "60"})


def _end(one: Import, state: State, fault: str = "") -> None:
    one.state = state
    one.fault = fault
