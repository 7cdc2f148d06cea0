"""`alerting import`: readings, events and assets out of files."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alerting.cli.printing.import_summary import counted, print_understood, shortened
from alerting.cli.support import Json, command, console, platform, print_json, progress, short, user, writes

if TYPE_CHECKING:
    from alerting.adapters.files.rows import Layout
    from alerting.ports import Platform
    from alerting.readings.inference import BadLine
    from alerting.usecases.ingestion.assets import AssetsResult
    from alerting.usecases.ingestion.sources import Reject
    from alerting.usecases.ingestion.tables import CheckedEvents, CheckedReadings, ImportResult

app = typer.Typer(
    help="Import readings, events and assets from CSV (any separator, also compressed) or Parquet files.",
    epilog="A file is checked as a whole before anything is written. Importing it again changes nothing, and a stopped import is "
    "simply repeated.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(help="CSV, also as .gz, .bz2, .xz or .zst (found by content), or Parquet.", metavar="FILE")]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="Column of the time stamps, or two with a plus: 'Date + Time'. Left out: ts, or the one that holds stamps.",
        metavar="COL",
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format",
        help="How stamps are written: iso, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy …, or as %d.%m.%Y %H:%M:%S; found when left out.",
        metavar="FORMAT",
    ),
]
AssetName = Annotated[str | None, typer.Option("--asset", help="The asset that all lines belong to.", metavar="NAME")]
AssetColumn = Annotated[
    str | None,
    typer.Option("--asset-column", help="Column that names the asset of each line; `asset` when left out.", metavar="COL"),
]
AssetPrefix = Annotated[
    str, typer.Option("--asset-prefix", help="Put before the values of the asset column: 1 becomes machine-1.", metavar="TEXT")
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", help="Time zone of stamps that name none, e.g. Europe/Berlin; ALERTING_TIMEZONE when left out.", metavar="ZONE"
    ),
]
Separator = Annotated[
    str | None,
    typer.Option("--sep", help="Field separator, e.g. ';' or tab; found from the header when left out.", metavar="CHAR"),
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", help="Decimal mark, . or , ; found from the numbers when left out.", metavar="CHAR")
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of the text, e.g. cp1252; found from the bytes when left out.", metavar="NAME"),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing", help="A text that stands for no value, besides #NV, --- and their like; may be repeated.", metavar="TEXT"
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="A cell that is no value of its column makes its line bad, instead of being missing.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file, say what was understood, and write nothing.")]
Rename = Annotated[
    list[str] | None, typer.Option("--rename", help="Name for a column, as 'title=name'; may be repeated.", metavar="OLD=NEW")
]
Only = Annotated[
    str | None, typer.Option("--only", help="Take only these value columns, separated by commas.", metavar="COL,...")
]
QualityColumn = Annotated[
    str | None, typer.Option("--quality", help="Column that says the quality of all samples of its line.", metavar="COL")
]
QualitySuffix = Annotated[
    str | None,
    typer.Option(
        "--quality-suffix",
        help="A column called like another one with this behind it says the quality of its samples: _q for temperature_q.",
        metavar="TEXT",
    ),
]
QualityCodes = Annotated[
    Literal["opc-ua", "opc-da"] | None,
    typer.Option("--quality-codes", help="What numbers in them are; needed where 0 is one: good in OPC UA, bad in OPC DA."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Import the good lines, and keep the bad ones in a rejects file.")]
Rejects = Annotated[
    Path | None, typer.Option("--rejects", help="The rejects file; FILE.rejects.csv when left out.", metavar="FILE")
]


@app.command()
@command
@writes
def readings(
    file: File,
    time: Time = None,
    time_format: TimeFormat = None,
    asset: AssetName = None,
    asset_column: AssetColumn = None,
    asset_prefix: AssetPrefix = "",
    tz: Zone = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    rename: Rename = None,
    only: Only = None,
    quality: QualityColumn = None,
    quality_suffix: QualitySuffix = None,
    quality_codes: QualityCodes = None,
    missing: Missing = None,
    strict: Strict = False,
    skip_bad: SkipBad = False,
    rejects: Rejects = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import readings: one line per asset and instant, one column per variable.

    Separator, decimal mark, encoding, the column of stamps and how they are
    written are found from the file. What was understood is printed before
    anything is written; --dry-run stops there.

    Unknown assets and variables are declared; the type of a new one is found
    over the whole file: a number if more than half of its cells are numbers,
    boolean if all are true or false, else a category. Names of variables are
    derived from the titles, which are kept; a title such as Temperature [°C]
    gives the unit.

    Empty cells, NaN, #NV, --- and their like are missing values, never zero.
    Other text in a column of numbers is missing, too: it is counted and named
    (--strict: its line is bad). Bad lines have no readable time or asset, a
    wrong number of fields, or contradict an earlier line of the same asset and
    time. The last is found in files sorted by time, or by asset and time;
    further apart in an unsorted file the later line wins. Time stamps finer
    than a millisecond are cut to it.

    Stamps without a zone are local time of the plant (ALERTING_TIMEZONE). In
    the hour that comes twice when the clocks are set back, the order of the
    lines tells which one is meant.

    The quality of samples is read where --quality or --quality-suffix says it
    stands: good, uncertain or bad, OPC UA status codes by name or number, or
    the 192, 64 and 0 of OPC DA. A bad sample has no value, whatever its cell
    holds: from it on it is unknown what holds, until the next sample that is
    not bad. An uncertain one is marked and used. An empty quality says nothing:
    the sample is good. A row of bad quality speaks of its filled cells, or of
    all its columns when none is filled.
    """
    from alerting.adapters.files.quality_columns import QualityLayout
    from alerting.adapters.files.readings import ReadingsFile
    from alerting.usecases.ingestion.tables import check_readings

    layout = replace(
        _layout(asset, asset_column, asset_prefix, sep, decimal, encoding, rename, only),
        quality=QualityLayout(quality, quality_suffix, quality_codes),
        missing=tuple(missing or ()),
        strict=strict,
    )
    source = ReadingsFile(file, _timed(layout, time, time_format, tz))
    with platform() as p, _rejects(file, skip_bad, rejects, dry_run) as reject:
        with progress() as tell:
            checked = check_readings(source, p, reject=reject, progress=tell)
        _write(checked, p, reject, dry_run, as_json)


@app.command()
@command
@writes
def events(
    file: File,
    time: Time = None,
    time_format: TimeFormat = None,
    asset: AssetName = None,
    asset_column: AssetColumn = None,
    asset_prefix: AssetPrefix = "",
    event_type: Annotated[str | None, typer.Option("--type", help="The type of all events in the file.", metavar="NAME")] = None,
    type_column: Annotated[
        str | None, typer.Option("--type-column", help="Column that names the type; `type` when left out.", metavar="COL")
    ] = None,
    type_prefix: Annotated[
        str, typer.Option("--type-prefix", help="Put before the values of the type column.", metavar="TEXT")
    ] = "",
    end_column: Annotated[
        str | None, typer.Option("--end-column", help="Column of the ends; `end` when left out and there is one.", metavar="COL")
    ] = None,
    lasting: Annotated[
        bool | None,
        typer.Option(
            "--lasting/--instant",
            help="Lasting events go on until their end is known, instant ones have none. Left out: as these types are kept "
            "already, else lasting if there is a column of ends.",
            show_default=False,
        ),
    ] = None,
    tz: Zone = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    rename: Rename = None,
    only: Only = None,
    skip_bad: SkipBad = False,
    rejects: Rejects = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import events: one line per failure, stop, maintenance; further columns become attributes of the event.

    Unknown assets and event types are declared. The same event given again,
    e.g. with its end, is merged.
    """
    from alerting.adapters.files.events import EventColumns, EventsFile
    from alerting.usecases.ingestion.tables import check_events

    layout = _layout(asset, asset_column, asset_prefix, sep, decimal, encoding, rename, only)
    columns = EventColumns(event_type, type_column, type_prefix, end_column)
    source = EventsFile(file, _timed(layout, time, time_format, tz), columns)
    duration: Any = None if lasting is None else "lasting" if lasting else "instant"
    with platform() as p, _rejects(file, skip_bad, rejects, dry_run) as reject:
        with progress() as tell:
            checked = check_events(source, p, duration=duration, reject=reject, progress=tell)
        _write(checked, p, reject, dry_run, as_json)


@app.command()
@command
@writes
def assets(
    file: Annotated[
        Path, typer.Argument(help="YAML or JSON with asset documents, or a CSV or Parquet table of attributes.", metavar="FILE")
    ],
    asset_column: AssetColumn = None,
    asset_prefix: AssetPrefix = "",
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    rename: Rename = None,
    only: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import assets: their attributes, and their variables with type, unit, range, delay and whether they can be set.

    A YAML or JSON file holds one document, a list, or a map by name; in a table
    every further column becomes an attribute. What is given wins over what is
    stored, everything else stays.
    """
    from alerting.adapters.files.assets import read_assets
    from alerting.usecases.ingestion.assets import import_assets

    layout = _layout(None, asset_column, asset_prefix, sep, decimal, encoding, rename, only)
    given = read_assets(file, layout)
    with platform() as p:
        result = import_assets(str(file), given, p, now=p.clock.now(), actor=user(), dry_run=dry_run)
    if as_json:
        print_json(result)
    else:
        _tell_assets(result)


def _layout(
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
        rename=dict(_renamed(text) for text in rename or ()),
        only=tuple(title.strip() for title in (only or "").split(",") if title.strip()),
    )


def _timed(layout: "Layout", time: str | None, time_format: str | None, tz: str | None) -> "Layout":
    """The layout, with where its stamps stand and how they are written; ALERTING_TIMEZONE is the zone of the plant."""
    from alerting.settings.environment import read_settings, variable

    settings = read_settings(os.environ)
    plant = settings.timezone.key if os.environ.get(variable("timezone"), "").strip() else None
    return replace(layout, time=time, time_format=time_format, zone=tz, plant_zone=plant)


def _write(
    checked: "CheckedReadings | CheckedEvents", p: "Platform", reject: "Reject | None", dry_run: bool, as_json: bool
) -> None:
    """Print what was understood, write it unless only that was wanted, and print what changed."""
    if not as_json:
        print_understood(checked.understood)
    if dry_run:
        if as_json:
            print_json({"dry_run": True, "understood": checked.understood})
        else:
            console.print("dry run: nothing was written")
        return
    with progress() as tell:
        result = checked.write(now=p.clock.now(), actor=user(), progress=tell)
    _tell(result, reject, as_json)


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"{text!r} is not of the form old=new", param_hint="--rename")
    return old, new


def _rejects(file: Path, skip_bad: bool, rejects: Path | None, dry_run: bool) -> "AbstractContextManager[Reject | None]":
    """What takes the bad lines: a file, nothing in a dry run, and none when they are not to be skipped."""
    from alerting.adapters.files.rejects import RejectsFile, rejects_path

    if rejects and not skip_bad:
        raise typer.BadParameter("goes with --skip-bad only", param_hint="--rejects")
    if skip_bad and dry_run:
        return nullcontext(_ignore)
    return RejectsFile(rejects or rejects_path(file), file) if skip_bad else nullcontext()


def _ignore(_line: "BadLine") -> None:
    """What a dry run does with a bad line."""


def _tell(result: "ImportResult", reject: "Reject | None", as_json: bool) -> None:
    rejects = str(getattr(reject, "path", "")) if result.rejected else None
    if as_json:
        print_json({**result.to_document(), "rejects": rejects})
        return
    span = f", {short(result.first)} to {short(result.last)}" if result.first else ""
    lines = [f"{result.new:,} new of {result.rows:,} {result.what} of {counted(result.assets, 'asset')}{span}"]
    if result.created:
        lines.append(f"new assets: {shortened(result.created)}")
    if result.event_types:
        lines.append("event types: " + ", ".join(f"{name} ({kind})" for name, kind in result.event_types.items()))
    if result.late:
        lines.append(
            f"{result.late:,} came after their time was judged: the next evaluation judges again as far as the definitions' "
            "allowed lateness reaches (see: alerting late-data)"
        )
    if rejects:
        lines.append(f"{result.rejected:,} bad lines are kept in {rejects}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _tell_assets(result: "AssetsResult") -> None:
    for change in result.changes:
        before = "" if change.before is None else f"{change.before} → "
        console.print(f"{change.asset}: {change.field}: {before}{change.after}", markup=False, soft_wrap=True)
    changed = len({*result.created, *(c.asset for c in result.changes)})
    told = "dry run, nothing was changed: would change" if result.dry_run else "changed"
    console.print(f"{told} {changed} of {counted(result.assets, 'asset')}, {len(result.created)} new", markup=False)
