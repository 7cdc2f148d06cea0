"""Options that several commands of `alerting import` share, and the help of the longest one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

File = Annotated[
    Path,
    typer.Argument(
        help="CSV, also as .gz, .bz2, .xz or .zst (found by content), or Parquet.", metavar="FILE"
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        help=(
            "Column of the time stamps, or two with a plus: 'Date + Time'. Left out: ts, or the "
            "one that holds stamps."
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
Sequence = Annotated[
    str | None,
    typer.Option(
        "--sequence",
        help="The file has no time stamps: rows are this far apart, e.g. 1m, in their order for "
        "each asset, or by the number "
        "of the unit (from 1) in the column --time.",
        metavar="STEP",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        help=(
            "Instant of the first row, or of unit number 1, of a --sequence; 2000-01-01T00:00:00Z "
            "when left out."
        ),
        metavar="TIME",
    ),
]
Delay = Annotated[
    str | None,
    typer.Option(
        "--delay",
        help="Time from the start of an event, and from its end, until it is known, e.g. 14d for "
        "complaints; it is stored with "
        "the type.",
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
DryRun = Annotated[
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
    str | None,
    typer.Option(
        "--only", help="Take only these value columns, separated by commas.", metavar="COL,..."
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
    Literal["opc-ua", "opc-da"] | None,
    typer.Option(
        "--quality-codes",
        help="Meaning of their numbers; required if 0 occurs: good in OPC UA, bad in OPC DA.",
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
        "these types are stored "
        "already, else lasting if there is a column of ends.",
        show_default=False,
    ),
]

READINGS_HELP = """\
Import readings: one line per asset and instant, one column per variable.

Separator, decimal mark, encoding, the column of stamps and their format
are detected in the file. The command prints them before it writes;
--dry-run stops there.

Unknown assets and variables are declared; the type of a new one is found
over the whole file: a number if more than half of its cells are numbers,
boolean if all are true or false, else a category. Names of variables are
derived from the titles, which are stored; a title such as Temperature [°C]
gives the unit.

Empty cells, NaN, #NV, --- and their like are missing values, never zero.
Other text in a column of numbers is missing, too: it is counted and named.
Bad lines have no readable time or asset, a
wrong number of fields, or contradict an earlier line of the same asset and
time, unless --duplicates merges them. Such lines are found in files sorted
by time, or by asset and time; further apart in an unsorted file the later
line wins. Time stamps finer than a millisecond are cut to it.

A file without time stamps is imported with --sequence 1m: the rows of each
asset are one minute apart from --start on. The same file again changes
nothing, also when it has grown; another file at the same instants is
refused, with the --start that continues after the last row.

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
