"""`alerting import`: import readings, events and assets from files."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.ingest import options
from alerting.cli.ingest.output import print_assets, print_result, print_understood
from alerting.cli.output import console, errors, print_json
from alerting.cli.support import Json, platform, progress, user, writes

if TYPE_CHECKING:
    from datetime import timedelta

    from alerting.adapters.files.rows import Layout
    from alerting.readings.inference import BadLine
    from alerting.usecases.ingestion.sources import Reject
    from alerting.usecases.ingestion.tables import CheckedFile

    Check = Callable[..., CheckedFile]

app = typer.Typer(
    help=(
        "Import readings, events and assets from CSV (any separator, also compressed) or Parquet "
        "files."
    ),
    epilog="A file is checked as a whole before anything is written. A second import of the same "
    "file changes nothing; repeat an "
    "interrupted import.",
    no_args_is_help=True,
)


@app.command(help=options.READINGS_HELP)
@writes
def readings(
    file: options.File,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    sequence: options.Sequence = None,
    start: options.Start = None,
    asset: options.AssetName = None,
    asset_column: options.AssetColumn = None,
    asset_prefix: options.AssetPrefix = "",
    tz: options.Zone = None,
    sep: options.Separator = None,
    decimal: options.Decimal = None,
    encoding: options.Encoding = None,
    rename: options.Rename = None,
    only: options.Only = None,
    quality: options.QualityColumn = None,
    quality_suffix: options.QualitySuffix = None,
    quality_codes: options.QualityCodes = None,
    missing: options.Missing = None,
    duplicates: options.Duplicates = "refuse",
    skip_bad: options.SkipBad = False,
    rejects: options.Rejects = None,
    take_back: options.TakeBack = False,
    dry_run: options.DryRun = False,
    as_json: Json = False,
) -> None:
    """Import readings: one line per asset and instant, one column per variable."""
    from datetime import UTC, datetime

    from alerting.adapters.files.readings import ReadingsFile
    from alerting.adapters.files.rows import QualityLayout
    from alerting.usecases.ingestion.tables import check_readings

    layout = replace(
        file_layout(asset, asset_column, asset_prefix, sep, decimal, encoding, rename, only),
        quality=QualityLayout(quality, quality_suffix, quality_codes),
        missing=tuple(missing or ()),
        duplicates=duplicates,
    )
    source = ReadingsFile(
        file,
        _with_sequence(with_time_columns(layout, time, time_format, tz), sequence, start, skip_bad),
    )
    with _rejects(file, skip_bad, rejects, dry_run) as reject:
        _import(
            partial(check_readings, source, take_back=take_back, now=datetime.now(UTC)),
            reject,
            dry_run,
            as_json,
        )


@app.command()
@writes
def events(
    file: options.File,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    sequence: options.Sequence = None,
    start: options.Start = None,
    asset: options.AssetName = None,
    asset_column: options.AssetColumn = None,
    asset_prefix: options.AssetPrefix = "",
    event_type: options.EventType = None,
    type_column: options.TypeColumn = None,
    type_prefix: options.TypePrefix = "",
    end_column: options.EndColumn = None,
    lasting: options.Lasting = None,
    delay: options.Delay = None,
    tz: options.Zone = None,
    sep: options.Separator = None,
    decimal: options.Decimal = None,
    encoding: options.Encoding = None,
    rename: options.Rename = None,
    only: options.Only = None,
    skip_bad: options.SkipBad = False,
    rejects: options.Rejects = None,
    take_back: options.TakeBack = False,
    dry_run: options.DryRun = False,
    as_json: Json = False,
) -> None:
    """Import events: one line per failure, stop, maintenance; further columns become attributes of
    the event.

    Unknown assets and event types are declared. The same event given again,
    e.g. with its end, is merged.
    """
    from alerting.adapters.files.events import EventColumns, EventsFile
    from alerting.usecases.ingestion.tables import check_events

    layout = file_layout(asset, asset_column, asset_prefix, sep, decimal, encoding, rename, only)
    columns = EventColumns(event_type, type_column, type_prefix, end_column)
    layout = _with_sequence(
        with_time_columns(layout, time, time_format, tz), sequence, start, skip_bad
    )
    if layout.sequence is not None and time is None:
        raise typer.BadParameter(
            "needs --time: the column with the number of the unit", param_hint="--sequence"
        )
    source = EventsFile(file, layout, columns)
    duration: Any = None if lasting is None else "lasting" if lasting else "instant"
    with _rejects(file, skip_bad, rejects, dry_run) as reject:
        known_after = None if delay is None else _duration(delay, "--delay")
        _import(
            partial(
                check_events, source, duration=duration, delay=known_after, take_back=take_back
            ),
            reject,
            dry_run,
            as_json,
        )


@app.command()
@writes
def assets(
    file: Annotated[
        Path,
        typer.Argument(
            help="YAML or JSON with asset documents, or a CSV or Parquet table of attributes.",
            metavar="FILE",
        ),
    ],
    asset_column: options.AssetColumn = None,
    asset_prefix: options.AssetPrefix = "",
    sep: options.Separator = None,
    decimal: options.Decimal = None,
    encoding: options.Encoding = None,
    rename: options.Rename = None,
    only: options.Only = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes without writing them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import assets: their attributes, and their variables with type, unit, range, delay and
    whether they can be set.

    A YAML or JSON file holds one document, a list, or a map by name; in a table
    every further column becomes an attribute. Fields of the file replace stored
    fields; all others stay.
    """
    from alerting.adapters.files.assets import read_assets
    from alerting.usecases.ingestion.assets import import_assets
    from alerting.usecases.ingestion.text_names import titles_by_name

    layout = file_layout(None, asset_column, asset_prefix, sep, decimal, encoding, rename, only)
    with platform() as p:
        given = read_assets(file, layout, lambda: titles_by_name(p.assets.all()))
        result = import_assets(
            str(file), given, p, now=p.clock.now(), actor=user(), dry_run=dry_run
        )
    if as_json:
        print_json(result)
    else:
        print_assets(result)


def file_layout(
    asset: str | None,
    asset_column: str | None,
    asset_prefix: str,
    sep: str | None,
    decimal: str | None,
    encoding: str | None,
    rename: list[str] | None,
    only: str | None,
) -> "Layout":
    from alerting.adapters.files.rows import Layout

    return Layout(
        asset=asset,
        asset_column=asset_column,
        asset_prefix=asset_prefix,
        separator=sep,
        decimal=decimal,
        encoding=encoding,
        rename=dict(_parse_rename(text) for text in rename or ()),
        only=tuple(title.strip() for title in (only or "").split(",") if title.strip()),
    )


def with_time_columns(
    layout: "Layout", time: str | None, time_format: str | None, tz: str | None
) -> "Layout":
    """Return the layout with column and format of stamps; ALERTING_TIMEZONE: of the plant."""
    from alerting.settings.environment import read_settings, variable

    settings = read_settings(os.environ)
    plant = settings.timezone.key if os.environ.get(variable("timezone"), "").strip() else None
    return replace(layout, time=time, time_format=time_format, zone=tz, plant_zone=plant)


def _with_sequence(
    layout: "Layout", sequence: str | None, start: str | None, skip_bad: bool
) -> "Layout":
    """Return the layout with the step and the start of rows without time stamps."""
    if sequence is None:
        if start is not None:
            raise typer.BadParameter("goes with --sequence only", param_hint="--start")
        return layout
    if layout.time_format is not None:
        raise typer.BadParameter(
            "a sequence has no time stamps; leave out --time-format", param_hint="--sequence"
        )
    if skip_bad and layout.time is None:
        text = "a line left out would move all later ones; correct the file instead of --skip-bad"
        raise typer.BadParameter(text, param_hint="--sequence")
    step = _duration(sequence, "--sequence")
    if not step:
        raise typer.BadParameter("must be longer than 0s", param_hint="--sequence")
    return replace(layout, sequence=step, start=start)


def _duration(text: str, option: str) -> "timedelta":
    from alerting.definitions.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as fault:
        raise typer.BadParameter(str(fault), param_hint=option) from fault


def _import(check: "Check", reject: "Reject | None", dry_run: bool, as_json: bool) -> None:
    """Check a whole file, print its profile, write its rows unless this is a dry run, and print the
    changes.

    `check`: `check_readings` or `check_events` of the file.
    """
    with platform() as p:
        with progress() as report:
            checked = check(p, reject=reject, progress=report)
        if not as_json:
            print_understood(checked.understood)
        if dry_run and as_json:
            print_json({"dry_run": True, "understood": checked.understood})
        elif dry_run:
            console.print("dry run: nothing was written")
        else:
            with progress() as report, _interruption_explained():
                result = checked.write(now=p.clock.now(), actor=user(), progress=report)
            print_result(result, reject, as_json)


@contextmanager
def _interruption_explained() -> Iterator[None]:
    """Print of an import that ends before its last row that it can be repeated."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        errors.print(
            "the import was interrupted: what it has done stays; the same command does the rest, "
            "and nothing twice"
        )
        raise


def _parse_rename(text: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"{text!r} is not of the form old=new", param_hint="--rename")
    return old, new


def _rejects(
    file: Path, skip_bad: bool, rejects: Path | None, dry_run: bool
) -> "AbstractContextManager[Reject | None]":
    """Return the receiver of bad lines: a rejects file, `_ignore`, or None without --skip-bad."""
    from alerting.adapters.files.rejects import RejectsFile, rejects_path

    if rejects and not skip_bad:
        raise typer.BadParameter("goes with --skip-bad only", param_hint="--rejects")
    if skip_bad and dry_run:
        return nullcontext(_ignore)
    return RejectsFile(rejects or rejects_path(file), file) if skip_bad else nullcontext()


def _ignore(_line: "BadLine") -> None:
    """Ignore a bad line in a dry run."""
