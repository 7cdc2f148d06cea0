"""`alerting import`: import readings, events and assets from files, with what a file was found to
be and what its import changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from alerting.cli import options
from alerting.cli.command import (
    Line,
    Output,
    OutputTable,
    errors,
    platform,
    print_lines,
    progress,
    short,
    user,
    writes,
)
from alerting.cli.main import command_group
from alerting.definitions.file_form import FileForm, Stated, describe_form, refuse_sequence
from alerting.definitions.form_fields import What
from alerting.usecases.ingestion.asset_import import AssetsResult, import_assets, titles_by_name
from alerting.usecases.ingestion.imported_files import (
    Duration,
    Reject,
    Understood,
    UnderstoodColumn,
)
from alerting.usecases.ingestion.stated_options import Recalled, keep, recall, with_note
from alerting.usecases.ingestion.tables import (
    CheckedFile,
    ImportResult,
    check_events,
    check_readings,
)

if TYPE_CHECKING:
    Check = Callable[..., CheckedFile]

_SHOWN = 6
_REMEDY = "give an option to read it otherwise, or --afresh"
_COLUMNS = 40
import_group = command_group(
    "Import readings, events and assets from CSV (any separator, also compressed) or Parquet "
    "files.",
    epilog="A file is checked as a whole before anything is written. A second import of the same "
    "file changes nothing; repeat an interrupted import.",
)


@import_group.command()
@writes
@options.states_form(lambda _, field: "readings" in field.what)
def readings(
    file: options.File,
    stated: Stated,
    skip_bad: options.SkipBad = False,
    rejects: options.Rejects = None,
    take_back: options.TakeBack = False,
    afresh: options.Afresh = False,
    dry_run: options.CheckOnly = False,
) -> Output:
    """Import readings: one line per asset and instant, one column per variable.

    Separator, decimal mark, encoding, the column of stamps and their format are
    detected. The command prints them before it writes; --dry-run stops there.

    Unknown assets and variables are declared; the type of a new one is found
    over the whole file: a number if more than half of its cells are numbers,
    boolean if all are true or false, else a category. Names of variables are
    derived from the titles, which are stored; Temperature [°C] gives the unit.

    Empty cells, NaN, #NV, --- and their like are missing values, never zero.
    Other text in a column of numbers is missing, too: it is counted and named.
    Bad lines have no readable time or asset, a wrong number of fields, or
    contradict an earlier line of the same asset and time, unless --duplicates
    merges them. Such lines are found in files sorted by time, or by asset and
    time; further apart in an unsorted file the later line wins. Time stamps
    finer than a millisecond are cut to it.

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
    from alerting.adapters.files.readings_and_events import ReadingsFile

    def open_file(form: FileForm) -> "Check":
        refuse_sequence(form, "readings", skip_bad=skip_bad)
        now = datetime.now(UTC)
        return partial(check_readings, ReadingsFile(file, form), take_back=take_back, now=now)

    wish = _Wish(file, "readings", stated, afresh, take_back, dry_run)
    return _import(wish, open_file, _rejects(file, skip_bad, rejects, dry_run))


@import_group.command()
@writes
@options.states_form(lambda _, field: "events" in field.what)
def events(
    file: options.File,
    stated: Stated,
    lasting: options.Lasting = None,
    delay: options.Delay = None,
    skip_bad: options.SkipBad = False,
    rejects: options.Rejects = None,
    take_back: options.TakeBack = False,
    afresh: options.Afresh = False,
    dry_run: options.CheckOnly = False,
) -> Output:
    """Import events: one line per failure, stop, maintenance; further columns become attributes of
    the event.

    Unknown assets and event types are declared. The same event given again,
    e.g. with its end, is merged.
    """
    from alerting.adapters.files.readings_and_events import EventsFile

    durations: dict[bool | None, Duration | None] = {True: "lasting", False: "instant"}
    duration = durations.get(lasting)

    def open_file(form: FileForm) -> "Check":
        refuse_sequence(form, "events", skip_bad=skip_bad)
        source = EventsFile(file, form)
        return partial(check_events, source, duration=duration, delay=delay, take_back=take_back)

    wish = _Wish(file, "events", stated, afresh, take_back, dry_run)
    return _import(wish, open_file, _rejects(file, skip_bad, rejects, dry_run))


@import_group.command()
@writes
@options.states_form(
    options.of_names(
        *("asset_column", "asset_prefix", "separator", "decimal", "encoding", "rename", "only")
    )
)
def assets(
    file: Annotated[
        Path,
        typer.Argument(
            help="YAML or JSON with asset documents, or a CSV or Parquet table of attributes.",
            metavar="FILE",
        ),
    ],
    stated: Stated,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes without writing them.")
    ] = False,
) -> Output:
    """Import assets: their attributes, and their variables with type, unit, range, delay and
    whether they can be set.

    A YAML or JSON file holds one document, a list, or a map by name; in a table
    every further column becomes an attribute. Fields of the file replace stored
    fields; all others stay.
    """
    from alerting.adapters.files.assets import read_assets

    form = options.file_form(stated)
    with platform() as p:
        documents = read_assets(file, form, lambda: titles_by_name(p.assets.all()))
        result = import_assets(
            str(file), documents, p, now=p.clock.now(), actor=user(), dry_run=dry_run
        )
    return Output(result, _lines_of_assets(result))


@dataclass(frozen=True)
class _Wish:
    """A file and the options of its command."""

    file: Path
    what: What
    stated: Stated
    afresh: bool
    take_back: bool
    dry_run: bool


def _import(
    wish: _Wish,
    open_file: Callable[[FileForm], "Check"],
    rejects: AbstractContextManager[Reject | None],
) -> Output:
    """Check a whole file, print its profile, and write its rows unless this is a dry run.

    `open_file`: returns `check_readings` or `check_events` of the file, read by its form.
    """
    from alerting.adapters.files.find_form import hash_form

    form = hash_form(wish.file, wish.what)
    with rejects as reject, platform() as p:
        recalled = (
            Recalled(wish.stated)
            if wish.afresh
            else recall(p.file_forms, form, wish.stated, p.zone, _REMEDY)
        )
        with progress() as report:
            whole = options.file_form(recalled.stated)
            checked = with_note(
                lambda: open_file(whole)(p, reject=reject, progress=report), recalled.note
            )
        print_lines(lines_of_understood(checked.understood))
        if wish.dry_run:
            value = {"dry_run": True, "understood": checked.understood}
            return Output(value, ["dry run: nothing was written"])
        with progress() as report, explain_interruption():
            now = p.clock.now()
            result = checked.write(now=now, actor=user(), progress=report)
        stated = {} if wish.take_back else recalled.stated
        keep(p.file_forms, form, wish.file.name, stated, now)
    path = str(getattr(reject, "path", "")) if result.rejected else None
    return Output(vars(result) | {"rejects": path}, _lines_of_result(result, path))


@contextmanager
def explain_interruption() -> Iterator[None]:
    """If an import ends before its last row, print that it can be repeated."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        errors.print(
            "the import was interrupted: what it has done stays; the same command does the rest, "
            "and nothing twice"
        )
        raise


def _rejects(
    file: Path, skip_bad: bool, rejects: Path | None, dry_run: bool
) -> AbstractContextManager[Reject | None]:
    """Return the receiver of bad lines: a rejects file, none in a dry run, or None without
    --skip-bad."""
    from alerting.adapters.files.rows import RejectsFile, rejects_path

    if rejects and not skip_bad:
        raise typer.BadParameter("goes with --skip-bad only", param_hint="--rejects")
    if skip_bad and dry_run:
        return nullcontext(lambda _line: None)
    return RejectsFile(rejects or rejects_path(file), file) if skip_bad else nullcontext()


def lines_of_understood(understood: Understood) -> Iterator[Line]:
    """Yield the format of the file, its time column, its other columns and remarks on them."""
    yield from _lines_of_form(understood)
    if not _are_plain(understood.columns):
        columns = [_column(c) for c in understood.columns[:_COLUMNS]]
        yield OutputTable(columns, ["column", "type", "unit", "values", "empty", "bad"])
    if len(understood.columns) > _COLUMNS:
        yield f"  and {len(understood.columns) - _COLUMNS:,} more columns (--json names all)"
    yield from (f"  {line}" for line in bad_cells(understood.columns))
    yield from (f"  {note}" for note in understood.notes)
    if understood.removes is not None:
        yield f"  {_count(understood.removes, 'row')} stored exactly as in this file"


def _count(counted: int | Sequence[str], noun: str) -> str:
    count = counted if isinstance(counted, int) else len(counted)
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    )


def _lines_of_form(understood: Understood) -> Iterator[str]:
    form = understood.form
    span = (
        f", {_local(understood.first, form)} to {_local(understood.last, form)}"
        if understood.first
        else ""
    )
    new = set(understood.new_assets)
    assets = [f"{name} (new)" if name in new else name for name in understood.assets]
    lines = _count(understood.lines, "instant" if form.variable_column else "line")
    columns = [f"{c.name} {c.unit or ''}".strip() for c in understood.columns]
    named = f": {', '.join(columns)}" if _are_plain(understood.columns) else ""
    yield f"{understood.source}: {lines} of {_names(assets)}{span}{named}"
    yield from (f"  {line}" for line in describe_form(form))


def _are_plain(columns: Sequence[UnderstoodColumn]) -> bool:
    """Return whether all that is to be said of columns are their names and units."""
    return len(columns) <= _SHOWN and not any(
        c.missing or c.bad or c.type != "number" for c in columns
    )


def _local(instant: datetime | None, form: FileForm) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(ZoneInfo(form.zone or "UTC"))
    return local.strftime("%Y-%m-%d %H:%M:%S") + ("" if form.zone else "Z")


def _column(column: UnderstoodColumn) -> dict[str, Any]:
    name = column.name if len(column.name) <= 60 else column.name[:59] + "…"
    counts = {"values": column.values, "empty": column.missing, "bad": column.bad}
    words = {
        "column": name,
        "type": column.type + (" (new)" if column.new else ""),
        "unit": column.unit,
    }
    return words | {title: f"{n:,}" if n else None for title, n in counts.items()}


def bad_cells(columns: Sequence[UnderstoodColumn]) -> Iterator[str]:
    for column in [c for c in columns if c.bad][:_COLUMNS]:
        cells = ", ".join(
            f"{count:,} x {cell if len(cell) <= 30 else cell[:29] + '…'}"
            for cell, count in column.bad_cells.items()
        )
        where = f" (first: line {column.first_bad[0].split(',')[0]})" if column.first_bad else ""
        bad = f"{column.bad:,} x no value ({cells}), which count"
        if column.type != "category":
            bad = _not_numbers(column.bad, column.bad_cells, cells)
        yield f"column {column.title[:60]!r}: {bad} as missing{where}"


def _not_numbers(number: int, distinct: Mapping[str, int], cells: str) -> str:
    """Return the sentence that cells are no numbers: `1 cell is not a number (#NV) and counts`."""
    if number == 1:
        return f"1 cell is not a number ({next(iter(distinct), '')}) and counts"
    return f"{number:,} cells are not numbers ({cells}) and count"


def _lines_of_result(result: ImportResult, rejects: str | None) -> Iterator[str]:
    span = f", {short(result.first)} to {short(result.last)}" if result.first else ""
    if result.understood and result.understood.removes is not None:
        yield f"{result.removed:,} removed of {result.rows:,} {result.what} of the file"
    else:
        assets = _count(result.assets, "asset")
        yield f"{result.new:,} new of {result.rows:,} {result.what} of {assets}{span}"
    if result.event_types:
        types = (f"{name} ({kind})" for name, kind in result.event_types.items())
        yield f"event types: {', '.join(types)}"
    again = "again as far as the definitions' allowed lateness reaches"
    if result.late and result.removed:
        yield f"the next evaluation evaluates their times {again}"
    elif result.late:
        came = f"{result.late:,} came after their time was evaluated"
        yield f"{came}: the next evaluation evaluates it {again}"
    if rejects:
        bad = "1 bad line was" if result.rejected == 1 else f"{result.rejected:,} bad lines were"
        yield f"{bad} written to {rejects}"


def _short(value: Any) -> Any:
    """Return a whole number without a decimal point, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lines_of_assets(result: AssetsResult) -> Iterator[str]:
    for change in result.changes:
        before = "" if change.before is None else f"{_short(change.before)} → "
        yield f"{change.asset}: {change.field}: {before}{_short(change.after)}"
    changed = len({*result.created, *(c.asset for c in result.changes)})
    outcome = "dry run: would change" if result.dry_run else "changed"
    yield f"{outcome} {changed} of {_count(result.assets, 'asset')}, {len(result.created)} new"
