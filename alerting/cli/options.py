"""Options of commands, and the layout of a file of rows that they state."""

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.adapters.files.rows import Layout
from datetime import UTC, datetime

from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import parse_duration


def read_instant(text: str) -> datetime:
    """Return an ISO 8601 instant with zone. Raises a usage error (exit code 2)."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not an ISO 8601 time; write for example 2015-03-14T06:00Z"
        ) from error
    if value.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; add Z for UTC or an offset such as +01:00")
    return value.astimezone(UTC)


def read_duration(text: str) -> timedelta:
    """Return a duration such as `7d`. Raises a usage error."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def read_step(text: str) -> timedelta:
    """Return a duration such as `1m` or `100ms`. Raises a usage error."""
    millis = re.fullmatch(r"\s*(\d{1,9})\s?ms\s*", text)
    return timedelta(milliseconds=int(millis[1])) if millis else read_duration(text)


DefinitionName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a definition.")]
Start = Annotated[
    datetime | None,
    typer.Option("--from", parser=read_instant, help="Start, ISO 8601 with zone.", metavar="TIME"),
]
End = Annotated[
    datetime | None,
    typer.Option("--to", parser=read_instant, help="End, ISO 8601 with zone.", metavar="TIME"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan without applying it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


File = Annotated[
    Path,
    typer.Argument(
        help="CSV, also as .gz, .bz2, .xz or .zst (found by content), or Parquet.",
        metavar="FILE",
        readable=False,  # the reader says it, as of every file that cannot be read
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        help=(
            "Column of the time stamps, or several with a plus: 'Date + Time + ms'. Left out: "
            "ts, or the one that holds stamps."
        ),
        metavar="COL",
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format",
        help=(
            "Format of stamps: iso, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy …, or as %d.%m.%Y "
            "%H:%M:%S; found when left out."
        ),
        metavar="FORMAT",
    ),
]
SequenceStep = Annotated[
    timedelta | None,
    typer.Option(
        "--sequence",
        parser=read_step,
        help="The file has no time stamps: rows are this far apart, e.g. 1m or 100ms, in their "
        "order for each asset, or by the number of the unit (from 1) in the column --time.",
        metavar="STEP",
    ),
]
SequenceStart = Annotated[
    str | None,
    typer.Option(
        "--start",
        help=(
            "Instant of the first row, or of unit number 1, of a --sequence (2000-01-01T00:00:00Z "
            "when left out); or from which a column such as 'Time (s)' counts; or date of a first "
            "clock time."
        ),
        metavar="TIME",
    ),
]
Delay = Annotated[
    timedelta | None,
    typer.Option(
        "--delay",
        parser=read_duration,
        help="Time from the start of an event, and from its end, until it is known, e.g. 14d for "
        "complaints; it is stored with the type.",
        metavar="DURATION",
    ),
]
AssetName = Annotated[
    str | None,
    typer.Option(
        "--asset", help="The asset of all lines: its name or title, or a new one.", metavar="NAME"
    ),
]
AssetColumn = Annotated[
    str | None,
    typer.Option(
        "--asset-column",
        help="Column with the name or title of the asset of each line; `asset` when left out.",
        metavar="COL",
    ),
]
AssetPrefix = Annotated[
    str,
    typer.Option(
        "--asset-prefix",
        help="Prefix of the values of the asset column: machine- makes machine-1 of 1.",
        metavar="TEXT",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        help=(
            "Time zone of stamps that name none, e.g. Europe/Berlin; ALERTING_TIMEZONE when left "
            "out."
        ),
        metavar="ZONE",
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--sep",
        help="Field separator, e.g. ';' or tab; found from the header when left out.",
        metavar="CHAR",
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        help="Decimal mark, . or , ; found from the numbers when left out.",
        metavar="CHAR",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Encoding of the text, e.g. cp1252; found from the bytes when left out.",
        metavar="NAME",
    ),
]
HeaderLine = Annotated[
    int | None,
    typer.Option(
        "--header-line",
        min=0,
        help="The line that names the columns, counted from 1; 0: none does. Found when left out.",
        metavar="LINE",
    ),
]
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Names of all columns, separated by commas, instead of those of the file.",
        metavar="NAME,...",
    ),
]
VariableColumn = Annotated[
    str | None,
    typer.Option(
        "--variable-column",
        help="Column that names the variable, of a file with one line for each value; found when "
        "left out.",
        metavar="COL",
    ),
]
ValueColumn = Annotated[
    str | None,
    typer.Option("--value-column", help="Column of the values beside it.", metavar="COL"),
]
Wide = Annotated[
    bool, typer.Option("--wide", help="The file has one column for each variable, not one line.")
]
ColumnType = Annotated[
    list[str] | None,
    typer.Option(
        "--column-type",
        help="Type of a new variable, as 'title=category', number or boolean; may be repeated.",
        metavar="COL=TYPE",
    ),
]
Afresh = Annotated[
    bool,
    typer.Option(
        "--afresh", help="Do not use the options with which the last file of this form was read."
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        help=(
            "A text that means a missing value, in addition to #NV, --- and similar ones; may be "
            "repeated."
        ),
        metavar="TEXT",
    ),
]
TakeBack = Annotated[
    bool,
    typer.Option(
        "--take-back",
        help=(
            "Remove what is stored exactly as the lines of the file, instead of storing them: give "
            "the options of the import that was wrong. Try it with --dry-run."
        ),
    ),
]
CheckOnly = Annotated[
    bool,
    typer.Option("--dry-run", help="Check the file, print the detected format, and write nothing."),
]
Rename = Annotated[
    list[str] | None,
    typer.Option(
        "--rename", help="Name for a column, as 'title=name'; may be repeated.", metavar="OLD=NEW"
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Take only these value columns, separated by commas; may be repeated.",
        metavar="COL,...",
    ),
]
QualityColumn = Annotated[
    str | None,
    typer.Option(
        "--quality", help="Column of the quality of all samples of a line.", metavar="COL"
    ),
]
QualitySuffix = Annotated[
    str | None,
    typer.Option(
        "--quality-suffix",
        help=(
            "Suffix of columns that hold the quality of another column's samples: _q for "
            "temperature_q."
        ),
        metavar="TEXT",
    ),
]
QualityCodes = Annotated[
    Literal["opc-ua", "opc-da", "siemens", "flag"] | None,
    typer.Option(
        "--quality-codes",
        help=(
            "Meaning of their numbers; required if 0 occurs: good in OPC UA, bad in OPC DA. "
            "siemens: 0 bad, 1 uncertain, 2 and 3 good. flag: 0 bad, 1 good."
        ),
    ),
]
Duplicates = Annotated[
    Literal["refuse", "last", "mean"],
    typer.Option(
        "--duplicates",
        help=(
            "Lines that state an instant of an asset again: refuse those with another value, keep "
            "the last value, or the mean."
        ),
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Import the good lines, and write the bad ones to a rejects file."
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects", help="The rejects file; FILE.rejects.csv when left out.", metavar="FILE"
    ),
]
EventType = Annotated[
    str | None, typer.Option("--type", help="The type of all events in the file.", metavar="NAME")
]
TypeColumn = Annotated[
    str | None,
    typer.Option(
        "--type-column", help="Column that names the type; `type` when left out.", metavar="COL"
    ),
]
TypePrefix = Annotated[
    str,
    typer.Option("--type-prefix", help="Prefix of the values of the type column.", metavar="TEXT"),
]
EndColumn = Annotated[
    str | None,
    typer.Option(
        "--end-column",
        help="Column of the ends; `end` when left out and there is one.",
        metavar="COL",
    ),
]
Lasting = Annotated[
    bool | None,
    typer.Option(
        "--lasting/--instant",
        help="Lasting events go on until their end is known, instant ones have none. Left out: as "
        "these types are stored already, else lasting if there is a column of ends.",
        show_default=False,
    ),
]


def file_layout(
    *,
    asset: str | None = None,
    asset_column: str | None = None,
    asset_prefix: str = "",
    time: str | None = None,
    time_format: str | None = None,
    zone: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    rename: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    header_line: int | None = None,
    columns: str | None = None,
) -> "Layout":
    """Return the layout of a file as its options state it; ALERTING_TIMEZONE: of the plant."""
    from alerting.adapters.files.rows import Layout
    from alerting.wiring import plant_zone

    return Layout(
        asset=asset,
        asset_column=asset_column,
        asset_prefix=asset_prefix,
        time=time,
        time_format=time_format,
        zone=zone,
        plant_zone=plant_zone(read_settings(os.environ), os.environ),
        separator=separator,
        decimal=decimal,
        encoding=encoding,
        rename=dict(_read_rename(text) for text in rename or ()),
        only=_split_list(",".join(only or ())),
        header_line=header_line,
        columns=_split_list(columns),
    )


def _split_list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def read_types(texts: Sequence[str] | None) -> dict[str, VariableType]:
    """Return the types by title of `--column-type`. Raises a usage error."""
    types: dict[str, VariableType] = {}
    for text in texts or ():
        title, _, kind = text.rpartition("=")
        if not title or kind not in get_args(VariableType):
            raise typer.BadParameter(
                f"{text!r} is not of the form title=type; types are "
                + ", ".join(get_args(VariableType)),
                param_hint="--column-type",
            )
        types[title] = cast(VariableType, kind)
    return types


def _read_rename(text: str) -> tuple[str, str]:
    old, equals, new = text.rpartition("=")
    if not (old and equals and new):
        raise typer.BadParameter(f"{text!r} is not of the form old=new", param_hint="--rename")
    return old, new
