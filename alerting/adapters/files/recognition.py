"""Detection of the columns of times and of the formats of stamps and numbers, from a file's first
rows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import Cells
from alerting.adapters.files.chunks import (
    ChunkedTable,
    no_column,
    similar_titles,
    title_list,
)
from alerting.adapters.files.times.counts import CountFormat, count_format, is_elapsed
from alerting.adapters.files.times.stamp_formats import (
    BLANK,
    CLOCK_ONLY,
    EPOCH,
    FORMATS,
    ISO,
    LETTER,
    ORDERS,
    StampFormat,
    fold,
    order_shown,
)
from alerting.adapters.files.times.zones import is_zone_name
from alerting.deferred import pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.readings.history import Millis

ROWS = 2_000
DEFAULT_TIME = "ts"
JOINED = " + "
MOST_PARTS = 7
_LEAST_SHARE_OF_STAMPS = 0.5  # least share of stamps among the cells of a time column
_FEW = 100  # cells of the first rows in which a format occurs at all
_FINER = 1.5  # times; a count with as many more instants than the stamps beside it is taken
_ISO_STAMP = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|z|[+-]\d\d(:?\d\d)?))?)?$"
_SHORT_NUMBER = r"^[+-]?\d{0,7}([.,]\d*)?$"  # fewer digits than yyyymmdd
_SINCE_1970 = r"^\d{9,13}([.,]\d{1,9})?$"
_DAY_ONLY = (
    rf"^(?:{LETTER}{{2,14}}[., ]+)?(?:\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}|(?:19|20)\d{{6}}"
    rf"|\d{{1,4}}[-. /]*{LETTER}{{3,14}}[-. /]*\d{{1,4}}|{LETTER}{{3,14}}[. ]*\d{{1,2}}, ?\d{{4}})$"
)
_HOUR = r"^(?:[01]?\d|2[0-4])$"
_HOUR_TITLES = r"(?i)^(?:hours?|hr|std|stunde|heure|hora|ora|uur|godz\w*|he|hour[ _]?ending)$"
_FRACTION_TITLES = {
    r"^(?:ms|(?i:msecs?|millis?|millitm|mil(?:l?i)[ _-]?s\w*|millisek\w*|milisek\w*))$": 3,
    r"^(?:us|µs|μs|(?i:usecs?|mi[ck]ro[ _-]?s\w*))$": 6,
    r"^(?:ns|(?i:nsecs?|nanos?|nano[ _-]?s\w*|.*nano[ _-]?offset.*))$": 9,
}
_TIME_TITLES = r"(?i)^(ts|t|times?|date|utc|.*zeit.*|datum.*|.*time.?stamp.*|t[ _]?stamp.*|.*[ _]stamp|clock|epoch.*|unix.*|.*date.*time.*|time[ _].*|.*[ _]time|.*ticks?|file ?time|horodat.*|fecha.*|hora.*|czas.*|data([ _]?e?[ _]?ora)?|tijd.*|tiempo.*|temps.*|heure.*|x[ _]?value|serial ?date|.*_(?:[mun]s|us|at)|oadate|excel.*)$"  # noqa: E501
_PREFERRED_TITLES = (
    *("ts", "_time", "timestamp", "datetime", "date_time", "zeitstempel", "time", "zeit"),
    *("timestring", "last_changed"),
)
_ZONE_TITLES = (
    r"(?i)^(?:time[ _-]?zone|tz|zone|zeitzone|fuseau.*|zona[ _]horaria|(?:utc|gmt)?[ _]?offset)$"
)
_PAIRS = (
    ("von", "bis"), ("from", "to"), ("start", "end"), ("begin", "end"), ("beginn", "ende"),
    ("anfang", "ende"), ("start", "stop"), ("start", "ende"), ("debut", "fin"), ("de", "a"),
    ("desde", "hasta"), ("inicio", "fin"), ("inizio", "fine"), ("da", "a"), ("van", "tot"),
    ("od", "do"), ("inicio", "fim"),
)  # fmt: skip
# year, month, day, hour, minute, second
_CALENDAR = (
    "year|yyyy|yy|yr|jahr|annee|ano|anno|jaar|rok",
    "month|mm|mo|mon|monat|mois|mes|mese|maand|miesiac",
    "day|dd|dy|tag|jour|dia|giorno|dag|dzien",
    "hour|hh|hr|stunde|std|heure|hora|ora|uur|godzina",
    "minute|mi|min|mn|mm|minuto|minuut|minuta",
    "second|ss|sec|s|sekunde|seconde|segundo|secondo|sekunda",
)
_CALENDAR_STAMP = StampFormat(
    "year month day hour minute second",
    r"^(?P<Y>\d{4}|\d\d) (?P<m>\d\d?) (?P<d>\d\d?)(?: (?P<H>\d\d?)(?: (?P<M>\d\d?)"
    r"(?: (?P<S>\d\d?)(?:[.,](?P<f>\d{1,9}))?)?)?)?$",
)
_DASH = "\u2013\u2014/~-"
_PLAIN_CLOCK = rf"\d{{1,2}}[:.]\d\d(?:[:.]\d\d(?:[.,]\d{{1,9}})?)?(?:{BLANK}?[AaPp]\.?[Mm]\.?)?Z?"
_INTERVAL = (
    rf"^(?P<start>(?:.*[^\d.:])?{_PLAIN_CLOCK}){BLANK}*(?:[{_DASH}]|bis|to|until|à|a|tot|do)"
    rf"{BLANK}*(?:\d.*[^\d.:])?{_PLAIN_CLOCK}"
    rf"(?:{BLANK}*\([A-Z]{{3,4}} ?/ ?[A-Z]{{3,4}}\)|(?P<zone>{BLANK}*\([A-Z]{{3,4}}\)))?$"
)
_OFFSET_LIKE = r"[+-]\d\d:?\d\d$"
_DAY_MS = 86_400_000
_QUARTER_MS = 900_000
_OFFSETS = 3  # most offsets of the zones of one file, which `06:00-06:15` might name

Sample = Mapping[str, Cells]


@dataclass(frozen=True)
class NumberForm:
    """Format of numbers. `shown`: the file has proved it, so that no later row changes it."""

    decimal: str
    shown: bool
    thousands: bool = False


def sample(table: ChunkedTable) -> dict[str, Cells]:
    """Return the first rows of a table, its cells cleaned."""
    rows = max(50, min(ROWS, 200_000 // len(table.titles)))
    first = table.first_rows(rows)
    if first is None:
        return {title: cell.column([]) for title in table.titles}
    return {title: cell.clean(cells.slice(0, rows)) for title, cells in first.columns.items()}


def number_form(cells: Sample, titles: Sequence[str], separator: str | None) -> NumberForm:
    """Return the decimal mark that most numbers of these columns show; else a point."""
    point = comma = 0
    for title in titles:
        points, commas = cell.decimal_mark(cells[title])
        point += points
        comma += commas
    decimal = "," if comma > point and separator != "," else "."
    thousands = any(cell.plainly_grouped(cells[title], decimal).any() for title in titles)
    return NumberForm(decimal, bool(point or comma), thousands)


def time_columns(
    table: ChunkedTable, time: str | None, cells: Sample, others: Sequence[str]
) -> tuple[str, ...]:
    """Return the titles of the column of stamps, or of the columns that make one; `others` have
    another known meaning.

    Raises UserError if there is none, or several match.
    """
    if time is not None:
        return _find_titles(table, time, cells)
    free = [title for title in table.titles if title not in others]
    titles = (DEFAULT_TIME,) if DEFAULT_TIME in table.titles else _stamp_titles(table, free, cells)
    fractions = [t for t in free if t not in titles and _fraction_width(cells[t], t)]
    is_behind = len(fractions) == 1 and _lacks_fraction(
        titles, cells, _fraction_width(cells[fractions[0]], fractions[0])
    )
    return (*titles, *fractions) if is_behind else titles


def _stamp_titles(table: ChunkedTable, free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    candidates = [
        title
        for title in free
        if contains_stamps(cells[title], title) and not _fraction_width(cells[title], title)
    ]
    counts = [t for t in candidates if count_format(cells[t], t, named=True) is not None]
    stamps = [title for title in candidates if title not in counts]
    if counts and stamps:
        candidates = counts if _are_finer(counts[0], stamps[0], cells) else stamps
    if len(candidates) > 1:
        days = [t for t in candidates if _share(cells[t], _DAY_ONLY) > _LEAST_SHARE_OF_STAMPS]
        candidates = [t for t in candidates if t not in days] or candidates
    candidates = candidates[:1] if _ends_of(candidates) else candidates
    if len(candidates) == 1 and _share(cells[candidates[0]], _DAY_ONLY) > _LEAST_SHARE_OF_STAMPS:
        return (candidates[0], *_clocks(free, cells))
    named = [t for word in _PREFERRED_TITLES for t in candidates if t.lower() == word]
    if len(candidates) > 1 and named:
        return (named[0],)
    if len(candidates) > 1:
        raise UserError(
            f"{table.path!s}: the columns {title_list([shown(t) for t in candidates])} all hold "
            "time stamps; name with --time the one of the measurement, of events that of their "
            "starts"
        )
    return (candidates[0],) if candidates else _without_stamps(table, free, cells)


def _without_stamps(table: ChunkedTable, free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    """Return columns of year, month and day, of an elapsed time, or of a clock time."""
    parts = _calendar_titles(free, cells)
    elapsed = [title for title in free if is_elapsed(cells[title], title)]
    clocks = _clocks(free, cells)
    titles = parts or tuple(elapsed[:1]) or clocks
    if not titles:
        counts = [shown(title) for title in free if is_elapsed(cells[title], "Time (s)")]
        hint = (
            f" If {', '.join(counts[:1])} counts from a start, name the columns with --columns, "
            "this one for example 'Time (ms)', and the start with --start 2026-03-02T07:18:18Z; of "
            "tables side by side, each needs its own import, with --only."
        )
        raise UserError(
            f"{table.path!s}: no column of time stamps was found: there is no column "
            f"{shown(DEFAULT_TIME)}; name it with --time.{hint if counts else ''} "
            f"Columns: {title_list(table.titles)}"
        )
    return titles


def _calendar_titles(free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    titles: list[str] = []
    for words in _CALENDAR:
        matching = [
            title
            for title in free
            if title not in titles and fold(re.sub(r"[\[(].*", "", title)) in words.split("|")
        ]
        if len(matching) > 1:  # MM of a month beside mm of a minute
            matching = [title for title in matching if title.isupper()]
        if len(matching) != 1 or _share(cells[matching[0]], r"^\d{1,4}([.,]\d+)?$") < 1:
            break
        titles += matching
    return tuple(titles) if len(titles) >= len(("year", "month", "day")) else ()


def _clocks(free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    """Return the one column of clock times, or the first of an interval; else that of hours."""
    clocks = [t for t in free if _is_clock(cells[t])]
    if len(clocks) == 1 or _ends_of(clocks):
        return (clocks[0],)
    hours = [
        title
        for title in free
        if re.match(_HOUR_TITLES, title.strip()) and _share(cells[title], _HOUR) == 1
    ]
    return tuple(hours) if len(hours) == 1 and not clocks else ()


def _is_clock(cells: Cells) -> bool:
    filled = cells.drop_null()
    texts = _starts(filled) if len(filled) and _are_intervals(filled) else filled
    return len(texts) > 0 and float(CLOCK_ONLY.matches(texts).mean()) > _LEAST_SHARE_OF_STAMPS


def _are_finer(count: str, stamp: str, cells: Sample) -> bool:
    return len(cells[count].unique()) > _FINER * len(cells[stamp].unique())


def _ends_of(titles: Sequence[str]) -> bool:
    """Return whether two titles name the start and the end of an interval."""
    if len(titles) != 2:
        return False
    first, second = (set(re.split(r"[^a-z]+", _plain(title))) for title in titles)
    return any(
        start in first - second and end in second - first and first - {start} == second - {end}
        for start, end in _PAIRS
    )


def _plain(title: str) -> str:
    decomposed = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title))
    return "".join(c for c in decomposed.lower() if not unicodedata.combining(c))


def interval_ends(titles: Sequence[str], times: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of the ends of intervals whose starts are the `times`."""
    return tuple(
        title
        for time in times
        for title in titles
        if title not in times and _ends_of((time, title))
    )


def restates_time(cells: Cells, title: str, at: Millis) -> bool:
    """Return whether each cell of a column is the time of its row, `at`, in any zone: as a stamp, a
    date, a clock time, or the parts of its second."""
    width = _fraction_width(cells, title)
    if width:
        parts = cell.numbers(cells)[0] // 10 ** (width - 3)
        return bool((np.isnan(parts) | (parts == at % 1000)).all())
    is_number = _share(cells[:_FEW], _SHORT_NUMBER) > _LEAST_SHARE_OF_STAMPS
    is_clock = not is_number and _is_clock(cells)
    if is_number or not (is_clock or contains_stamps(cells, title)):
        return False
    is_day = _share(cells, _DAY_ONLY) == 1
    form = CLOCK_ONLY if is_clock else count_format(cells, title, named=True) or stamp_format(cells)
    for order in next((orders for orders in ORDERS.values() if form in orders), (form,)):
        stamps = order.read(cells).at if order else cell.iso_stamps(cells)[0]
        behind = (at - stamps)[(at != cell.NO_INSTANT) & (stamps != cell.NO_INSTANT)]
        behind = behind % _DAY_MS if is_clock else behind - is_day * _DAY_MS // 2
        is_near = (np.abs(behind) < _DAY_MS) & (is_day | (behind % _QUARTER_MS < _QUARTER_MS // 15))
        shifts = len(np.unique(behind // (2 * _DAY_MS if is_day else _QUARTER_MS)))
        if 1 <= shifts <= 2 and is_near.all():  # that of a zone in winter, and in summer
            return True
    return False


def _find_titles(table: ChunkedTable, time: str, cells: Sample) -> tuple[str, ...]:
    if time in table.titles:
        return (time,)
    parts = tuple(part.strip() for part in time.split("+"))
    if 2 <= len(parts) <= MOST_PARTS and all(part in table.titles for part in parts):
        return parts
    stamps = [title for title in table.titles if contains_stamps(cells[title], title)]
    near = similar_titles(time, stamps) or stamps[:3] or similar_titles(time, table.titles)
    raise no_column(table, time, "--time", near)


def _fraction_width(cells: Cells, title: str) -> int:
    """Return the digits that a column of milli- or microseconds has behind a second; else 0."""
    widths = [
        width
        for words, width in _FRACTION_TITLES.items()
        if re.match(words, re.sub(r"[\[(].*", "", title).strip())
    ]
    is_whole = widths and _share(cells, rf"^\d{{1,{widths[0]}}}$") == 1
    return widths[0] if is_whole else 0


def _lacks_fraction(titles: Sequence[str], cells: Sample, width: int = 0) -> bool:
    """Return whether stamps end with whole seconds; a column of nanoseconds, of this `width`,
    belongs to a count of seconds, too."""
    if not titles or len(titles) == len(_CALENDAR):
        return bool(titles)
    seconds = r":\d\d:\d\d\D*$" + r"|^\d{9,10}$" * (width == 9)
    return _share(cells[titles[-1]], seconds) > _LEAST_SHARE_OF_STAMPS


def _are_intervals(cells: Cells) -> bool:
    """Return whether cells are `06:00 - 06:15`; a few ends `-05:00` may be offsets from UTC."""
    if _share(cells, _INTERVAL) <= _LEAST_SHARE_OF_STAMPS:
        return False
    offsets = pc.extract_regex(cells, rf"(?P<end>{_OFFSET_LIKE})").drop_null()
    distinct = len(pc.struct_field(offsets, "end").unique())
    return len(offsets) <= len(cells) / 2 or distinct > _OFFSETS


def zones_of_intervals(cells: Cells) -> list[str]:
    """Return the zones such as `(CET/CEST)` behind intervals."""
    parts = pc.extract_regex(cells, r"\d (?P<pair>\([A-Z]{3,4} ?/ ?[A-Z]{3,4}\))$")
    return [*pc.struct_field(parts, "pair").drop_null().unique().to_pylist()]


def _starts(cells: Cells) -> Cells:
    parts = pc.extract_regex(cells, _INTERVAL)
    starts = [pc.struct_field(parts, part) for part in ("start", "zone")]
    return pc.coalesce(pc.binary_join_element_wise(*starts, ""), cells)


@dataclass(frozen=True)
class TimeTexts:
    """How the cells of columns make stamps. The last one may hold `fraction` digits behind the
    second, or hours only; `is_interval`: each cell has a start and an end."""

    titles: tuple[str, ...]
    fraction: int = 0
    is_hour: bool = False
    is_interval: bool = False
    zone: str | None = None

    @classmethod
    def find(cls, titles: tuple[str, ...], cells: Sample, zone: str | None = None) -> TimeTexts:
        """Return how the first rows of these columns make stamps. `zone`: the column of zones."""
        if not titles:
            return cls(titles)
        last = cells[titles[-1]]
        width = _fraction_width(last, titles[-1]) if len(titles) > 1 else 0
        is_hour = (
            len(titles) == 2
            and not width
            and _share(cells[titles[0]], _DAY_ONLY) > _LEAST_SHARE_OF_STAMPS
            and _share(last, _HOUR) == 1
        )
        if len(titles) > 2 and not width and _share(last, r"^\d{1,3}$") == 1:
            width = 3 * _lacks_fraction(titles[:-1], cells)
        clock = cells[titles[-2]] if width else last
        return cls(titles, width, is_hour, _are_intervals(clock.drop_null()), zone)

    def join(self, cells: Mapping[str, Cells]) -> Cells:
        """Return the stamps as one column of text; empty ones without a column."""
        if not self.titles:
            return pa.nulls(len(next(iter(cells.values()))), pa.string())
        texts = [cells[title] for title in self.titles]
        if self.is_hour:
            texts[-1] = pc.binary_join_element_wise(pc.utf8_lpad(texts[-1], 2, "0"), "00", ":")
        fraction = pc.utf8_lpad(texts.pop(), self.fraction, "0") if self.fraction else None
        text = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")
        text = _starts(text) if self.is_interval else text
        if fraction is not None:
            behind = pc.binary_join_element_wise(text, fraction, "\n")
            text = pc.replace_substring_regex(behind, r"^(.*\d)(\D*)\n(\d+)$", r"\1.\3\2")
        return pc.binary_join_element_wise(text, cells[self.zone], " ") if self.zone else text


def has_stamps(table: ChunkedTable, time: str | None, form: StampFormat | None) -> bool:
    """Return whether a table has a column of time stamps beside another one. `time`: its title,
    below which numbers count as such; `form`: a further format."""
    cells = sample(table)
    return len(cells) > 1 and any(
        contains_stamps(column, title)
        or (
            form is not None
            and float(form.matches(column).mean() if len(column) else 0) > _LEAST_SHARE_OF_STAMPS
        )
        or (title == time and _share(column, _SINCE_1970) > _LEAST_SHARE_OF_STAMPS)
        for title, column in cells.items()
    )


def contains_stamps(cells: Cells, title: str) -> bool:
    """Return whether most cells of a column are stamps; plain numbers only below a time's title."""
    if _share(cells, _ISO_STAMP) > _LEAST_SHARE_OF_STAMPS:
        return True
    speaks = re.match(_TIME_TITLES, title.strip()) is not None
    if _share(cells, _SINCE_1970) > _LEAST_SHARE_OF_STAMPS:
        return speaks
    if speaks and count_format(cells, title, named=False) is not None:
        return True
    if _share(cells, _SHORT_NUMBER) > 1 - _LEAST_SHARE_OF_STAMPS:
        return False
    form = stamp_format(cells)
    return form is not None and (speaks or not form.name.startswith("yyyymmdd"))


def stamp_format(cells: Cells) -> StampFormat | None:
    """Return the format of most cells; if day or month may be first, the day first."""
    filled = cells.drop_null()
    if not len(filled) or _share(filled, _ISO_STAMP) > _LEAST_SHARE_OF_STAMPS:
        return None
    few = filled.take(pa.array(range(0, len(filled), len(filled) // _FEW + 1)))
    if _are_intervals(few):
        few = _starts(few)
        filled = _starts(filled)
    forms = (*FORMATS, *(orders[0] for orders in ORDERS.values()))
    shares = {f: float(f.matches(filled).mean()) for f in forms if f.matches(few).any()}
    best = max(shares, key=lambda f: shares[f], default=None)
    return best if best and shares[best] > _LEAST_SHARE_OF_STAMPS else None


def find_format(
    table: ChunkedTable, times: Sequence[str], texts: Cells, *, named: bool
) -> StampFormat | CountFormat | None:
    """Return the format of stamps in the first rows, day or month first as the file shows it; None
    for ISO 8601, and seconds or milliseconds since 1970. `named`: the user named their columns."""
    filled = texts.drop_null()
    if len(times) == 1 and (count := count_format(filled, times[0], named=named)):
        return None if count.is_read_with_iso else count
    alone = (_CALENDAR_STAMP,) if len(times) > 2 else (CLOCK_ONLY,)
    for form in alone if len(filled) else ():
        if float(form.matches(filled).mean()) > _LEAST_SHARE_OF_STAMPS:
            return form
    detected = stamp_format(filled)
    return with_order(table, times[0], detected) if detected else None


def zone_column(free: Sequence[str], times: Sequence[str], cells: Sample) -> str | None:
    """Return the title of the column that names the zones of stamps which name none; else None."""
    if not times or _share(cells[times[-1]], r"\d ?(Z|[+-]\d\d:?\d\d)$"):
        return None
    zones = [t for t in free if t not in times and re.match(_ZONE_TITLES, t.strip())]
    names = cells[zones[0]].drop_null().unique().to_pylist() if len(zones) == 1 else []
    return zones[0] if names and all(is_zone_name(name) for name in names) else None


def with_order(table: ChunkedTable, title: str, form: StampFormat) -> StampFormat:
    """Return the format, month first if the file shows it. Raises UserError without proof."""
    mark = next((mark for mark, orders in ORDERS.items() if form == orders[0]), None)
    if mark is None:
        return form
    for chunk in table.chunks([title]):
        order = order_shown(cell.clean(chunk.columns[title]), mark)
        if order >= 0:
            return ORDERS[mark][order]
    first, second = ORDERS[mark]
    raise UserError(
        f"{table.path!s}: column {shown(title)}: the stamps of the file do not show "
        f"whether the day or the month comes first; choose --time-format {first.name} or "
        f"--time-format {second.name}"
    )


def _share(cells: Cells, pattern: str) -> float:
    filled = cells.drop_null()
    matching = pc.sum(pc.match_substring_regex(filled, pattern)).as_py() or 0
    return matching / len(filled) if len(filled) else 0.0


def iso_or_epoch(cells: Cells) -> str:
    """Return the name of the format of stamps that are ISO 8601, or counts since 1970."""
    filled = cells.drop_null()
    if len(filled) and re.match(_SINCE_1970, filled[0].as_py()):
        count = count_format(filled, "", named=True)
        return count.name if count else EPOCH
    return ISO
