"""`alerting backup`, `alerting restore`, `alerting retain` and `alerting archive …`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console, print_json, show, show_result
from alerting.cli.support import (
    DryRun,
    Json,
    command,
    command_group,
    platform,
    progress,
    user,
    writes,
)

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform

archive_group = command_group(
    "Archive: old readings as Parquet files, read as if they were in the database."
)


@command
def backup(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="New folder for the backup; left out: where ALERTING_BACKUP names."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Back up the platform, running or not: database, models, secrets.

    The database is read as of one instant while the platform goes on. The folder holds secrets; it
    is readable by its owner alone. Not included: archived readings (ALERTING_ARCHIVE), Airflow's
    history, a registry of your own (ALERTING_MLFLOW_URI), and the settings in the environment.

    Without DIR it does at once what Airflow does by schedule: a backup without secrets, or with
    secrets encrypted (ALERTING_BACKUP_KEY_FILE), is restored on trial and compared, and surplus
    ones are deleted.
    """
    from alerting.local.upkeep.files import disk_errors
    from alerting.local.upkeep.save import save_backup
    from alerting.local.upkeep.scheduled import back_up
    from alerting.settings.environment import read_settings

    place: Path | str | None = folder
    unfinished = f"the backup in {folder} is not complete"
    with (
        progress() as report_progress,
        disk_errors(unfinished, "delete it, and name a new folder with room that you may write"),
    ):
        settings = read_settings(os.environ)
        if folder is None:
            now = datetime.now(UTC)
            place, made = back_up(settings, now, progress=report_progress, actor=user())
        else:
            made = save_backup(settings, folder, progress=report_progress, actor=user())
    documents = sum(made.database.values())
    archived = made.database.get("archived_files", 0)
    archive = (
        [f"no archived readings: copy {settings.archive_address}, with {archived} files, too"]
        if archived
        else []
    )
    registry = (
        ["no models: the registry is a server of your own, back it up with its own tools"]
        if settings.mlflow_uri
        else []
    )
    text = (
        f"backup in {place}: {documents} documents, {len(made.files)} files, "
        f"{made.bytes / (1 << 20):.1f} MiB{', restored on trial' if folder is None else ''}"
    )
    result = {
        "folder": place,
        "documents": documents,
        "files": len(made.files),
        "bytes": made.bytes,
        "models": not registry,
        "proven": folder is None,
    }
    show_result(result, as_json, text, *registry, *archive)


@command
def restore(
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="Folder of a backup, or s3://… with its name."),
    ],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty home (ALERTING_HOME, else .alerting here) and an empty
    database.

    Every hash is compared before anything is read. Then start the platform: evaluation goes on from
    its watermarks, and nothing that was sent is sent again. Encrypted secrets need
    ALERTING_BACKUP_KEY_FILE; without it the backup is restored without secrets.
    """
    from alerting.local.upkeep.files import disk_errors
    from alerting.local.upkeep.restore import restore_backup
    from alerting.local.upkeep.save import has_secrets
    from alerting.local.upkeep.scheduled import local_backup
    from alerting.settings.environment import read_settings

    settings = read_settings(os.environ, last=False)
    unfinished = f"{settings.location} is not restored"
    with (
        progress() as report_progress,
        disk_errors(unfinished, "delete it, and restore into a home with room"),
        local_backup(folder, report_progress) as found,
    ):
        made = restore_backup(settings, found, report_progress, user())
    missing = [name for name in made.variables if name not in os.environ]
    text = (
        f"restored the backup of {made.at} to {settings.location}: {sum(made.database.values())} "
        "documents"
    )
    notes = [f"set again what was set then: {', '.join(missing)}"] if missing else []
    if not has_secrets(made, settings):
        notes.append(
            "no secrets were restored: copy those that you saved into secrets/ of the home before "
            "the start, or new ones are made"
        )
    show_result(
        {"restored": settings.location, "made_at": made.at, "missing": missing},
        as_json,
        text,
        *notes,
    )


@writes
def retain(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Delete what is older than its retention and needed by nothing in use; Airflow does it every
    night.

    With --dry-run it says how much would go. How long what is stored: ALERTING_READINGS_LAST,
    _SCORES_LAST, _NOTIFICATIONS_LAST, _REPORTS_LAST, _AUDIT_LAST and _MODELS_LAST. Definitions,
    episodes, feedback and decisions stay for ever.
    """
    from alerting.usecases.upkeep.retention import retain as run

    with platform() as p:
        found = run(p, p.clock.now(), dry_run, user())
    done = "would be deleted" if dry_run else "deleted"
    rows = [
        {"what": s.what.replace("_", " "), done: s.documents, "MiB": _mebibytes(s.bytes)}
        for s in found
    ]
    show(found if as_json else rows, ["what", done, "MiB"], as_json, "nothing is stored yet")


def _mebibytes(size: int | None) -> str:
    return "?" if size is None else f"{size / (1 << 20):.1f}"


@archive_group.command("status")
@command
def archive_status(as_json: Json = False) -> None:
    """Show what is archived of each asset, and which months are due."""
    from alerting.usecases.upkeep.archive import archive_status as read

    with platform() as p:
        found = read(p, p.clock.now())
        about = _about_archive(p)
    if as_json:
        print_json({"about": about, "assets": found})
        return
    rows = [
        {
            "asset": one.asset,
            "from": one.first,
            "to": one.last,
            "files": one.files,
            "rows": one.rows,
            "MiB": _mebibytes(one.bytes),
            "due": f"{one.due[0]} … {one.due[-1]}" if one.due else "-",
            "unfinished": one.unfinished,
        }
        for one in found
    ]
    show(
        rows,
        ["asset", "from", "to", "files", "rows", "MiB", "due", "unfinished"],
        False,
        "nothing is archived, and nothing is due",
    )
    console.print(about)


def _about_archive(p: "Platform") -> str:
    from alerting.definitions.durations import format_duration
    from alerting.usecases.upkeep.archive import require_archive

    archive = require_archive(p)
    if archive.after is None:
        return (
            "Readings are not archived: set ALERTING_ARCHIVE_AFTER, e.g. to 90d; files would go "
            f"to {archive.address}"
        )
    age = format_duration(archive.after)
    return (
        f"Months that ended {age} ago go to {archive.address} every night; this folder is not part "
        "of a backup"
    )


@archive_group.command("run")
@writes
def archive_run(as_json: Json = False) -> None:
    """Archive the months that are due now; Airflow does it every night. An interrupted run goes on
    with the next one.

    Each file is read back and compared before its readings are deleted from the database.
    """
    from alerting.definitions.faults import UserError
    from alerting.usecases.upkeep.archive import archive_readings

    with platform() as p, progress() as report:
        found = archive_readings(p, p.clock.now(), report, user())
        about = _about_archive(p)
    written = (
        f"{found.rows} readings archived in {found.files} files ({_mebibytes(found.bytes)} MiB)"
    )
    show_result(found, as_json, f"{written}, {found.deleted} deleted from MongoDB", about)
    if found.faults:
        raise UserError("\n".join(found.faults))


@archive_group.command("verify")
@command
def archive_verify(as_json: Json = False) -> None:
    """Read every archived file whole, and compare hash and rows with what was written."""
    from alerting.definitions.faults import UserError
    from alerting.usecases.upkeep.archive import require_archive, verify_archive

    with platform() as p, progress() as report:
        faults = verify_archive(p, report)
        files = len(require_archive(p).files())
    if faults:
        raise UserError("\n".join(faults))
    show_result(
        {"files": files, "faults": faults}, as_json, f"{files} files are as they were written"
    )


@archive_group.command("restore")
@writes
def archive_restore(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="Name of an asset.")],
    first: Annotated[
        str, typer.Option("--from", metavar="MONTH", help="First month, e.g. 2026-01, of UTC.")
    ],
    last: Annotated[str, typer.Option("--until", metavar="MONTH", help="Last month, of UTC.")],
    as_json: Json = False,
) -> None:
    """Put archived months of an asset back into MongoDB; their files are deleted.

    They count as new: a run archives them again after a day, unless ALERTING_ARCHIVE_AFTER is set
    to a longer time before.
    """
    from alerting.usecases.upkeep.archive import restore_months

    with platform() as p, progress() as report:
        months = (_month(first, "--from"), _month(last, "--until"))
        rows = restore_months(p, asset, *months, report, user())
        again = p.archive is not None and p.archive.after is not None
    notes = (
        ["after a day a run archives them again if they are older than ALERTING_ARCHIVE_AFTER"]
        if again
        else []
    )
    show_result(
        {"asset": asset, "rows": rows},
        as_json,
        f"{rows} readings of {asset} are in MongoDB again",
        *notes,
    )


def _month(text: str, option: str) -> str:
    from alerting.readings.instants import month_interval, month_of

    try:
        return month_of(month_interval(text)[0])
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no month: write for example 2026-01", param_hint=option
        ) from error
