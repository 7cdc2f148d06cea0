"""Uploaded files below a folder of this machine that only its owner may enter.

Of each import a folder with its id as name: the file, and beside it the lines that were rejected.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alerting.definitions.wording.language import Language
from alerting.ports import ImportChoices, ImportJob
from alerting.usecases.ingestion.sources import Reject
from alerting.usecases.ingestion.tables import What

if TYPE_CHECKING:
    from alerting.adapters.files.events import EventsFile
    from alerting.adapters.files.readings import ReadingsFile
    from alerting.adapters.files.rows import Layout

IMPORT_ID = "[0-9a-f]{12}"
_FILE = "file"
_REJECTS = "rejects.csv"
_TEMPLATES = "rejects.templates"
_OF_EVENTS = (("type", "start"), ("type", "end"))
"""Titles that together show that the lines of a file are events."""


@dataclass(frozen=True)
class UploadFolder:
    """Port `ImportFiles`. `plant_zone`: of stamps that name none; None if the plant has none."""

    folder: Path
    plant_zone: str | None = None

    def create(self, id: str) -> Path:
        """Return the path for the file of a new import."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._import_folder(id).mkdir(mode=0o700)
        return self.file(id)

    def file(self, id: str) -> Path:
        return self._import_folder(id) / _FILE

    def rejects_file(self, id: str) -> Path:
        """Return the path of the lines that an import rejected, which may not exist."""
        return self._import_folder(id) / _REJECTS

    def free(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def ids(self) -> list[str]:
        found = self.folder.iterdir() if self.folder.exists() else ()
        return [path.name for path in found if re.fullmatch(IMPORT_ID, path.name)]

    def has_file(self, id: str) -> bool:
        return self.file(id).exists()

    def what(self, job: ImportJob) -> What:
        from alerting.adapters.files.tables.opening import open_table

        choices = job.choices
        if choices.what is not None:
            return choices.what
        titles = open_table(self.file(job.id), choices.separator, choices.encoding).titles
        return "events" if any({*pair} <= {*titles} for pair in _OF_EVENTS) else "readings"

    def open_readings(self, job: ImportJob) -> "ReadingsFile":
        from alerting.adapters.files.readings import ReadingsFile

        source = ReadingsFile(self.file(job.id), self._layout(job.choices))
        source.name = job.name
        return source

    def open_events(self, job: ImportJob) -> "EventsFile":
        from alerting.adapters.files.events import EventColumns, EventsFile

        choices = job.choices
        columns = EventColumns(choices.event_type, choices.type_column, "", choices.end_column)
        source = EventsFile(self.file(job.id), self._layout(choices), columns)
        source.name = job.name
        return source

    def _layout(self, choices: ImportChoices) -> "Layout":
        from alerting.adapters.files.rows import Layout

        return Layout(
            time=choices.time,
            time_format=choices.time_format,
            asset=choices.asset,
            asset_column=choices.asset_column,
            zone=choices.zone,
            plant_zone=self.plant_zone,
            separator=choices.separator,
            decimal=choices.decimal,
            encoding=choices.encoding,
            rename=dict(choices.rename),
            only=choices.only,
            missing=choices.missing,
            duplicates=choices.duplicates,
        )

    def rejects(self, job: ImportJob) -> AbstractContextManager[Reject | None]:
        from alerting.adapters.files.rejects import RejectsFile

        if not job.choices.skip_bad:
            return nullcontext()
        templates = self._import_folder(job.id) / _TEMPLATES
        return RejectsFile(self.rejects_file(job.id), self.file(job.id), templates)

    def translated_rejects(self, id: str, language: Language) -> Iterator[str]:
        """Yield the lines that an import rejected, as CSV with the reasons in a language."""
        from alerting.adapters.files.rejects import translated_rejects

        templates = self._import_folder(id) / _TEMPLATES
        return translated_rejects(self.rejects_file(id), templates, language)

    def shorten(self, job: ImportJob, text: str) -> str:
        return text.replace(str(self.file(job.id)), job.name)

    def drop_file(self, id: str) -> None:
        self.file(id).unlink(missing_ok=True)

    def drop(self, id: str) -> None:
        shutil.rmtree(self._import_folder(id), ignore_errors=True)

    def _import_folder(self, id: str) -> Path:
        if not re.fullmatch(IMPORT_ID, id):
            raise ValueError(f"not the id of an import: {id!r}")
        return self.folder / id
