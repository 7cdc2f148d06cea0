"""Move old readings to the archive, month by month, and bring them back.

A month of an asset is written as a file, read back whole and compared, recorded, and only then
deleted from the database. Each step can be repeated, so an interrupted run goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import template
from alerting.ports import Archive, ArchivedFile, PlanPorts, Progress, UpkeepPorts, silent
from alerting.usecases.upkeep.retention import assets_with_readings, latest_limit

# A reading is archived this long after it arrived: an import that takes days stamps all that it
# writes with its beginning.
AFTER_ARRIVAL = timedelta(days=7)


@dataclass
class ArchiveRun:
    """Result of a run: files and rows written, rows deleted, why months stayed."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    deleted: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ArchivedAsset:
    """Archived readings of one asset. `due`: months in the database that the next run archives."""

    asset: str
    first: datetime | None
    last: datetime | None
    files: int
    rows: int
    bytes: int
    due: Sequence[str]
    unfinished: int


def archive_readings(
    platform: UpkeepPorts,
    as_of: datetime,
    progress: Progress = silent,
    actor: str = "platform",
) -> ArchiveRun:
    """Archive every month older than the archive's age, also of an earlier run.

    What late readings can still change stays. A month that cannot be archived stays in the
    database, is named among the faults, and does not stop the others.
    """
    archive = require_archive(platform)
    run = ArchiveRun()
    for asset in assets_with_readings(platform.assets, platform.readings):
        for file in archive.files(asset):
            if file.state == "written":
                _delete_readings(archive, run, file)
            elif file.state == "restoring":
                run.faults.append(
                    f"{asset} {file.month}: is being restored: run `alerting archive restore` again"
                )
        for month in _due_months(platform, archive, asset, as_of):
            progress(f"archiving {asset} {month}", run.rows, None)
            _archive_month(archive, run, asset, month, as_of)
    if run.rows or run.deleted:
        after = {"files": run.files, "rows": run.rows, "deleted_from_mongodb": run.deleted}
        platform.audit.add(actor, template("readings archived"), "archive", as_of, after=after)
    return run


def _due_months(
    platform: PlanPorts, archive: Archive, asset: str, as_of: datetime
) -> Sequence[str]:
    if archive.after is None:
        return ()
    return archive.due_months(
        asset, min(as_of - archive.after, latest_limit(platform, as_of)), as_of - AFTER_ARRIVAL
    )


def _archive_month(
    archive: Archive, run: ArchiveRun, asset: str, month: str, as_of: datetime
) -> None:
    earlier = [file for file in archive.files(asset) if file.month == month]
    if unfinished := [file for file in earlier if file.state != "archived"]:
        if unfinished[0].state == "written":
            run.faults.append(f"{asset} {month}: an earlier file of it is not finished")
        return
    try:
        number = max((file.number for file in earlier), default=-1) + 1
        file = archive.write(asset, month, number, as_of - AFTER_ARRIVAL, as_of)
        if file is None:
            return
        archive.record(file)
    except UserError as fault:
        run.faults.append(str(fault))
        return
    run.files = run.files + 1
    run.rows = run.rows + file.rows
    run.bytes = run.bytes + file.bytes
    _delete_readings(archive, run, file)


def _delete_readings(archive: Archive, run: ArchiveRun, file: ArchivedFile) -> None:
    try:
        run.deleted += archive.delete_readings(file)
    except UserError as fault:
        run.faults.append(str(fault))


def archive_status(platform: UpkeepPorts, as_of: datetime) -> list[ArchivedAsset]:
    """Return what is archived of each asset and which months are due, if any."""
    archive = require_archive(platform)
    found = []
    for asset in assets_with_readings(platform.assets, platform.readings):
        files = archive.files(asset)
        due = _due_months(platform, archive, asset, as_of)
        if files or due:
            first = min((f.first for f in files), default=None)
            last = max((f.last for f in files), default=None)
            rows = sum(f.rows for f in files)
            size = sum(f.bytes for f in files)
            unfinished = sum(f.state != "archived" for f in files)
            found.append(ArchivedAsset(asset, first, last, len(files), rows, size, due, unfinished))
    return found


def verify_archive(platform: UpkeepPorts, progress: Progress = silent) -> list[str]:
    """Read every archived file whole; return a sentence for each wrong or unknown one."""
    archive = require_archive(platform)
    faults = []
    files = archive.files()
    for done, file in enumerate(files):
        progress(f"reading {file.asset} {file.month}", done, len(files))
        try:
            archive.check(file)
        except UserError as fault:
            faults.append(str(fault))
    unknown = "is not recorded, e.g. of a run that was interrupted: it is never read"
    remedy = "delete it, unless another platform has its archive there, or a run is at work"
    return [*faults, *(f"{path} {unknown}; {remedy}" for path in archive.unknown_files())]


def restore_months(
    platform: UpkeepPorts,
    asset: str,
    first: str,
    last: str,
    progress: Progress = silent,
    actor: str = "platform",
) -> int:
    """Put an asset's archived months back into the database; return how many rows.

    The newest file of a month comes first, because stored samples stay. Raises UserError if there
    are none, or a file is damaged.
    """
    archive = require_archive(platform)
    files = [file for file in archive.files(asset) if first <= file.month <= last]
    if not files:
        raise UserError(
            f"no readings of {asset!r} from {first} to {last} are archived; see `alerting archive "
            "status`"
        )
    for file in files:
        archive.check(file)
    rows = 0
    for file in reversed(files):
        progress(f"restoring {file.month}", rows, None)
        rows += archive.restore(file, platform.clock.now())
    before = {"archived_months": sorted({file.month for file in files})}
    now = platform.clock.now()
    what = template("archived readings restored")
    platform.audit.add(actor, what, asset, now, before, {"rows": rows})
    return rows


def require_archive(platform: UpkeepPorts) -> Archive:
    """Return the archive. Raises UserError for a platform without one, such as one in memory."""
    if platform.archive is None:
        raise UserError("this platform has no archive")
    return platform.archive
