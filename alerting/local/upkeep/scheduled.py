"""Backups without a person: to a folder or an object store, each with a proven restore, and no more
than a bounded number of them."""

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from alerting.adapters.archive.folder import ArchiveFolder
from alerting.adapters.mongo.documents import MongoDatabase
from alerting.adapters.mongo.mongo import open_database
from alerting.definitions.faults import UserError
from alerting.local.upkeep.files import MANIFEST, Manifest, disk_errors, read_manifest
from alerting.local.upkeep.restore import prove_backup
from alerting.local.upkeep.save import write_backup
from alerting.ports import Progress, silent
from alerting.settings.environment import Settings
from alerting.settings.home import FOLDER_MODE
from alerting.usecases.access.audit import BACKUP_FAILED, BACKUP_PROVEN
from alerting.wiring import open_stores

MONTHS = 12
_NAME = "%Y-%m-%dT%H-%M-%SZ"
_MADE_HERE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z")
_UNFINISHED_FOR = timedelta(days=2)  # after which a backup without a manifest is deleted
_PIECE = 1 << 20


def back_up(
    settings: Settings,
    now: datetime,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = silent,
    actor: str = "platform",
) -> tuple[str, Manifest]:
    """Make the backup that is due, prove its restore, delete surplus ones; return address and
    manifest.

    Secrets are in it only if they are encrypted. A failure is recorded in the audit. Raises
    UserError for settings that do not permit it, and if the restore is not proven.
    """
    if settings.backup is None:
        raise UserError("no place for backups is named: set ALERTING_BACKUP, or name a new folder")
    name = now.astimezone(UTC).strftime(_NAME)
    address = f"{settings.backup.rstrip('/')}/{name}"
    began = datetime.now(UTC)
    try:
        target = _target(settings.backup, settings.home)
        if name in target.folders():
            raise UserError(f"there is a backup of this second already, {address}")
        with (
            disk_errors(f"the backup to {address} is not complete", "look at ALERTING_BACKUP"),
            _saved(settings, target, name, environ, progress) as folder,
        ):
            with _proof_database(settings) as database:
                made = prove_backup(settings, database, folder, progress)
            ended = datetime.now(UTC)
            after = {
                "made_at": made.at,
                "documents": sum(made.database.values()),
                "files": len(made.files),
                "bytes": made.bytes,
                "seconds": round((ended - began).total_seconds()),
            }
            with open_stores(settings) as stores:
                stores.audit.add(actor, BACKUP_PROVEN, address, ended, after=after)
        delete_surplus(target, settings.backup_copies, now)
    except Exception as fault:
        with suppress(UserError), open_stores(settings) as stores:
            reason = str(fault) if isinstance(fault, UserError) else type(fault).__name__
            stores.audit.add(actor, BACKUP_FAILED, address, datetime.now(UTC), why=reason)
        raise
    return address, made


def _target(location: str, home: Path) -> ArchiveFolder:
    if "://" not in location:
        folder = Path(location).resolve()
        if not folder.is_dir():
            raise UserError(f"the folder {folder} does not exist: mount it, or make it")
        if folder.is_relative_to(home.resolve()):
            raise UserError(f"{folder} is in the home that it is to replace: name another place")
    return ArchiveFolder(location, "folder of backups", "ALERTING_BACKUP")


@contextmanager
def _proof_database(settings: Settings) -> Iterator[MongoDatabase]:
    """Yield the database beside which backups are restored on trial."""
    if settings.backup_proof_uri is not None:
        with open_database(settings.backup_proof_uri, settings.database) as database:
            yield database
    else:
        with open_stores(settings) as stores:
            yield stores.database


@contextmanager
def _saved(
    settings: Settings,
    target: ArchiveFolder,
    name: str,
    environ: Mapping[str, str],
    progress: Progress,
) -> Iterator[Path]:
    """Save a backup in the target, and yield a local folder with what was read back from there. A
    backup that could not be saved or proven is deleted."""
    try:
        if "://" not in target.address:
            folder = Path(target.address) / name
            write_backup(settings, folder, environ, progress, plain_secrets=False)
            yield folder
            return
        with TemporaryDirectory(dir=settings.home if settings.home.is_dir() else None) as scratch:
            folder = Path(scratch) / "backup"
            manifest = write_backup(settings, folder, environ, progress, plain_secrets=False)
            for path in (*manifest.files, MANIFEST):  # the manifest completes the backup
                progress(f"sending {path}", 0, None)
                with (folder / path).open("rb") as read, target.create(f"{name}/{path}") as written:
                    shutil.copyfileobj(read, written, _PIECE)
            shutil.rmtree(folder)
            fetch_backup(target, name, folder, progress)
            yield folder
    except BaseException:
        with suppress(UserError):
            target.delete_folder(name)
        raise


@contextmanager
def local_backup(backup: str, progress: Progress = silent) -> Iterator[Path]:
    """Yield the local folder of a backup; that of one in an object store is deleted afterwards."""
    if "://" not in backup:
        yield Path(backup)
        return
    address, _, name = backup.rstrip("/").rpartition("/")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "backup"
        target = ArchiveFolder(address, "folder of backups", "the address of the backup")
        fetch_backup(target, name, folder, progress)
        yield folder


def fetch_backup(
    target: ArchiveFolder, name: str, folder: Path, progress: Progress = silent
) -> None:
    """Copy a backup from a target into a new local folder. Raises UserError if it is incomplete."""
    folder.mkdir(mode=FOLDER_MODE)
    _fetch(target, f"{name}/{MANIFEST}", folder / MANIFEST)
    for path in read_manifest(folder).files:
        progress(f"fetching {path}", 0, None)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        _fetch(target, f"{name}/{path}", folder / path)


def _fetch(target: ArchiveFolder, path: str, file: Path) -> None:
    with target.open(path) as read, file.open("wb") as written, target.errors():
        shutil.copyfileobj(read, written, _PIECE)


def delete_surplus(target: ArchiveFolder, copies: int, now: datetime) -> list[str]:
    """Delete the backups beyond those that remain, and unfinished ones of days ago; return their
    names. Other folders stay."""
    names = [name for name in target.folders() if _MADE_HERE.fullmatch(name)]
    complete = {name for name in names if target.has(f"{name}/{MANIFEST}")}
    before = (now.astimezone(UTC) - _UNFINISHED_FOR).strftime(_NAME)
    unfinished = [name for name in names if name not in complete and name < before]
    deleted = [*surplus(complete, copies), *unfinished]
    for name in deleted:
        target.delete_folder(name)
    return deleted


def surplus(names: Collection[str], copies: int) -> list[str]:
    """Return the names of backups to delete, sorted. The newest ones remain, and the newest one of
    each of the last twelve months that have one."""
    newest_first = sorted(names, reverse=True)
    months = dict[str, str]()
    for name in newest_first:
        months.setdefault(name[: len("2026-01")], name)
    remaining = {*newest_first[:copies], *list(months.values())[:MONTHS]}
    return sorted(set(names) - remaining)
