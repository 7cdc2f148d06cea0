"""Backup of a platform that may be running, and its restore into an empty home and database.

The database is read in one snapshot, then MLflow's database is copied, then the artifacts: a
decision in the database never names a model that the copy lacks. The manifest is written last, so
that a folder without one is no backup; every hash is compared before anything is read.

All documents are stored as they are: a file holds the documents of one collection, one BSON
document after the other, as `mongodump` writes them.
"""

import gzip
import hashlib
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Protocol, cast

from bson.codec_options import CodecOptions
from bson.errors import BSONError, InvalidBSON
from bson.raw_bson import RawBSONDocument
from pydantic import TypeAdapter, ValidationError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting import wiring
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import check_server, open_database
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.mongo.shared_mongod import data_folder, exclusive_mongod
from alerting.definitions.faults import UserError, first_line, legible
from alerting.local.prepare import prepare_home
from alerting.ports import Progress, silent
from alerting.settings.environment import PREFIX, Settings
from alerting.settings.home_folder import FILE_MODE, FOLDER_MODE, RESTORING, claim_folder
from alerting.settings.machine import free_port
from alerting.stores.database.documents import EVALUATION_PLANS, SCHEMA, Document, MongoDatabase
from alerting.stores.database.indexes import INDEXES
from alerting.stores.operators import MongoAudit
from alerting.usecases.access.accounts import BACKUP_MADE

MANIFEST = "manifest.json"
FORMAT = 1
SECRETS = "secrets"
_DATABASE = "mongodb"
_REGISTRY = "mlflow.db"
_ARTIFACTS = "artifacts"
_OTHER = "use another backup"


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


_MANIFEST = TypeAdapter(Manifest)


@contextmanager
def disk_errors(action: str, remedy: str) -> Iterator[None]:
    """Raise UserError for an error of a block from a disk: full, read-only, forbidden."""
    try:
        yield
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        raise UserError(f"{action}: {where}{fault.strerror or fault}; {remedy}") from fault


def save_backup(
    settings: Settings,
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = silent,
    actor: str = "platform",
) -> Manifest:
    """Write a backup into a new folder, record it in the audit, and return its manifest. Raises
    UserError if the folder is not empty.

    A registry of the user's own (`ALERTING_MLFLOW_URI`) is not part of it, and needs a backup of
    its own.
    """
    folder = folder.absolute()
    registry = _registry(settings)
    has_registry = settings.mlflow_uri is None and registry.exists()
    with wiring.open_stores(settings) as stores:  # a command without a home ends here
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is not empty: name a new folder for the backup")
        (folder / _DATABASE).mkdir(parents=True)
        folder.chmod(FOLDER_MODE)  # it holds secrets
        counts = dump_database(
            stores.database,
            lambda name: cast("IO[bytes]", gzip.open(_documents_file(folder, name), "wb", 1)),  # noqa: SIM115 - the callee closes it
            lambda name, done: progress(f"saving {name}", done, None),
        )
        if has_registry:
            copy_store(registry, folder / _REGISTRY)
            _copy_tree(settings.mlflow_artifacts, folder / _ARTIFACTS, progress)
        _copy_tree(settings.home / "secrets", folder / SECRETS, progress)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in paths:
            path.chmod(FILE_MODE)
        manifest = Manifest(
            version=version("alerting"),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            database=counts,
            artifacts=settings.mlflow_artifacts.as_uri() if has_registry else None,
            variables=tuple(sorted(name for name in environ if name.startswith(PREFIX))),
            files={path.relative_to(folder).as_posix(): _describe(path) for path in paths},
        )
        draft = folder / f"{MANIFEST}.new"
        draft.write_bytes(_MANIFEST.dump_json(manifest, indent=1))
        draft.chmod(FILE_MODE)
        os.sync()
        draft.replace(folder / MANIFEST)
        after = {"documents": sum(counts.values()), "files": len(paths)}
        stores.audit.add(actor, BACKUP_MADE, str(folder), datetime.now(UTC), after=after)
    return manifest


def _documents_file(folder: Path, name: str) -> Path:
    return folder / _DATABASE / f"{name}.bson.gz"


def _copy_tree(source: Path, target: Path, progress: Progress) -> None:
    """Copy the files of a folder. A file that is deleted meanwhile was not needed."""
    for done, path in enumerate(sorted(source.rglob("*"))):
        progress(f"saving {target.name}", done, None)
        copy = target / path.relative_to(source)
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def _describe(path: Path) -> StoredFile:
    with path.open("rb") as file:
        return StoredFile(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def restore_backup(
    settings: Settings, folder: Path, progress: Progress = silent, actor: str = "platform"
) -> Manifest:
    """Restore a backup into the home and database of the settings, and return its manifest.

    Raises UserError if the backup is damaged, or if home or database is not empty; nothing is
    changed then. A restore that is interrupted leaves a home that no command accepts: it is deleted
    before the next try, as UserError says for documents that cannot be read or stored.
    """
    manifest = _read_manifest(folder)
    if settings.home.exists() and any(settings.home.iterdir()):
        raise UserError(
            f"{settings.home} is not empty: restore into a new home, named by ALERTING_HOME"
        )
    if settings.mongodb_uri is not None:
        with _database(settings, progress) as database:
            if not is_empty(database):
                raise UserError(
                    f"the database {database.name!r} is not empty: restore into an empty one"
                )
    progress("comparing hashes", 0, None)
    targets = _check(settings, folder, manifest)
    claim_folder(settings.home)
    (settings.home / RESTORING).touch()
    try:
        with _database(settings, progress) as database:
            _load(database, folder, manifest, progress)
            _copy_files(settings, folder, manifest, targets)
            prepare_database(database, settings.timezone)
            after = {"made_at": manifest.at, "documents": sum(manifest.database.values())}
            subject = str(folder.absolute())
            now = datetime.now(UTC)
            MongoAudit(database).add(actor, "backup restored", subject, now, after=after)
    except UserError as fault:
        raise UserError(f"{fault}; before the next try delete {settings.home}") from fault
    (settings.home / RESTORING).unlink()
    prepare_home(settings)
    return manifest


def _read_manifest(folder: Path) -> Manifest:
    """Return a backup's manifest. Raises UserError if there is none of this program."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > (256 << 20):
            raise UserError(f"{path} cannot be read: it is too large: {_OTHER}")
        manifest = _MANIFEST.validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as missing:
        written = "name the folder that `alerting backup` has written"
        why = f"it has no {MANIFEST}" if folder.is_dir() else written
        raise UserError(f"{folder} is not a complete backup: {why}") from missing
    except (OSError, ValidationError) as fault:
        raise UserError(f"{path} cannot be read ({type(fault).__name__}): {_OTHER}") from fault
    if manifest.format != FORMAT:
        raise UserError(
            f"{folder} has another format: restore it with the version that made it, "
            f"{manifest.version}"
        )
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


def _check(settings: Settings, folder: Path, manifest: Manifest) -> dict[str, Path]:
    """Compare each file of a backup with size and hash, and return, by its name, the path to which
    each is copied. Raises UserError for files that are damaged, unknown or not in their place."""
    damaged = []
    for name, stored in manifest.files.items():
        path = path_inside(folder, name)
        if path.is_symlink() or not path.is_file() or _describe(path) != stored:
            damaged.append(name)
    if damaged:
        raise UserError(
            f"the backup in {folder} is damaged, nothing was restored: {', '.join(damaged[:3])} of "
            f"{len(damaged)} files were lost or changed since it was made; {_OTHER}"
        )
    has_registry = _REGISTRY in manifest.files
    if has_registry and not is_sound(folder.absolute() / _REGISTRY):
        raise UserError(f"MLflow's database in the backup, {_REGISTRY}, cannot be read: {_OTHER}")
    if manifest.artifacts is not None and not has_registry:
        raise UserError(f"the backup has models but not MLflow's database, {_REGISTRY}: {_OTHER}")
    for name in manifest.database:
        if name not in COLLECTIONS or f"{_DATABASE}/{name}.bson.gz" not in manifest.files:
            raise UserError(
                f"the backup has no known documents of {name!r}: restore it with alerting "
                f"{manifest.version}"
            )
    places = {_ARTIFACTS: settings.mlflow_artifacts, SECRETS: settings.home / "secrets"}
    files = {_REGISTRY: _registry(settings)} if has_registry else {}
    for name in manifest.files:
        top, _, below = name.partition("/")
        if top in places:
            files[name] = path_inside(places[top], below)
    return files


@contextmanager
def _database(settings: Settings, progress: Progress) -> Iterator[MongoDatabase]:
    with ExitStack() as stack:
        uri = settings.mongodb_uri
        if uri is None:  # the server has ended when the restore has: its folder can be moved
            waiting = lambda: progress("waiting for other commands", 0, None)  # noqa: E731
            stack.enter_context(exclusive_mongod(settings.home, waiting))
            uri = stack.enter_context(EmbeddedMongod(data_folder(settings.home), free_port())).uri
        database = stack.enter_context(open_database(uri, settings.database))
        check_server(database)
        yield database


def _load(database: MongoDatabase, folder: Path, manifest: Manifest, progress: Progress) -> None:
    for name, count in manifest.database.items():
        path = _documents_file(folder, name)
        try:
            with gzip.open(path) as file:
                loaded = load_collection(
                    database, name, file, lambda n, done: progress(f"restoring {n}", done, None)
                )
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise UserError(f"{path} cannot be unpacked ({fault}): {_OTHER}") from fault
        except UserError as fault:
            raise UserError(f"{path}: {fault}") from fault
        if loaded != count:
            raise UserError(
                f"the backup has {loaded} documents of {name} instead of {count}: {_OTHER}"
            )


def _copy_files(
    settings: Settings, folder: Path, manifest: Manifest, targets: Mapping[str, Path]
) -> None:
    """Copy secrets, MLflow's database and artifacts, and write their new place into MLflow's
    database."""
    for name, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        target.touch(FILE_MODE)
        shutil.copyfile(folder / name, target)
    if manifest.artifacts is not None:
        try:
            move_artifacts(
                _registry(settings), manifest.artifacts, settings.mlflow_artifacts.as_uri()
            )
        except sqlite3.Error as fault:
            raise UserError(f"{_REGISTRY} is no database of MLflow ({fault}): {_OTHER}") from fault


def _registry(settings: Settings) -> Path:
    return settings.home / "mlflow" / _REGISTRY


_RAW_DOCUMENTS: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
COLLECTIONS = frozenset(INDEXES)
_DOCUMENTS_AT_ONCE = 1_000
_LENGTH_BYTES = 4
_LARGEST_DOCUMENT_BYTES = 17 << 20


class BinaryStream(Protocol):
    """A stream of bytes to read, such as an unpacked file."""

    def read(self, size: int, /) -> bytes: ...


Report = Callable[[str, int], None]
"""Report of the number of documents so far of a collection."""


def dump_database(
    database: MongoDatabase,
    open_file: Callable[[str], AbstractContextManager[IO[bytes]]],
    report: Report,
) -> dict[str, int]:
    """Write the documents of every collection, all as of one instant, while others write. Return
    their number by collection.

    Left out: the plan of evaluation, which is a cache, and the version of the schema. Raises
    UserError if the server drops the history of the snapshot before the end.
    """
    counts = {}
    try:
        with (
            _long_snapshots(database.client),
            database.client.start_session(snapshot=True) as session,
        ):
            present = COLLECTIONS.intersection(database.list_collection_names())
            for name in sorted(present - {EVALUATION_PLANS, SCHEMA}):
                counts[name] = 0
                with open_file(name) as file:
                    documents: Any = database.get_collection(name, codec_options=_RAW_DOCUMENTS)
                    for document in documents.find(session=session):
                        file.write(document.raw)
                        counts[name] += 1
                        if counts[name] % _DOCUMENTS_AT_ONCE == 0:
                            report(name, counts[name])
    except OperationFailure as failure:
        if failure.code not in (239, 246):  # SnapshotTooOld, SnapshotUnavailable
            raise
        raise UserError(
            "the server dropped the snapshot before all documents were read: set its parameter "
            "minSnapshotHistoryWindowInSeconds to more than the backup takes, or use mongodump "
            "--oplog"
        ) from failure
    return counts


@contextmanager
def _long_snapshots(client: MongoClient[Document]) -> Iterator[None]:
    """Let the server keep a snapshot for a day during a block, where its user may set that."""
    name = "minSnapshotHistoryWindowInSeconds"
    try:
        before = client.admin.command({"getParameter": 1, name: 1})[name]
        client.admin.command({"setParameter": 1, name: max(int(before), 24 * 3600)})
    except OperationFailure:
        yield
        return
    try:
        yield
    finally:
        client.admin.command({"setParameter": 1, name: before})


def is_empty(database: MongoDatabase) -> bool:
    """Return whether a database has no document."""
    return all(
        database[name].find_one({}, {"_id": True}) is None
        for name in database.list_collection_names()
    )


def load_collection(database: MongoDatabase, name: str, file: BinaryStream, report: Report) -> int:
    """Insert the documents of a file unchanged, also those that a validator would refuse. Return
    how many.

    Raises UserError if the file does not hold documents.
    """
    target = database.get_collection(name, codec_options=_RAW_DOCUMENTS)
    count = 0
    batch = list[RawBSONDocument]()
    size = 0
    for document in _read_documents(name, file):
        batch.append(document)
        size += len(document.raw)
        if len(batch) == _DOCUMENTS_AT_ONCE or size >= (8 << 20):
            count += _insert_documents(name, target, batch)
            batch = []
            size = 0
            report(name, count)
    return count + (_insert_documents(name, target, batch) if batch else 0)


def _insert_documents(name: str, target: Any, batch: list[RawBSONDocument]) -> int:
    try:
        target.insert_many(batch, ordered=False, bypass_document_validation=True)
    except (OperationFailure, BSONError) as refused:
        details = getattr(refused, "details", None) or {}
        why = next(
            (error["errmsg"] for error in details.get("writeErrors", ())), first_line(refused)
        )
        raise UserError(
            f"documents of {name} in the backup cannot be stored: {legible(why, 300)}"
        ) from refused
    return len(batch)


def _read_documents(name: str, file: BinaryStream) -> Iterator[RawBSONDocument]:
    while head := file.read(_LENGTH_BYTES):
        length = int.from_bytes(head, "little")
        try:
            if len(head) < _LENGTH_BYTES or not _LENGTH_BYTES < length <= _LARGEST_DOCUMENT_BYTES:
                raise InvalidBSON("wrong length")
            yield RawBSONDocument(head + file.read(length - _LENGTH_BYTES))
        except InvalidBSON as fault:
            raise UserError(
                f"the documents of {name} in the backup cannot be read ({fault}): use another "
                "backup"
            ) from fault


_ARTIFACT_ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Columns with the address of artifacts, by table."""


def copy_store(database: Path, target: Path) -> None:
    """Copy a database consistently while MLflow writes to it."""
    with closing(_open_store(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def move_artifacts(database: Path, before: str, after: str) -> None:
    """Replace the beginning `before` of every address of artifacts by `after`."""
    with closing(_open_store(database)) as store, store:
        for table, columns in _ARTIFACT_ADDRESSES.items():
            for column in columns:
                moved = (
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE "  # noqa: S608
                    f"substr({column}, 1, ?) = ?"
                )
                store.execute(moved, (after, len(before) + 1, len(before), before))


def is_sound(database: Path) -> bool:
    """Return whether a copy that nothing writes to can be read whole."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as store:
            return bool(store.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _open_store(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=60.0)
