"""Files of a source: in local or mounted folders; or at an SFTP server or object store, copied one
at a time, and moved there. Arrow reaches S3 and compatible stores, Google Cloud Storage and Azure
by their address."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from errno import EXDEV
from glob import glob
from itertools import count
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fsspec.implementations.arrow import ArrowFSWrapper

from alerting.adapters.files.chunks import RepeatedTitle
from alerting.adapters.files.find_form import open_table
from alerting.adapters.files.readings_and_events import EventsFile, ReadingsFile, open_rows
from alerting.adapters.files.recognition import has_stamps
from alerting.adapters.files.times.stamp_formats import named_format
from alerting.adapters.sources.addresses_and_secrets import Resolve
from alerting.adapters.sources.source_forms import file_form, stated_form
from alerting.deferred import fs, pa
from alerting.definitions.faults import UserError, first_line, legible, storable
from alerting.definitions.sources import OWNED, FilesSource, level_matches
from alerting.usecases.sources.poll import FileRefused, FoundFile

REASON = ".reason.txt"
LONGEST_NAME = 255  # bytes of a name in a folder


class FolderDrop:
    """Port `FileDrop`. `plant_zone`: zone of stamps without one if the source names none."""

    def __init__(self, plant_zone: str | None = None) -> None:
        self._plant_zone = plant_zone

    def found(self, source: FilesSource) -> list[FoundFile]:
        """Return the files that match, the oldest first, without links and files that were put
        away. Raises UserError if the folder of the pattern does not exist."""
        latest = time.time_ns() - int(source.unchanged_for.total_seconds() * 1e9)
        files = map(_file, glob(source.pattern))  # noqa: PTH207 - the pattern is absolute
        away = {Path(folder) for folder in (source.done, source.bad) if folder}
        matching = [
            file
            for file in files
            if file
            and file.modified <= latest
            and Path(file.path).parent not in away
            and not Path(file.path).name.startswith(OWNED)
        ]
        folder = Path(re.split(r"[*?\[]", source.pattern, maxsplit=1)[0].rpartition("/")[0] or "/")
        if not matching and not folder.is_dir():
            raise UserError(f"the folder {folder} does not exist or is not mounted")
        return sorted(matching, key=lambda file: (file.modified, file.path))

    def fetch(self, file: FoundFile) -> Path:
        """Return the path at which a file can be read. Raises UserError if it cannot."""
        return Path(file.path)

    def sha256(self, file: FoundFile) -> str:
        try:
            with self.fetch(file).open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{file.name}: cannot be read: {error.strerror!s}") from error

    def rows(self, source: FilesSource, file: FoundFile) -> ReadingsFile | EventsFile:
        path = self.fetch(file)
        return open_rows(path, file_form(source, path, self._plant_zone), source.delivers)

    def may_be_quoted(self, source: FilesSource, file: FoundFile) -> bool:
        """Return whether messages may quote a file, which must be a table with a column of time
        stamps. Messages quote nothing of a file that cannot be opened as a table."""
        form = stated_form(source)
        written = named_format(form.time_format) if form.time_format is not None else None
        try:
            table = open_table(self.fetch(file), form)
        except UserError as refusal:
            return not isinstance(refusal, RepeatedTitle)
        try:
            return has_stamps(table, source.time, written)
        except UserError:
            return False

    def put_away(self, source: FilesSource, file: FoundFile, fault: str | None) -> None:
        """Move a file, under another name if its name is taken; write the reason beside a refused
        file.

        A file that was changed since it was found stays, and is read at the next poll. Raises
        UserError if it cannot be moved.
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


def _file(path: str) -> FoundFile | None:
    """Return a file as it is now; None for a folder, a link, and a path that does not exist."""
    try:
        state = Path(path).lstat()
    except OSError:
        return None
    return FoundFile(path, state.st_size, state.st_mtime_ns) if S_ISREG(state.st_mode) else None


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
    """Create empty files of a free name, for the file and its fault's reason; return the name."""
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
    """Yield names for a file to move, with numbers before its name, cut so that a reason's name
    fits too."""
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


MOST_BYTES = 1 << 30  # of one file
MOST_ENTRIES = 100_000  # of all folders in which a pattern looks
_LONGEST_FETCH_S = 1800
_SECOND = 10**9  # ns
_LONGEST_LOCAL_NAME = 60  # characters


class SourceFiles(FolderDrop):
    """Port `FileDrop` for local folders, or for the server of a source, which is connected when its
    files are listed."""

    def __init__(self, resolve: Resolve, plant_zone: str | None = None) -> None:
        super().__init__(plant_zone)
        self._resolve = resolve
        self._remote: RemoteDrop | None = None

    def found(self, source: FilesSource) -> list[FoundFile]:
        """Return files that match, the oldest first. Raises UserError if they cannot be reached."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None
        if source.url is None:
            return super().found(source)
        self._remote = open_remote(source, self._resolve(source.url))
        return self._remote.found(source)

    def fetch(self, file: FoundFile) -> Path:
        return super().fetch(file) if self._remote is None else self._remote.fetch(file)

    def put_away(self, source: FilesSource, file: FoundFile, fault: str | None) -> None:
        put_away = super().put_away if self._remote is None else self._remote.put_away
        put_away(source, file, fault)


def open_remote(source: FilesSource, address: str) -> "RemoteDrop":
    """Connect the server of an address. Raises UserError, without the address, if it fails."""
    scheme = address.partition(":")[0]
    if scheme in ("sftp", "ssh"):
        try:
            from alerting.adapters.sources.sftp import FAULTS, open_sftp
        except ModuleNotFoundError as error:
            remedy = "pip install 'alerting[sftp]'"
            raise UserError(
                f"source {source.name}: the client of SFTP is not installed ({error.name!s}): "
                f"{remedy}"
            ) from error
        return RemoteDrop(source.name, open_sftp(source, address), "/", FAULTS)
    if scheme not in SCHEMES:
        raise UserError(
            f"source {source.name}: its url is no address of a server: write sftp://…, s3://…, "
            "gs://… or az://…"
        )
    try:
        system = ArrowFSWrapper(object_store(address), skip_instance_cache=True)
    except UserError as error:
        raise UserError(f"source {source.name}: {error.message}") from error
    return RemoteDrop(source.name, system, "", (OSError, pa.ArrowException))


class RemoteDrop:
    """Files at one server. `root`: where absolute paths begin. One local copy at a time."""

    def __init__(
        self,
        name: str,
        system: Any,
        root: str,
        faults: tuple[type[Exception], ...],
    ) -> None:
        self._name = name
        self._system = system
        self._root = root
        self._faults = faults
        self._copies = TemporaryDirectory(prefix="alerting-source-")
        self._copy: tuple[FoundFile, Path] | None = None
        self._entries = 0

    def close(self) -> None:
        """End the connection, and delete the local copy."""
        self._copies.cleanup()
        if hasattr(self._system, "close"):
            self._system.close()

    def found(self, source: FilesSource) -> list[FoundFile]:
        """Return files that match, the oldest first, without links and files that may still be
        written."""
        self._entries = 0
        latest = time.time_ns() - int(source.unchanged_for.total_seconds() * 1e9)
        with self._errors(source.pattern):
            files = [
                file
                for file in self._find_below("", source.pattern.strip("/").split("/"))
                if file.modified <= latest
            ]
        return sorted(files, key=lambda file: (file.modified, file.path))

    def _find_below(self, folder: str, levels: list[str]) -> Iterator[FoundFile]:
        """Yield files below a folder that match a pattern's levels; the last level is for files."""
        level = levels[0]
        deeper = levels[1:]
        if deeper and not re.search(r"[*?\[]", level):
            yield from self._find_below(f"{folder}/{level}", deeper)
            return
        for entry in self._list(folder):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            if name in ("", ".", "..") or not level_matches(name, level):
                continue
            if deeper and entry["type"] == "directory":
                yield from self._find_below(f"{folder}/{name}", deeper)
            elif not deeper and entry["type"] == "file":
                yield _make_found_file(f"{folder}/{name}", entry)

    def _list(self, folder: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._system.ls(self._there(folder), detail=True)
        self._entries += len(entries)
        if self._entries > MOST_ENTRIES:
            raise UserError(
                f"source {self._name}: more than {MOST_ENTRIES} files and folders where the "
                "pattern "
                f"looks, up to {folder}: move stored files away (done), or write a narrower pattern"
            )
        return entries

    def _there(self, path: str) -> str:
        return self._root + path.lstrip("/")

    def fetch(self, file: FoundFile) -> Path:
        """Return the local copy. Raises UserError if too large, too slow, or changed."""
        if self._copy is not None and self._copy[0] == file:
            return self._copy[1]
        if self._copy is not None:
            self._copy[1].unlink(missing_ok=True)
            self._copy = None
        if file.size > MOST_BYTES:
            raise FileRefused(
                f"source {self._name}: {file.name} has {file.size} bytes; at most {MOST_BYTES} of "
                "a "
                "file are read"
            )
        name = legible(storable(file.path.rpartition("/")[2]), _LONGEST_LOCAL_NAME)
        local = Path(self._copies.name) / name[:_LONGEST_LOCAL_NAME]
        try:
            self._fetch(file, local)
        except BaseException:
            local.unlink(missing_ok=True)
            raise
        self._copy = (file, local)
        return local

    def _fetch(self, file: FoundFile, local: Path) -> None:
        until = time.monotonic() + _LONGEST_FETCH_S
        size = 0
        with (
            self._errors(file.path),
            self._system.open(self._there(file.path), "rb") as remote,
            local.open("wb") as copy,
        ):
            while (piece := remote.read(1 << 20)) and size <= file.size:
                copy.write(piece)
                size += len(piece)
                if time.monotonic() > until:
                    raise UserError(
                        f"source {self._name}: {file.name} takes longer than "
                        f"{int(_LONGEST_FETCH_S // 60)} minutes "
                        "to read"
                    )
        if size != file.size or not self._is_unchanged(file):
            raise UserError(
                f"source {self._name}: {file.name} changed while it was read; it is read at the "
                "next poll"
            )

    def _is_unchanged(self, file: FoundFile) -> bool:
        """Return whether a file is as listed, to the second, because MinIO drops milliseconds."""
        with self._errors(file.path):
            now = _make_found_file(file.path, self._system.info(self._there(file.path)))
        return (now.size, now.modified // _SECOND) == (file.size, file.modified // _SECOND)

    def put_away(self, source: FilesSource, file: FoundFile, fault: str | None) -> None:
        """Move a file, under another name if its name is taken; write the reason beside a refused
        file.

        A file that was changed since it was found stays, and is read at the next poll. Raises
        UserError if it cannot be moved, or if the folder is a link.
        """
        folder = source.done if fault is None else source.bad
        if folder is None or not self._is_unchanged(file):
            return
        with self._errors(file.path):
            place = self._there(folder).rstrip("/")
            if self._root:  # object stores have no folders, and no links
                self._system.makedirs(place, exist_ok=True)
                if self._system.is_link(place):
                    raise UserError(
                        f"source {self._name}: {folder} is a link at the server: name the folder "
                        "itself"
                    )
            targets = (
                f"{place}/{free}" for free in free_names(file.path.rpartition("/")[2], fault)
            )
            target = next(
                path
                for path in targets
                if not self._system.exists(path)
                and not (fault and self._system.exists(f"{path}{REASON}"))
            )
            if fault is not None:
                with self._system.open(
                    f"{target}{REASON}", "wxb" if self._root else "wb"
                ) as reason:
                    reason.write(f"{storable(fault)}\n".encode())
            self._system.mv(self._there(file.path), target)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        shown = storable(path)
        try:
            yield
        except FileNotFoundError as error:
            raise UserError(
                f"source {self._name}: {shown}: there is no such file or folder at the server"
            ) from error
        except self._faults as error:
            raise UserError(
                f"source {self._name}: {shown}: the server refuses: {first_line(error)}"
            ) from error


def _make_found_file(path: str, entry: dict[str, Any]) -> FoundFile:
    modified = entry.get("mtime")
    return FoundFile(
        path,
        int(entry["size"] or 0),
        int(modified.timestamp() * _SECOND) if isinstance(modified, datetime) else 0,
    )


# aws and wasb: as Airflow writes its connections
SCHEMES = {
    "s3": "s3",
    "aws": "s3",
    "gs": "gs",
    "az": "az",
    "wasb": "az",
}
_REQUEST_S = 60
_ADDRESS_FIELDS = {"s3": {"endpoint_url", "region_name"}, "gs": set[str](), "az": set[str]()}


def object_store(address: str, environ: Mapping[str, str] = os.environ) -> Any:
    """Return the file system of an address such as
    `s3://KEY:SECRET@?endpoint_url=https://minio:9000`.

    Without a key, the credentials come from the environment (AWS_…, GOOGLE_APPLICATION_CREDENTIALS,
    AZURE_STORAGE_…), or from the machine. The connection is encrypted and the certificate checked,
    except where the endpoint is written with http://. Raises UserError, without any part of the
    address, if the address is not valid.
    """
    try:
        url = urlsplit(address)
        kind = SCHEMES[url.scheme]
        query = {
            name: values[-1]
            for name, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()
        }
        key = unquote(url.username) if url.username else None
        secret = unquote(url.password) if url.password else None
        unknown = query.keys() - _ADDRESS_FIELDS[kind]
        if unknown:
            raise UserError(
                f"the address of the object store has unknown fields: {', '.join(sorted(unknown))}"
            )
        if kind == "s3" and (key is None) != (secret is None):
            raise UserError(
                "the address of the object store has a key without its secret, or a secret without "
                "its key"
            )
    except (KeyError, ValueError):
        hint = (
            "write for example s3://KEY:SECRET@?endpoint_url=https://minio:9000, in a secret %2F "
            "for / and %2B for +"
        )
        raise UserError(f"this is not the address of an object store; {hint}") from None
    if kind == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_REQUEST_S))
    if kind == "az":
        account = key or environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        if not account:
            raise UserError(
                "the address of the object store names no account: az://ACCOUNT:KEY@, or "
                "AZURE_STORAGE_ACCOUNT_NAME"
            )
        return fs.AzureFileSystem(account, secret or environ.get("AZURE_STORAGE_ACCOUNT_KEY"))
    return _open_s3(key, secret, query, environ)


def _open_s3(
    key: str | None, secret: str | None, query: Mapping[str, str], environ: Mapping[str, str]
) -> Any:
    address = (
        query.get("endpoint_url")
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or ""
    )
    scheme, _, endpoint = address.rpartition("://")
    if scheme not in ("", "http", "https"):
        raise UserError(
            "the endpoint of the object store is no address: write for example "
            "https://minio.plant:9000"
        )
    region = (
        query.get("region_name") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    )
    return fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        region=region or ("us-east-1" if endpoint else None),
        scheme=scheme or "https",
        endpoint_override=endpoint.rstrip("/") or None,
        tls_ca_file_path=environ.get("AWS_CA_BUNDLE") or None,
        connect_timeout=10,
        request_timeout=_REQUEST_S,
    )
