"""Files of a backup: written with their hashes, and checked against them before anything reads
them.

The manifest is written last, so that a folder without one is no backup.
"""

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, cast

from alerting.definitions.faults import UserError
from alerting.settings.home import FILE_MODE, FOLDER_MODE

MANIFEST = "manifest.json"
FORMAT = 1
_MOST_MANIFEST_BYTES = 256 << 20


@dataclass(frozen=True)
class StoredFile:
    """Size and SHA-256 of a file of a backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Description of a backup.

    `version`: of the program that made it; `at`: when, ISO 8601. `database`: number of documents by
    collection. `artifacts`: the address of MLflow's artifacts at that time; None without a registry
    of the platform's own. `variables`: names of the settings in the environment. `files`: by path
    in the backup.
    """

    version: str
    at: str
    database: Mapping[str, int]
    artifacts: str | None
    variables: tuple[str, ...]
    files: Mapping[str, StoredFile] = field(repr=False)
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.bytes for file in self.files.values())


@contextmanager
def disk_errors(action: str, remedy: str) -> Iterator[None]:
    """Raise UserError for an error of a block from a disk: full, read-only, forbidden."""
    try:
        yield
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        raise UserError(f"{action}: {where}{fault.strerror or fault}; {remedy}") from fault


class BackupWriter:
    """Writer of a backup's files into a new or empty folder. Raises UserError for others."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is not empty: name a new folder for the backup")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(FOLDER_MODE)  # it holds secrets
        self.folder = folder
        self.files: dict[str, StoredFile] = {}

    @contextmanager
    def open(self, path: str, *, zipped: bool = False) -> Iterator[IO[bytes]]:
        """Yield a new file for a block, and record its size and hash after it."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        with os.fdopen(
            os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb"
        ) as plain:
            hashed = _HashedFile(plain)
            if zipped:
                with gzip.GzipFile(
                    fileobj=cast("IO[bytes]", hashed),
                    mode="wb",
                    compresslevel=1,
                    mtime=0,
                    filename="",
                ) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield cast("IO[bytes]", hashed)
        self.files[path] = StoredFile(hashed.size, hashed.digest.hexdigest())

    def copy(self, source: Path, path: str) -> None:
        """Copy a file."""
        with source.open("rb") as read, self.open(path) as written:
            shutil.copyfileobj(read, written, 1 << 20)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, which completes the backup."""
        draft = self.folder / f"{MANIFEST}.new"
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w"
        ) as file:
            json.dump(asdict(manifest), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / MANIFEST)


class _HashedFile:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def read_manifest(folder: Path) -> Manifest:
    """Return a backup's manifest. Raises UserError if there is none of this program."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MOST_MANIFEST_BYTES:
            raise ValueError("too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UserError(
                f"{folder} has another format: restore it with the version that made it, "
                f"{document['version']}"
            )
        files = {
            str(name): StoredFile(int(file["bytes"]), str(file["sha256"]))
            for name, file in document["files"].items()
        }
        counts = {str(name): int(count) for name, count in document["database"].items()}
        artifacts = document["artifacts"] and str(document["artifacts"])
        manifest = Manifest(
            version=str(document["version"]),
            at=str(document["at"]),
            database=counts,
            files=files,
            variables=tuple(map(str, document["variables"])),
            artifacts=artifacts,
        )
    except (FileNotFoundError, NotADirectoryError) as missing:
        why = (
            f"it has no {MANIFEST}"
            if folder.is_dir()
            else "name the folder that `alerting backup` has written"
        )
        raise UserError(f"{folder} is not a complete backup: {why}") from missing
    except (
        *(OSError, ValueError, OverflowError, RecursionError),
        *(KeyError, TypeError, AttributeError),
    ) as fault:
        raise UserError(
            f"{path} cannot be read ({type(fault).__name__}): use another backup"
        ) from fault
    for name in files:
        path_inside(folder, name)
    return manifest


def path_inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder. Raises UserError for a name that is not in its normal
    form, and for a path that leads out of the folder, also over links."""
    path = folder / name
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except ValueError:  # a null character, or one that no name has
        is_inside = False
    if not is_inside or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise UserError(f"the backup names a file outside of {folder}, {name!r}: use another one")
    return path


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare each file of a backup with size and hash. Raises UserError with damaged ones."""
    damaged = [
        name for name, stored in manifest.files.items() if not _is_intact(folder / name, stored)
    ]
    if damaged:
        more = f" and {len(damaged) - 3} others" if len(damaged) > 3 else ""
        raise UserError(
            f"the backup in {folder} is damaged, nothing was restored: "
            f"{', '.join(damaged[:3])}{more} lost or changed since "
            "it was made; use another backup"
        )


def _is_intact(path: Path, stored: StoredFile) -> bool:
    try:
        if path.is_symlink() or path.stat().st_size != stored.bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == stored.sha256
    except OSError:
        return False
