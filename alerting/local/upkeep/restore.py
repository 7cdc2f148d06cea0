"""Restore of a backup into an empty home and database, after comparing every hash."""

import gzip
import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.embedded.shared_mongod import data_folder, exclusive_mongod
from alerting.adapters.mlflow.store_copy import is_sound, move_artifacts
from alerting.adapters.mongo.documents import MongoDatabase
from alerting.adapters.mongo.dump import COLLECTIONS, is_empty, load_collection, try_restore
from alerting.adapters.mongo.episodes.operators import MongoAudit
from alerting.adapters.mongo.mongo import check_server, open_database
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.faults import UserError
from alerting.local.prepare import prepare_home
from alerting.local.upkeep.encrypted import decrypt_files, read_password
from alerting.local.upkeep.files import Manifest, check_files, path_inside, read_manifest
from alerting.local.upkeep.save import ARTIFACTS, DATABASE, ENCRYPTED, REGISTRY, SECRETS
from alerting.ports import Progress, silent
from alerting.settings.environment import Settings
from alerting.settings.home import (
    FILE_MODE,
    FOLDER_MODE,
    RESTORING,
    claim_folder,
    make_private_folder,
)
from alerting.settings.machine import free_port

_ENDING = ".bson.gz"
_OTHER = "use another backup"


def restore_backup(
    settings: Settings, folder: Path, progress: Progress = silent, actor: str = "platform"
) -> Manifest:
    """Restore a backup into the home and database of the settings, and return its manifest.

    Raises UserError if the backup is damaged, or if home or database is not empty; nothing is
    changed then. A restore that is interrupted leaves a home that no command accepts: it is deleted
    before the next try, as UserError says for documents that cannot be read or stored.
    """
    manifest = read_manifest(folder)
    _require_empty(settings)
    progress("comparing hashes", 0, None)
    check_files(folder, manifest)
    _require_registry(folder, manifest)
    for name in manifest.database:
        _require_known(name, manifest)
    _targets(settings, manifest)
    secrets = read_secrets(settings, folder, manifest)
    claim_folder(settings.home)
    (settings.home / RESTORING).touch()
    try:
        _fill(settings, folder, manifest, secrets, progress, actor)
    except UserError as fault:
        raise UserError(f"{fault}; before the next try delete {settings.home}") from fault
    (settings.home / RESTORING).unlink()
    prepare_home(settings)
    return manifest


def _fill(
    settings: Settings,
    folder: Path,
    manifest: Manifest,
    secrets: Mapping[str, bytes],
    progress: Progress,
    actor: str,
) -> None:
    with _database(settings, progress) as database:
        _load(database, folder, manifest, progress)
        _copy_files(settings, folder, manifest)
        for name, content in secrets.items():
            target = make_private_folder(settings.home / "secrets") / name
            target.touch(FILE_MODE)
            target.write_bytes(content)
        prepare_database(database)
        after = {"made_at": manifest.at, "documents": sum(manifest.database.values())}
        subject = str(folder.absolute())
        now = datetime.now(UTC)
        MongoAudit(database).add(actor, "backup restored", subject, now, after=after)


def read_secrets(settings: Settings, folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the encrypted secrets of a backup; none if it has none, or no password is set."""
    if ENCRYPTED not in manifest.files or settings.backup_key_file is None:
        return {}
    return decrypt_files((folder / ENCRYPTED).read_bytes(), read_password(settings.backup_key_file))


def _require_empty(settings: Settings) -> None:
    """Raise UserError unless home and database are empty: the embedded is in the home."""
    if settings.home.exists() and any(settings.home.iterdir()):
        raise UserError(
            f"{settings.home} is not empty: restore into a new home, named by ALERTING_HOME"
        )
    if settings.mongodb_uri is not None:
        with open_database(settings.mongodb_uri, settings.database) as database:
            check_server(database)
            if not is_empty(database):
                raise UserError(
                    f"the database {database.name!r} is not empty: restore into an empty one"
                )


@contextmanager
def _database(settings: Settings, progress: Progress) -> Iterator[MongoDatabase]:
    if settings.mongodb_uri is not None:
        with open_database(settings.mongodb_uri, settings.database) as database:
            check_server(database)
            yield database
    else:
        with (  # the server has ended when the restore has, so that its folder can be moved away
            exclusive_mongod(
                settings.home, lambda: progress("waiting for other commands", 0, None)
            ),
            EmbeddedMongod(data_folder(settings.home), free_port()) as server,
            open_database(server.uri, settings.database) as database,
        ):
            yield database


def _load(database: MongoDatabase, folder: Path, manifest: Manifest, progress: Progress) -> None:
    for name, count in manifest.database.items():
        path = f"{DATABASE}/{name}{_ENDING}"
        with _blamed(path), gzip.open(folder / path) as file:
            found = load_collection(
                database, name, file, lambda n, done: progress(f"restoring {n}", done, None)
            )
        _compare_count(name, found, count)


@contextmanager
def _blamed(path: str) -> Iterator[None]:
    """Raise UserError with the file and the fault for an error of a block that reads documents."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise UserError(f"{path} cannot be unpacked ({fault}): use another backup") from fault
    except UserError as fault:
        raise UserError(f"{path}: {fault}") from fault


def _require_known(name: str, manifest: Manifest) -> None:
    if name not in COLLECTIONS or f"{DATABASE}/{name}{_ENDING}" not in manifest.files:
        raise UserError(
            f"the backup has no known documents of {name!r}: restore it with alerting "
            f"{manifest.version}"
        )


def _compare_count(name: str, found: int, count: int) -> None:
    if found != count:
        raise UserError(
            f"the backup has {found} documents of {name} instead of {count}: use another backup"
        )


def prove_backup(
    settings: Settings, database: MongoDatabase, folder: Path, progress: Progress = silent
) -> Manifest:
    """Restore a backup on trial, beside the database in use, and return its manifest.

    Raises UserError if a hash, a number or the hash of documents differs, MLflow's database cannot
    be read, or the secrets cannot be decrypted.
    """
    manifest = read_manifest(folder)
    progress("comparing hashes", 0, None)
    check_files(folder, manifest)
    read_secrets(settings, folder, manifest)
    _require_registry(folder, manifest)
    for name, count in manifest.database.items():
        _require_known(name, manifest)
        path = f"{DATABASE}/{name}{_ENDING}"
        with _blamed(path):
            found = try_restore(
                database,
                name,
                partial(gzip.open, folder / path),
                lambda n, done: progress(f"restoring {n} on trial", done, None),
            )
        _compare_count(name, found, count)
    return manifest


def _require_registry(folder: Path, manifest: Manifest) -> None:
    has_registry = REGISTRY in manifest.files
    if has_registry and not is_sound(folder.absolute() / REGISTRY):
        raise UserError(f"MLflow's database in the backup, {REGISTRY}, cannot be read: {_OTHER}")
    if manifest.artifacts is not None and not has_registry:
        raise UserError(f"the backup has models but not MLflow's database, {REGISTRY}: {_OTHER}")


def _copy_files(settings: Settings, folder: Path, manifest: Manifest) -> None:
    """Copy secrets, MLflow's database and artifacts, and name their new place in it."""
    for name, target in _targets(settings, manifest).items():
        target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        shutil.copyfile(folder / name, target)
        target.chmod(FILE_MODE)
    if manifest.artifacts is not None:
        try:
            move_artifacts(
                _registry(settings), manifest.artifacts, settings.mlflow_artifacts.as_uri()
            )
        except sqlite3.Error as fault:
            raise UserError(f"{REGISTRY} is no database of MLflow ({fault}): {_OTHER}") from fault


def _targets(settings: Settings, manifest: Manifest) -> dict[str, Path]:
    """Return the path of each file that is copied, by its name. Raises UserError for one that does
    not lie in its place."""
    places = {ARTIFACTS: settings.mlflow_artifacts, SECRETS: settings.home / "secrets"}
    found = {REGISTRY: _registry(settings)} if REGISTRY in manifest.files else {}
    for name in manifest.files:
        top, _, rest = name.partition("/")
        if top in places:
            found[name] = path_inside(places[top], rest)
    return found


def _registry(settings: Settings) -> Path:
    return settings.home / "mlflow" / "mlflow.db"
