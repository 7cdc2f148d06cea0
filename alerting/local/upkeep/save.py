"""Backup of a platform that may be running: database, registry of models, secrets.

The database is read in one snapshot. MLflow's database is copied after it, and the artifacts after
that: a decision or a hash in the database never names a model that the copy lacks, because models
are registered before decisions on them are stored.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from alerting.adapters.mlflow.store_copy import copy_store
from alerting.adapters.mongo.dump import dump_database
from alerting.local.upkeep.encrypted import encrypt_files, read_password
from alerting.local.upkeep.files import BackupWriter, Manifest
from alerting.ports import Progress, silent
from alerting.settings.environment import PREFIX, Settings
from alerting.usecases.access.audit import BACKUP_MADE
from alerting.wiring import open_stores

DATABASE = "mongodb"
REGISTRY = "mlflow.db"
ARTIFACTS = "artifacts"
SECRETS = "secrets"
ENCRYPTED = "secrets.encrypted"


def save_backup(
    settings: Settings,
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = silent,
    actor: str = "platform",
) -> Manifest:
    """Write a backup into a new folder, record it in the audit, and return its manifest. Raises
    UserError if the folder is not empty."""
    manifest = write_backup(settings, folder, environ, progress)
    after = {"documents": sum(manifest.database.values()), "files": len(manifest.files)}
    with open_stores(settings) as stores:
        now = datetime.now(UTC)
        stores.audit.add(actor, BACKUP_MADE, str(folder.absolute()), now, after=after)
    return manifest


def write_backup(
    settings: Settings,
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    progress: Progress = silent,
    *,
    plain_secrets: bool = True,
) -> Manifest:
    """Write a backup into a new folder, and return its manifest. Raises UserError if the folder is
    not empty.

    Secrets are encrypted with the password in `backup_key_file`. Without one they are as they are,
    and without `plain_secrets` left out. A registry of the user's own (`ALERTING_MLFLOW_URI`) is
    not part of it, and needs a backup of its own.
    """
    password = settings.backup_key_file and read_password(settings.backup_key_file)
    with open_stores(settings) as stores:  # a command without a home ends here
        writer = BackupWriter(folder.absolute())
        counts = dump_database(
            stores.database,
            lambda name: writer.open(f"{DATABASE}/{name}.bson.gz", zipped=True),
            lambda name, done: progress(f"saving {name}", done, None),
        )
    registry = settings.home / "mlflow" / "mlflow.db"
    has_registry = settings.mlflow_uri is None and registry.exists()
    if has_registry:
        with TemporaryDirectory(dir=writer.folder) as scratch:
            copy = Path(scratch) / REGISTRY
            copy_store(registry, copy)
            writer.copy(copy, REGISTRY)
        _copy_tree(writer, settings.mlflow_artifacts, ARTIFACTS, progress)
    secrets = settings.home / "secrets"
    if password:
        files = {p.name: p.read_bytes() for p in secrets.glob("*") if p.is_file()}
        with writer.open(ENCRYPTED) as file:
            file.write(encrypt_files(files, password))
    elif plain_secrets:
        _copy_tree(writer, secrets, SECRETS, progress)
    manifest = Manifest(
        version=version("alerting"),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        database=counts,
        artifacts=settings.mlflow_artifacts.as_uri() if has_registry else None,
        variables=tuple(sorted(name for name in environ if name.startswith(PREFIX))),
        files=writer.files,
    )
    writer.finish(manifest)
    return manifest


def _copy_tree(writer: BackupWriter, source: Path, name: str, progress: Progress) -> None:
    """Copy the files of a folder; one that is deleted meanwhile was needed by nothing."""
    found = sorted(Path(folder, one) for folder, _, files in os.walk(source) for one in files)
    for done, file in enumerate(path for path in found if path.is_file() and not path.is_symlink()):
        progress(f"saving {name}", done, None)
        try:
            writer.copy(file, f"{name}/{file.relative_to(source).as_posix()}")
        except FileNotFoundError:
            continue


def has_secrets(manifest: Manifest, settings: Settings) -> bool:
    """Return whether a backup has secrets that these settings permit to restore."""
    return any(
        name.startswith(f"{SECRETS}/") or (name == ENCRYPTED and settings.backup_key_file)
        for name in manifest.files
    )
