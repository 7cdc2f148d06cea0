"""`alerting backup`, `alerting restore` and `alerting export`."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from alerting.cli.output import show_result
from alerting.cli.support import (
    End,
    Json,
    Start,
    command,
    instant,
    platform,
    progress,
    require_file,
    user,
)

_AT_ONCE = timedelta(days=7)
_ARROW = {"number": "double", "boolean": "bool", "category": "string"}


@command
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
    as_json: Json = False,
) -> None:
    """Back up the platform, running or not: database, models, secrets.

    The database is read as of one instant while the platform goes on. The folder holds secrets; it
    is readable by its owner alone. Not included: Airflow's history, a registry of your own
    (ALERTING_MLFLOW_URI), and the settings in the environment.
    """
    from alerting.local.upkeep.backup import disk_errors, save_backup
    from alerting.settings.environment import read_settings

    unfinished = f"the backup in {folder} is not complete"
    with (
        progress() as report,
        disk_errors(unfinished, "delete it, and name a new folder with room that you may write"),
    ):
        settings = read_settings(os.environ)
        made = save_backup(settings, folder, progress=report, actor=user())
    documents = sum(made.database.values())
    size = sum(file.bytes for file in made.files.values())
    own = "no models: the registry is a server of your own, back it up with its own tools"
    show_result(
        {
            "folder": folder,
            "documents": documents,
            "files": len(made.files),
            "bytes": size,
            "models": settings.mlflow_uri is None,
        },
        as_json,
        f"backup in {folder}: {documents} documents, {len(made.files)} files, "
        f"{size / (1 << 20):.1f} MiB",
        *([own] if settings.mlflow_uri else []),
    )


@command
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a backup.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty home (ALERTING_HOME, else .alerting here) and an empty
    database.

    Every hash is compared before anything is read. Then start the platform: evaluation goes on from
    its watermarks, and nothing that was sent is sent again.
    """
    from alerting.local.upkeep.backup import SECRETS, disk_errors, restore_backup
    from alerting.settings.environment import read_settings

    settings = read_settings(os.environ, last=False)
    unfinished = f"{settings.location} is not restored"
    with (
        progress() as report,
        disk_errors(unfinished, "delete it, and restore into a home with room"),
    ):
        made = restore_backup(settings, folder, report, user())
    missing = [name for name in made.variables if name not in os.environ]
    notes = [f"set again what was set then: {', '.join(missing)}"] if missing else []
    if not any(name.startswith(f"{SECRETS}/") for name in made.files):
        notes.append(
            "no secrets were restored: copy those that you saved into secrets/ of the home before "
            "the start, or new ones are made"
        )
    show_result(
        {"restored": settings.location, "made_at": made.at, "missing": missing},
        as_json,
        f"restored the backup of {made.at} to {settings.location}: {sum(made.database.values())} "
        "documents",
        *notes,
    )


@command
def export(
    name: Annotated[str, typer.Argument(metavar="ASSET", help="Name of an asset.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE.parquet")],
    start: Start = None,
    end: End = None,
    as_json: Json = False,
) -> None:
    """Write the measured readings of an asset to a Parquet file, which `alerting import readings`
    reads again. Samples of bad quality are left out."""
    from alerting.deferred import pa, pd, pq
    from alerting.definitions.assets import types_of
    from alerting.definitions.faults import UserError
    from alerting.local.upkeep.backup import disk_errors

    require_file(out, f"{name}.parquet")
    begin = instant(start, "--from")
    until = instant(end, "--to")
    rows = 0
    with platform() as p, progress() as report, disk_errors(f"{out} is not complete", "delete it"):
        asset = p.assets.get(name)
        span = p.readings.span(name)
        if asset is None or span is None:
            raise UserError(f"there is no asset {name!r} with readings: see /assets")
        names = [one for one in asset.variables if not asset.is_computed(one)]
        arrow = {one: pa.type_for_alias(_ARROW[t]) for one, t in types_of(asset, names).items()}
        own = {"time": pa.timestamp("ms", "UTC"), "asset": pa.string()}
        at = max(begin or span[0], span[0]) - timedelta(milliseconds=1)
        last = min(until or span[1], span[1])
        with pq.ParquetWriter(out, pa.schema(own | arrow), compression="zstd") as file:
            while at < last:
                to = min(at + _AT_ONCE, last)
                found = p.readings.load(asset, at, to, names, with_events=False).readings
                values = [pa.array(found[one]).cast(kind) for one, kind in arrow.items()]
                keys = [
                    pa.array(pd.DatetimeIndex(found.index).tz_convert(None)).cast(own["time"]),
                    pa.array([name] * len(found)),
                ]
                file.write_table(pa.table([*keys, *values], schema=file.schema))
                rows += len(found)
                report("readings", rows, None)
                at = to
    show_result({"file": out, "rows": rows}, as_json, f"{rows} readings of {name} in {out}")
