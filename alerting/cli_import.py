"""`alerting import`: readings, events and assets out of files."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alerting.cli_support import Json, command, console, platform, print_json, progress, short, user

if TYPE_CHECKING:
    from alerting.pipelines.ingest import ImportResult
    from alerting.pipelines.ingest_assets import AssetsResult
    from alerting.sources.rejects import RejectsFile
    from alerting.sources.rows import Layout

app = typer.Typer(
    help="Import readings, events and assets from CSV (any separator, also compressed) or Parquet files.",
    epilog="A file is checked as a whole before anything is written. Importing it again changes nothing, and a stopped import is "
    "simply repeated.",
    no_args_is_help=True,
)

_SHOWN = 6

File = Annotated[Path, typer.Argument(help="CSV, also as .gz, .bz2, .xz or .zst (found by content), or Parquet.", metavar="FILE")]
Time = Annotated[
    str, typer.Option("--time", help="Column of the time stamps: ISO 8601, or seconds or milliseconds since 1970.", metavar="COL")
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
    typer.Option("--tz", help="Time zone of stamps that name none, e.g. Europe/Berlin; UTC when left out.", metavar="ZONE"),
]
Separator = Annotated[
    str | None,
    typer.Option("--sep", help="Field separator, e.g. ';' or tab; found from the header when left out.", metavar="CHAR"),
]
Decimal = Annotated[str, typer.Option("--decimal", help="Decimal mark, . or ,", metavar="CHAR")]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of the text, e.g. cp1252.", metavar="NAME")]
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
def readings(
    file: File,
    time: Time = "ts",
    asset: AssetName = None,
    asset_column: AssetColumn = None,
    asset_prefix: AssetPrefix = "",
    tz: Zone = None,
    sep: Separator = None,
    decimal: Decimal = ".",
    encoding: Encoding = "utf-8",
    rename: Rename = None,
    only: Only = None,
    quality: QualityColumn = None,
    quality_suffix: QualitySuffix = None,
    quality_codes: QualityCodes = None,
    skip_bad: SkipBad = False,
    rejects: Rejects = None,
    as_json: Json = False,
) -> None:
    """Import readings: one line per asset and instant, one column per variable.

    Unknown assets and variables are declared; the type of a new variable is
    found over the whole file: a number if more than half of its cells are
    numbers (other text is then bad), boolean if all are true or false, else a
    category. Names of variables are derived from the titles, which are kept.
    Units stay as they are given.

    Empty cells, NaN, NULL, NA and N/A are missing values, never zero. Bad lines
    have no readable time or asset, text or infinity in a numeric column, a
    wrong number of fields, or contradict an earlier line of the same asset and
    time. The last is found in files sorted by time, or by asset and time;
    further apart in an unsorted file the later line wins. Time stamps finer
    than a millisecond are cut to it.

    The quality of samples is read where --quality or --quality-suffix says it
    stands: good, uncertain or bad, OPC UA status codes by name or number, or
    the 192, 64 and 0 of OPC DA. A bad sample has no value, whatever its cell
    holds: from it on it is unknown what holds, until the next sample that is
    not bad. An uncertain one is marked and used. An empty quality says nothing:
    the sample is good. A row of bad quality speaks of its filled cells, or of
    all its columns when none is filled.
    """
    from alerting.pipelines.ingest import import_readings
    from alerting.sources.quality_columns import QualityLayout
    from alerting.sources.readings import ReadingsFile

    layout = _layout(time, asset, asset_column, asset_prefix, tz, sep, decimal, encoding, rename, only)
    layout = replace(layout, quality=QualityLayout(quality, quality_suffix, quality_codes))
    source = ReadingsFile(file, layout)
    with platform() as p, _rejects(file, skip_bad, rejects) as reject, progress() as tell:
        result = import_readings(source, p, now=p.clock.now(), actor=user(), reject=reject, progress=tell)
    _tell(result, reject, as_json)


@app.command()
@command
def events(
    file: File,
    time: Time = "ts",
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
    decimal: Decimal = ".",
    encoding: Encoding = "utf-8",
    rename: Rename = None,
    only: Only = None,
    skip_bad: SkipBad = False,
    rejects: Rejects = None,
    as_json: Json = False,
) -> None:
    """Import events: one line per failure, stop, maintenance; further columns become attributes of the event.

    Unknown assets and event types are declared. The same event given again,
    e.g. with its end, is merged.
    """
    from alerting.pipelines.ingest import import_events
    from alerting.sources.events import EventColumns, EventsFile

    layout = _layout(time, asset, asset_column, asset_prefix, tz, sep, decimal, encoding, rename, only)
    source = EventsFile(file, layout, EventColumns(event_type, type_column, type_prefix, end_column))
    duration: Any = None if lasting is None else "lasting" if lasting else "instant"
    with platform() as p, _rejects(file, skip_bad, rejects) as reject, progress() as tell:
        result = import_events(source, p, now=p.clock.now(), actor=user(), duration=duration, reject=reject, progress=tell)
    _tell(result, reject, as_json)


@app.command()
@command
def assets(
    file: Annotated[
        Path, typer.Argument(help="YAML or JSON with asset documents, or a CSV or Parquet table of attributes.", metavar="FILE")
    ],
    asset_column: AssetColumn = None,
    asset_prefix: AssetPrefix = "",
    sep: Separator = None,
    decimal: Decimal = ".",
    encoding: Encoding = "utf-8",
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
    from alerting.pipelines.ingest_assets import import_assets
    from alerting.sources.assets import read_assets

    layout = _layout("", None, asset_column, asset_prefix, None, sep, decimal, encoding, rename, only)
    given = read_assets(file, layout)
    with platform() as p:
        result = import_assets(str(file), given, p, now=p.clock.now(), actor=user(), dry_run=dry_run)
    if as_json:
        print_json(result)
    else:
        _tell_assets(result)


def _layout(
    time: str,
    asset: str | None,
    asset_column: str | None,
    asset_prefix: str,
    tz: str | None,
    sep: str | None,
    decimal: str,
    encoding: str,
    rename: list[str] | None,
    only: str | None,
) -> "Layout":
    from alerting.sources.rows import Layout

    return Layout(
        time=time,
        asset=asset,
        asset_column=asset_column,
        asset_prefix=asset_prefix,
        zone=tz,
        separator=sep,
        decimal=decimal,
        encoding=encoding,
        rename=dict(_renamed(text) for text in rename or ()),
        only=tuple(title.strip() for title in (only or "").split(",") if title.strip()),
    )


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"{text!r} is not of the form old=new", param_hint="--rename")
    return old, new


def _rejects(file: Path, skip_bad: bool, rejects: Path | None) -> "RejectsFile | nullcontext[None]":
    from alerting.sources.rejects import RejectsFile, rejects_path

    if rejects and not skip_bad:
        raise typer.BadParameter("goes with --skip-bad only", param_hint="--rejects")
    return RejectsFile(rejects or rejects_path(file), file) if skip_bad else nullcontext()


def _tell(result: "ImportResult", reject: "RejectsFile | None", as_json: bool) -> None:
    rejects = str(reject.path) if reject and reject.count else None
    if as_json:
        print_json({**result.to_document(), "rejects": rejects})
        return
    span = f", {short(result.first)} to {short(result.last)}" if result.first else ""
    lines = [f"{result.new:,} new of {result.rows:,} {result.what} of {_some(result.assets, 'asset')}{span}"]
    if result.created:
        lines.append(f"new assets: {_listed(result.created)}")
    if result.variables:
        lines.append("variables: " + ", ".join(f"{name} ({kind})" for name, kind in result.variables.items()))
    if result.event_types:
        lines.append("event types: " + ", ".join(f"{name} ({kind})" for name, kind in result.event_types.items()))
    if result.late:
        lines.append(
            f"{result.late:,} came after their time was judged: the next evaluation judges again as far as the definitions' "
            "mutability reaches (see: alerting late)"
        )
    if rejects:
        lines.append(f"{result.rejected:,} bad lines are kept in {rejects}")
    for line in [*lines, *result.notes]:
        console.print(line, markup=False, soft_wrap=True)


def _tell_assets(result: "AssetsResult") -> None:
    for change in result.changes:
        before = "" if change.before is None else f"{change.before} → "
        console.print(f"{change.asset}: {change.field}: {before}{change.after}", markup=False, soft_wrap=True)
    changed = len({*result.created, *(c.asset for c in result.changes)})
    told = "dry run, nothing was changed: would change" if result.dry_run else "changed"
    console.print(f"{told} {changed} of {_some(result.assets, 'asset')}, {len(result.created)} new", markup=False)


def _some(what: "int | tuple[str, ...]", noun: str) -> str:
    count = what if isinstance(what, int) else len(what)
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
