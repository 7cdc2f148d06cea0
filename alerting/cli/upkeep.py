"""`alerting backup`, `alerting restore` and `alerting retain`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from alerting.cli.printing.output import show, show_result
from alerting.cli.support import DryRun, Json, command, platform, progress, writes


@command
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")], as_json: Json = False
) -> None:
    """Back up the platform, running or not: database, models, secrets.

    The database is read as of one instant while the platform goes on. The folder holds secrets; it is readable by its owner
    alone. Not included: Airflow's history, a registry of your own (ALERTING_MLFLOW_URI), and the settings in the environment.
    """
    from alerting.local.upkeep.files import disk_errors
    from alerting.local.upkeep.save import save_backup
    from alerting.settings.environment import read_settings

    unfinished = f"the backup in {folder} is not complete"
    with progress() as report_progress, disk_errors(unfinished, "delete it, and name a new folder with room that you may write"):
        settings = read_settings(os.environ)
        made = save_backup(settings, folder, progress=report_progress)
    documents = sum(made.database.values())
    registry = ["no models: the registry is a server of your own, back it up with its own tools"] if settings.mlflow_uri else []
    text = f"backup in {folder}: {documents} documents, {len(made.files)} files, {made.bytes / (1 << 20):.1f} MiB"
    result = {"folder": folder, "documents": documents, "files": len(made.files), "bytes": made.bytes, "models": not registry}
    show_result(result, as_json, text, *registry)


@command
def restore(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a backup.")], as_json: Json = False) -> None:
    """Restore a backup into an empty home (ALERTING_HOME, else .alerting here) and an empty database.

    Every hash is compared before anything is read. Then start the platform: evaluation goes on from its watermarks, and nothing
    that was sent is sent again.
    """
    from alerting.local.upkeep.files import disk_errors
    from alerting.local.upkeep.restore import restore_backup
    from alerting.settings.environment import read_settings

    settings = read_settings(os.environ, last=False)
    unfinished = f"{settings.location} is not restored"
    with progress() as report_progress, disk_errors(unfinished, "delete it, and restore into a home with room"):
        made = restore_backup(settings, folder, report_progress)
    missing = [name for name in made.variables if name not in os.environ]
    text = f"restored the backup of {made.at} to {settings.location}: {sum(made.database.values())} documents"
    notes = [f"set again what was set then: {', '.join(missing)}"] if missing else []
    show_result({"restored": settings.location, "made_at": made.at, "missing": missing}, as_json, text, *notes)


@writes
def retain(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Delete what is older than its retention and needed by nothing in use; Airflow does it every night.

    With --dry-run it says how much would go. How long what is stored: ALERTING_READINGS_LAST, _SCORES_LAST, _NOTIFICATIONS_LAST,
    _REPORTS_LAST, _AUDIT_LAST and _MODELS_LAST. Definitions, episodes, feedback and decisions stay for ever.
    """
    from alerting.usecases.operations.retention import retain as run

    with platform() as p:
        found = run(p, p.clock.now(), dry_run)
    done = "would be deleted" if dry_run else "deleted"
    rows = [{"what": s.what.replace("_", " "), done: s.documents, "MiB": _mebibytes(s.bytes)} for s in found]
    show(found if as_json else rows, ["what", done, "MiB"], as_json, "nothing is stored yet")


def _mebibytes(size: int | None) -> str:
    return "?" if size is None else f"{size / (1 << 20):.1f}"
