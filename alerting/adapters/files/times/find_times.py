"""How the rows of a table state their times: as its form says, and for the rest as its first rows
show; the columns of stamps, their format, the zone or the start that they count from."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerting.adapters.files import cells as cell
from alerting.adapters.files.chunks import ChunkedTable, title_list
from alerting.adapters.files.recognition import (
    ISO_STAMP,
    JOINED,
    LEAST_SHARE_OF_STAMPS,
    Sample,
    TimeTexts,
    find_format,
    restates_time,
    share,
    zones_of_intervals,
)
from alerting.adapters.files.roles import interval_ends, time_columns
from alerting.adapters.files.times.counts import (
    COUNTS,
    NAMED_COUNTS,
    CountFormat,
    count_format,
    elapsed_format,
    elapsed_unit,
    is_elapsed,
    mostly_numbers,
)
from alerting.adapters.files.times.instants import (
    DEFAULT_START,
    SequenceStamps,
    StampReader,
    show_instant,
)
from alerting.adapters.files.times.stamp_formats import CLOCK_ONLY, ISO, StampFormat, named_format
from alerting.adapters.files.times.zones import find_zone, is_zone_name, zone_in
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import FileForm
from alerting.definitions.wording.language import join_with_and
from alerting.readings.history import duration_millis, from_millis, to_millis
from alerting.readings.vocabulary import VOCABULARY

# a title of clock times that names the time since a start
_COUNTS = r"(?i).*(elapsed|laufzeit|messzeit|rel|run|test|since|dur|écoulé)"


class FileTimes(NamedTuple):
    """How the rows of a table state their times. `texts`: the columns that make stamps;
    `new_stamps`: makes a reader of them for one pass; `name`: their format in words; `zone`: of
    stamps without one, by the reason `zone_from`, and whether they have one (`are_zoned`).
    `ignored`: further columns of times, which are no values."""

    texts: TimeTexts
    new_stamps: Callable[..., StampReader | SequenceStamps]
    name: str
    zone: ZoneInfo | None
    zone_from: str
    are_zoned: bool = True
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_times(
    table: ChunkedTable, form: FileForm, cells: Sample, used: Sequence[str], *, with_ends: bool
) -> FileTimes:
    """Return how a table states its times. `cells`: its first rows; `used`: columns with another
    known meaning; `with_ends`: the ends of intervals are read, too. Raises UserError if that is
    not clear."""
    has_columns = form.sequence is None or form.time is not None
    titles = time_columns(table, form.time, cells, used) if has_columns else ()
    ends = () if with_ends or form.only else interval_ends(table.titles, titles)
    texts = TimeTexts.find(titles, cells, _zone_column(table, form, titles, cells, used))
    sample = texts.join(cells)
    notes = []
    if ends:
        columns = join_with_and(*map(shown, ends))
        notes.append(
            f"the stamps are the starts of intervals; their ends in {columns} are not imported"
        )
    if texts.is_interval:
        notes.append("the stamps are intervals; the start of each counts")
    if texts.fraction:
        notes.append(f"{shown(titles[-1])} is read as a part of the seconds of the stamps")
    if form.sequence is not None:
        zone, zone_from, _ = _zone(table, form, {}, None, sample)
        start = _instant(form.start or DEFAULT_START, zone)
        step = duration_millis(form.sequence)
        new_stamps = partial(SequenceStamps, start, step, JOINED.join(titles) or None)
        name = new_stamps().message
        return FileTimes(texts, new_stamps, name, zone, zone_from, ignored=ends, notes=tuple(notes))
    is_iso = share(sample, ISO_STAMP) > LEAST_SHARE_OF_STAMPS
    written = shown_format = None
    if form.time_format is not None:
        text = form.time_format
        written = NAMED_COUNTS.get(text.strip().lower()) or named_format(text)
    elif not is_iso:
        shown_format = find_format(table, titles, sample, named=form.time is not None)
        # seconds and milliseconds since 1970 may stand beside ISO 8601
        written = None if shown_format in COUNTS[:2] else shown_format
    sources = dict.fromkeys(titles, "the title of the column says")
    if texts.is_interval:
        sources |= dict.fromkeys(zones_of_intervals(cells[titles[-1]]), "the stamps say")
    zone, zone_from, more = _zone(table, form, sources, written, sample)
    first_day = None
    if not is_iso or form.start:
        written, first_day = _count_from_start(table, form, titles, written, zone, sample)
    is_count = len(titles) > 1 and not (written or is_iso or form.time_format)
    shown_format = count_format(sample, "", named=True) if is_count else shown_format
    name = written.name if written else shown_format.name if shown_format else ISO
    read = StampReader(written, None, first_day).read(sample)
    are_zoned = len(sample) > 0 and not read.zoneless and not read.bad.all()
    if not (with_ends or form.only):
        at = read.at if are_zoned else StampReader(written, zone, first_day).read(sample).at
        taken = {*used, *texts.columns, *ends, *form.rename, *form.types}
        free = [t for t in table.titles if t not in taken]
        again = [t for t in free if restates_time(cells[t], t, at)]
        if again and len(again) < len(free):
            ends = (*ends, *again)
            more.append(
                "columns that state the times again are left out: "
                f"{title_list([shown(title) for title in again])}"
            )
    ignored = (*ends, *texts.columns[len(titles) :])
    new_readers = partial(StampReader, written, zone=zone, first_day=first_day)
    return FileTimes(texts, new_readers, name, zone, zone_from, are_zoned, ignored, (*notes, *more))


def _zone_column(
    table: ChunkedTable, form: FileForm, titles: Sequence[str], cells: Sample, used: Sequence[str]
) -> str | None:
    """Return the title of the column that names the zones of stamps which name none; None without
    one. Raises UserError if it names places."""
    free = [t for t in table.titles if t not in (*used, *titles)]
    free = [title for title in free if re.match(VOCABULARY["times"]["zone"], title.strip())]
    if len(free) != 1 or not titles or share(cells[titles[-1]], r"\d ?(Z|[+-]\d\d:?\d\d)$"):
        return None
    zones = cells[free[0]].drop_null().unique().to_pylist()
    if not zones or not all(map(is_zone_name, zones)):
        return None
    if "/" not in zones[0]:
        return free[0]
    if form.zone is None:
        raise UserError(
            f"{table.path!s}: the column {shown(free[0])} names the zone of each stamp; if it is "
            f"the same for all, give it with --tz {zones[0]}; else import the lines of each zone "
            "on their own"
        )
    return None


def _zone(
    table: ChunkedTable,
    form: FileForm,
    sources: Mapping[str, str],
    written: StampFormat | CountFormat | None,
    sample: cell.Cells,
) -> tuple[ZoneInfo | None, str, list[str]]:
    """Return the zone of stamps without one, the reason for it, and sentences on it: --tz, the
    file, or the plant's. `sources`: how a zone in a title or in cells is told."""
    chosen = find_zone(form.zone)
    if chosen and not StampReader(written, None).read(sample).zoneless:
        return chosen, "--tz", []
    local = chosen or find_zone(form.plant_zone)
    above = table.stated.zone
    sources = {**sources, above: "a line above the table says"} if above else sources
    try:
        named = ((zone_in(text, local), reason) for text, reason in sources.items())
        stated = next(((*zone, reason) for zone, reason in named if zone), None)
    except UserError as error:
        raise UserError(f"{table.path!s}: {error.message}") from error
    notes = []
    if above and not stated:
        notes.append(f"the zone {shown(above)} above the table is unknown; name it with --tz")
    reason = f"{stated[2]} {stated[1]}" if stated else "ALERTING_TIMEZONE"
    if chosen:
        zones = (stated[0], chosen) if stated else (chosen, chosen)
        first, second = (StampReader(written, zone).read(sample).at for zone in zones)
        if (first != second).any():
            notes.append(f"{reason}, but --tz says {chosen.key}, which counts")
        return chosen, "--tz", notes
    if not stated and local is None:
        reason = "neither --tz nor ALERTING_TIMEZONE names a zone"
    return stated[0] if stated else local, reason, notes


def _count_from_start(
    table: ChunkedTable,
    form: FileForm,
    titles: Sequence[str],
    written: StampFormat | CountFormat | None,
    zone: ZoneInfo | None,
    sample: cell.Cells,
) -> tuple[StampFormat | CountFormat | None, int | None]:
    """Return the format with that from which elapsed times count, and the first day (ms) of clock
    times. Raises UserError if neither the file nor --start says it."""
    text = form.start or table.stated.start
    is_clock = written is CLOCK_ONLY
    time = shown(JOINED.join(titles))
    if is_clock:  # their title says so, or they begin with 0:00 and the start does not
        begins = CLOCK_ONLY.read(sample.drop_null()[:1]).at[0] == 0
        is_later = text and len(text) > len("2026-03-02") and not re.search(r"[T ]00:00", text)
        counts = re.match(_COUNTS, JOINED.join(titles)) or (begins and is_later)
    else:
        is_plain = written is None and not form.time_format and len(titles) == 1
        counts = (
            is_plain
            and count_format(sample, titles[0], named=True) is None
            and (
                is_elapsed(sample, titles[0])
                or (text is not None and form.time is not None and len(mostly_numbers(sample)))
            )
        )
    if not counts and is_clock:
        return written, _day(
            form.start or table.stated.date or text, f"{table.path}: the times in {time}"
        )
    if not counts and form.start is not None:
        raise UserError(
            f"{table.path}: --start goes with --sequence, with a column of counts from a start "
            "such as 'Time (s)', or with clock times without a date"
        )
    if not counts:
        return written, None
    if text is None:
        unit = elapsed_unit(titles[0])
        raise UserError(
            f"{table.path}: the times in {time} count {unit[0] if unit else 'seconds'} from a "
            "start that the file does not state: give it with --start 2026-03-02T07:18:18Z"
        )
    start = _instant(text, zone)
    words = f"{show_instant(start)} ({'--start' if form.start else 'a line above the table'})"
    if not is_clock:
        return elapsed_format(titles[0], start, words), None
    first = from_millis(start).astimezone(zone or UTC).replace(tzinfo=UTC)  # as if it were UTC
    return StampFormat(f"HH:MM:SS since {words}", CLOCK_ONLY.pattern), to_millis(first)


def _instant(text: str, zone: ZoneInfo | None) -> int:
    at = int(StampReader(None, zone).read(cell.column([text])).at[0])
    if at == cell.NO_INSTANT:
        raise UserError(
            f"--start {text!r} is not an instant; write for example --start 2026-01-05T06:00:00Z"
        )
    return at


def _day(text: str | None, times: str) -> int:
    """Return the day (ms) of a date or an instant. Raises UserError if there is none; `times`: its
    subject."""
    try:
        day = datetime.fromisoformat((text or "")[:10])
    except ValueError as error:
        raise UserError(
            f"{times} name no date; give that of the first line with --start 2026-03-02"
        ) from error
    return to_millis(day.replace(tzinfo=UTC))
