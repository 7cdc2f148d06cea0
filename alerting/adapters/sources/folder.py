"""Files of a source in local or mounted folders."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import EXDEV
from glob import glob
from itertools import count
from pathlib import Path
from stat import S_ISREG

from alerting.adapters.files.readings_and_events import (
    DEFAULT_END_COLUMN,
    DEFAULT_TYPE_COLUMN,
    EventColumns,
    EventsFile,
    ReadingsFile,
)
from alerting.adapters.files.recognition import has_stamps, named_format
from alerting.adapters.files.rows import DEFAULT_ASSET_COLUMN, Layout, QualityLayout, open_table
from alerting.adapters.files.tables.chunks import RepeatedTitle
from alerting.definitions.faults import UserError, storable
from alerting.definitions.sources import FilesSource
from alerting.usecases.sources.files import FoundFile

REASON = ".reason.txt"
LONGEST_NAME = 255  # bytes of a name in a folder


@dataclass(frozen=True)
class FolderDrop:
    """Port `FileDrop`. `plant_zone`: of stamps without a zone where the source names none."""

    plant_zone: str | None = None

    def found(self, source: FilesSource) -> list[FoundFile]:
        """Return the files that match, the oldest first, but no links and none that was put away.

        Raises UserError if the folder of the pattern is not there.
        """
        latest = time.time_ns() - int(source.unchanged_for.total_seconds() * 1e9)
        files = map(_file, glob(source.pattern))  # noqa: PTH207 - the pattern is absolute
        away = {Path(folder) for folder in (source.done, source.bad) if folder}
        found = [
            file
            for file in files
            if file and file.modified <= latest and Path(file.path).parent not in away
        ]
        if not found:
            _require_folder(source.pattern)
        return sorted(found, key=lambda file: (file.modified, file.path))

    def sha256(self, file: FoundFile) -> str:
        try:
            with Path(file.path).open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{file.name}: cannot be read: {error.strerror!s}") from error

    def readings(self, source: FilesSource, file: FoundFile) -> ReadingsFile:
        return ReadingsFile(Path(file.path), self._layout(source, file))

    def events(self, source: FilesSource, file: FoundFile) -> EventsFile:
        columns = source.events
        type_column = (
            None
            if columns.type or columns.type_column == DEFAULT_TYPE_COLUMN
            else columns.type_column
        )
        end_column = None if columns.end_column == DEFAULT_END_COLUMN else columns.end_column
        layout = EventColumns(
            columns.type, type_column, "" if columns.type else columns.type_prefix, end_column
        )
        return EventsFile(Path(file.path), self._layout(source, file), layout)

    def may_be_quoted(self, source: FilesSource, file: FoundFile) -> bool:
        """Return whether messages may quote a file: a table with a column of time stamps. Of one
        that cannot be opened as a table messages hold nothing."""
        form = named_format(source.time_format) if source.time_format is not None else None
        try:
            table = open_table(Path(file.path), source.separator, source.encoding)
        except UserError as refusal:
            return not isinstance(refusal, RepeatedTitle)
        try:
            return has_stamps(table, source.time, form)
        except UserError:
            return False

    def put_away(self, source: FilesSource, file: FoundFile, fault: str | None) -> None:
        """Move a file, under another name if there is one of its name; a refused one with the
        reason beside it.

        A file that was changed since it was found stays, and is read at the next poll.
        """
        folder = source.done if fault is None else source.bad
        if folder is None or _file(file.path) != file:
            return
        try:
            move(file, Path(folder), fault)
        except OSError as error:
            raise UserError(
                f"source {source.name}: {file.name} cannot be moved to {folder}: {error.strerror}"
            ) from error

    def _layout(self, source: FilesSource, file: FoundFile) -> Layout:
        """Return the layout of an import, without columns that the file lacks."""
        given = source.model_fields_set
        table = open_table(Path(file.path), source.separator, source.encoding)
        titles = table.titles
        names = {title: title for title in titles} | {v: k for k, v in table.as_written.items()}
        mapped = {names[t]: column for t, column in source.variables.items() if t in names}
        if source.others == "ignore" and not mapped:
            raise UserError(
                f"{file.name}: has none of the columns of the source; its columns: "
                f"{', '.join(titles[:20])}"
            )
        column = (
            None
            if source.asset or source.asset_column == DEFAULT_ASSET_COLUMN
            else source.asset_column
        )
        return Layout(
            time=source.time if "time" in given else None,
            time_format=source.time_format,
            asset=source.asset,
            asset_column=column,
            asset_prefix="" if source.asset else source.asset_prefix,
            zone=source.timezone,
            plant_zone=self.plant_zone,
            separator=source.separator,
            decimal=source.decimal,
            encoding=source.encoding,
            rename={title: column.name for title, column in mapped.items() if column.name},
            only=tuple(mapped) if source.others == "ignore" else (),
            missing=source.missing,
            quality=QualityLayout(source.quality, source.quality_suffix, source.quality_codes),
            duplicates=source.duplicates,
        )


def _file(path: str) -> FoundFile | None:
    """Return a file as it is now; None for a folder, a link, and a path that is gone."""
    try:
        state = Path(path).lstat()
    except OSError:
        return None
    return FoundFile(path, state.st_size, state.st_mtime_ns) if S_ISREG(state.st_mode) else None


def _require_folder(pattern: str) -> None:
    folder = Path(re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] or "/")
    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist or is not mounted")


def move(file: FoundFile, folder: Path, fault: str | None) -> None:
    """Move a file into a folder under a free name; with a fault its reason is written beside it.

    Others may write into the folder, too. So every name is taken by creating it, which follows no
    link and replaces nothing. Raises OSError, and leaves nothing behind, if the file cannot be
    moved, and UserError if the folder is a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise UserError(
            f"{file.name} is not moved to {folder}, which is a link: name the folder itself"
        )
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        name = _take_name(inside, Path(file.path).name, fault)
        try:
            _move(file.path, inside, name)
        except BaseException:
            for made in (name, f"{name}{REASON}") if fault is not None else (name,):
                with suppress(OSError):
                    os.unlink(made, dir_fd=inside)
            raise
    finally:
        os.close(inside)


def _take_name(inside: int, name: str, fault: str | None) -> str:
    """Create an empty file of a free name, a fault's reason beside it; return the name."""
    for taken in free_names(name, fault):
        try:
            os.close(_create(inside, taken))
        except FileExistsError:
            continue
        if fault is None:
            return taken
        try:
            with os.fdopen(_create(inside, f"{taken}{REASON}"), "wb") as reason:
                reason.write(f"{storable(fault)}\n".encode())
        except BaseException as error:
            os.unlink(taken, dir_fd=inside)
            if not isinstance(error, FileExistsError):
                raise
        else:
            return taken
    raise AssertionError("names are endless")


def free_names(name: str, fault: str | None) -> Iterator[str]:
    """Yield names for a file to move, with numbers before it; cut to fit with a reason."""
    longest = LONGEST_NAME - (0 if fault is None else len(REASON))
    for number in count(1):
        stem, ending = os.path.splitext(name if number == 1 else f"{number}-{name}")  # noqa: PTH122 - a name, and no path
        ending = ending[:20]
        while len(os.fsencode(stem + ending)) > longest:
            stem = stem[:-1]
        yield stem + ending


def _create(inside: int, name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=inside)


def _move(path: str, inside: int, name: str) -> None:
    """Move a file over an empty one in an open folder, which may be on another disk."""
    try:
        os.rename(path, name, dst_dir_fd=inside)
        return
    except OSError as error:
        if error.errno != EXDEV:
            raise
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as content:
        os.unlink(name, dir_fd=inside)
        with os.fdopen(_create(inside, name), "wb") as copy:
            shutil.copyfileobj(content, copy)
            copy.flush()
            state = os.fstat(content.fileno())
            os.utime(copy.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))
    Path(path).unlink()
