"""`alerting import`: import readings, events and assets from files, with what a file was found to
be and what its import changed."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import typer

from alerting.cli import options
from alerting.cli.command import (
    Output,
    errors,
    platform,
    print_lines,
    progress,
    say,
    short,
    user,
    writes,
)
from alerting.cli.main import command_group
from alerting.definitions.faults import legible
from alerting.definitions.file_form import FileForm, Stated, describe_form
from alerting.definitions.form_fields import What
from alerting.ports import Progress
from alerting.usecases.ingestion.asset_import import AssetsResult, import_assets, titles_by_name
from alerting.usecases.ingestion.imported_files import (
    DURATIONS,
    Reject,
    Understood,
    UnderstoodColumn,
)
from alerting.usecases.ingestion.stated_options import keep, recall, with_note
from alerting.usecases.ingestion.tables import (
    CheckedFile,
    ImportResult,
    check_rows,
    ignore_line,
)

_REMEDY = "give an option to read it otherwise, or --afresh"
_INTERRUPTED = (
    "the import was interrupted: what it has done stays; the same command does the rest, and "
    "nothing twice"
)
_COLUMNS = 40
import_group = command_group(
    "Import readings, events and assets from CSV (any separator, also compressed), workbooks or "
    "Parquet files.",
    epilog="A file is checked as a whole before anything is written. A second import of the same "
    "file changes nothing; repeat an interrupted import.",
)


@import_group.command()
@writes
@options.states_form("readings")
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
    wish = _Wish(file, "readings", stated, skip_bad, rejects, take_back, afresh, dry_run)
    return _import(wish)


@import_group.command()
@writes
@options.states_form("events")
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
    wish = _Wish(file, "events", stated, skip_bad, rejects, take_back, afresh, dry_run)
    return _import(wish, duration=DURATIONS[lasting], delay=delay)


@import_group.command()
@writes
@options.states_form(
    *("sheet", "asset_column", "asset_prefix", "separator", "decimal", "encoding", "rename", "only")
)
def assets(
    file: Annotated[
        Path,
        typer.Argument(
            help="YAML or JSON with asset documents, or a table of attributes.",
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


class _Wish(NamedTuple):
    """A file and the options of its command."""

    file: Path
    what: What
    stated: Stated
    skip_bad: bool
    rejects: Path | None
    take_back: bool
    afresh: bool
    dry_run: bool


def _import(wish: _Wish, **of_events: Any) -> Output:
    """Check a whole file, print its profile, and write its rows unless this is a dry run."""
    from alerting.adapters.files.find_form import hash_form
    from alerting.adapters.files.readings_and_events import open_rows

    file, rows, stated = wish[:3]
    hashed = hash_form(file, rows)
    with _rejects(wish) as reject, platform() as p:
        note = ""
        if not wish.afresh:
            stated, note = recall(p.file_forms, hashed, stated, p.zone, _REMEDY)
        form = options.file_form(stated)
        further = {"reject": reject, "take_back": wish.take_back, **of_events}

        def check(report: Progress) -> CheckedFile:
            source = open_rows(file, form, rows, skip_bad=wish.skip_bad)
            return check_rows(source, rows, p, now=datetime.now(UTC), progress=report, **further)

        with progress() as report:
            checked = with_note(partial(check, report), note)
        print_lines(lines_of_understood(checked.understood))
        if wish.dry_run:
            value = {"dry_run": True, "understood": checked.understood}
            return Output(value, ["dry run: nothing was written"])
        now = p.clock.now()
        try:
            with progress() as report:
                result = checked.write(now=now, actor=user(), progress=report)
        except Exception:
            errors.print(_INTERRUPTED)
            raise
        keep(p.file_forms, hashed, file.name, {} if wish.take_back else stated, now)
    path = str(getattr(reject, "path", "")) if result.rejected else None
    return Output(vars(result) | {"rejects": path}, _lines_of_result(result, path))


def _rejects(wish: _Wish) -> AbstractContextManager[Reject | None]:
    """Return the receiver of bad lines: a rejects file, none in a dry run, or None without
    --skip-bad."""
    from alerting.adapters.files.rows import RejectsFile, rejects_path

    if wish.rejects and not wish.skip_bad:
        raise typer.BadParameter("goes with --skip-bad only", param_hint="--rejects")
    if wish.skip_bad and not wish.dry_run:
        return RejectsFile(wish.rejects or rejects_path(wish.file), wish.file)
    return nullcontext(ignore_line if wish.skip_bad else None)


def lines_of_understood(u: Understood) -> Iterator[str]:
    """Yield what is in the file, and a line for each decision: how it is read, and remarks."""
    new = {*u.new_assets}
    assets = [f"{name} (new)" if name in new else name for name in u.assets]
    lines = _count(u.lines, "instant" if u.form.variable_column else "line")
    span = f", {_local(u.first, u.form)} to {_local(u.last, u.form)}" if u.first and u.last else ""
    columns = _names([_column(column, u) for column in u.columns], _COLUMNS)
    yield f"{u.source}: {lines} of {_names(assets)}{span}{columns and f': {columns}'}"
    yield from (f"  {say(line)}" for line in describe_form(u.form))
    yield from (f"  {line}" for line in bad_cells(u.columns))
    yield from (f"  {say(note)}" for note in u.notes)
    if u.removes is not None:
        yield f"  {_count(u.removes, 'row')} stored exactly as in this file"


def _count(counted: int | Sequence[str], noun: str) -> str:
    count = counted if isinstance(counted, int) else len(counted)
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _names(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _local(instant: datetime, form: FileForm) -> str:
    local = instant.astimezone(ZoneInfo(form.zone or "UTC"))
    return local.strftime("%Y-%m-%d %H:%M:%S") + ("" if form.zone else "Z")


def _column(column: UnderstoodColumn, understood: Understood) -> str:
    """Return the name and unit of a column; of a variable its type if it is no number, and whether
    it is new beside known assets."""
    is_told_new = column.new and {*understood.assets} > {*understood.new_assets}
    marks = [column.type] * (column.type != "number") + ["new"] * is_told_new
    marks = [] if understood.event_types else marks
    words = (legible(column.name, 60), column.unit, marks and f"({', '.join(marks)})")
    return " ".join(word for word in words if word)


def bad_cells(columns: Sequence[UnderstoodColumn]) -> Iterator[str]:
    """Yield a sentence on each column with cells that hold no value."""
    for column in [c for c in columns if c.bad][:_COLUMNS]:
        cells = ", ".join(
            legible(cell, 30) if column.bad == 1 else f"{count:,} x {legible(cell, 30)}"
            for cell, count in column.bad_cells.items()
        )
        where = f" (first: line {column.first_bad[0].split(',')[0]})" if column.first_bad else ""
        bad = f"{column.bad:,} cells are not numbers ({cells}) and count"
        if column.type == "category":
            bad = f"{column.bad:,} x no value ({cells}), which count"
        elif column.bad == 1:
            bad = f"1 cell is not a number ({cells}) and counts"
        yield f"column {column.title[:60]!r}: {bad} as missing{where}"


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
    if result.late:
        again = "again as far as the definitions' allowed lateness reaches"
        came = f"{result.late:,} came after their time was evaluated: "
        which = f"{'' if result.removed else came}the next evaluation evaluates their times"
        yield f"{which} {again}"
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
