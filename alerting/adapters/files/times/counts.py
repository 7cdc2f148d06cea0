"""Time stamps that are counts: of microseconds since 1970, of days since 1899, of seconds since the
start of a recording."""

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells, FloatArray, as_mask
from alerting.adapters.files.times.stamp_formats import LocalStamps
from alerting.deferred import pa, pc
from alerting.readings.history import DAY_MS, Millis
from alerting.readings.vocabulary import VOCABULARY

_NUMBER = r"^[+-]?\d{1,19}([.,]\d{1,20})?([eE][+-]?\d{1,2})?$"
_WHOLE = r"^(?P<whole>[1-8]?\d{1,18})(?P<part>[.,]\d{1,20})?$"
_EARLIEST_MS = 100_000_000_000  # March 1973
_FIRST_MS = 631_152_000_000  # 1990
_LAST_MS = 4_102_444_800_000  # 2100
_MOSTLY = 0.9  # least share of the numbers, or of the steps of one direction


@dataclass(frozen=True)
class CountFormat:
    """Stamps that count from an origin. `unit`: milliseconds of one; `origin`: ms since 1970;
    `is_local`: they name no zone."""

    name: str
    unit: float
    origin: int
    is_local: bool = False

    def read(self, cells: Cells, zone: ZoneInfo | None = None) -> LocalStamps:
        """Return cells as milliseconds since 1970, local time as UTC; else `NO_INSTANT`."""
        del zone
        at, valid, cut = self._whole(cells) if self.unit < 1 else self._decimal(cells)
        if self.origin <= 0:  # that of no recording: a small number is a clock that was not set
            valid &= at >= _EARLIEST_MS
        naive = valid if self.is_local else np.zeros(len(cells), dtype=bool)
        return LocalStamps(np.where(valid, at, NO_INSTANT), naive, cut)

    def _whole(self, cells: Cells) -> tuple[Millis, BoolArray, int]:
        """Return counts below a millisecond: a float would round them."""
        parts = pc.extract_regex(cells, _WHOLE)
        valid = as_mask(pc.is_valid(parts))
        digits = pc.fill_null(pc.struct_field(parts, "whole"), "0")
        count = pc.cast(digits, pa.int64()).to_numpy(zero_copy_only=False)
        in_millis = round(1 / self.unit)
        cut = int(((count % in_millis != 0) & valid).sum())
        return count // in_millis + self.origin, valid, cut

    def _decimal(self, cells: Cells) -> tuple[Millis, BoolArray, int]:
        floats = as_floats(cells)
        valid = np.abs(floats) < _LAST_MS
        millis = np.round(np.where(valid, floats, 0) * self.unit, 4)
        # fractions of days and minutes are rounded by their writers
        whole = np.floor(millis) if self.unit in (1, 1000) else np.round(millis)
        cut = int((whole != millis).sum()) if self.unit in (1, 1000) else 0
        return whole.astype(np.int64) + self.origin, valid, cut


def as_floats(cells: Cells) -> FloatArray:
    """Return each cell as a number, with a decimal point or comma; NaN for all else."""
    is_number = pc.fill_null(pc.match_substring_regex(cells, _NUMBER), False)
    dotted = pc.replace_substring(pc.if_else(is_number, cells, None), ",", ".")
    floats, _ = cell.numbers(dotted)
    return floats


def mostly_numbers(cells: Cells) -> FloatArray:
    """Return the numbers among cells, one for each cell that is a number, if most filled ones are;
    else none."""
    floats = as_floats(cells)
    numbers = floats[~np.isnan(floats)]
    return numbers if len(numbers) >= _MOSTLY * (len(cells) - cells.null_count) else numbers[:0]


_1899 = -2_209_161_600_000
_WINCC = CountFormat("millionths of days since 1899-12-30 (WinCC)", 86.4, _1899, True)
# in this order: .NET ticks of today would be nanoseconds of 1990
COUNTS = (
    CountFormat("seconds since 1970", 1000, 0),
    CountFormat("milliseconds since 1970", 1, 0),
    CountFormat("microseconds since 1970", 1e-3, 0),
    CountFormat("100 ns since 1601 (Windows FILETIME)", 1e-4, -11_644_473_600_000),
    CountFormat("100 ns since the year 1 (.NET ticks)", 1e-4, -62_135_596_800_000, True),
    CountFormat("nanoseconds since 1970", 1e-6, 0),
    CountFormat("days since 1899-12-30 (Excel)", DAY_MS, _1899, True),
    _WINCC,
    CountFormat("days since the year 0 (MATLAB)", DAY_MS, -719_529 * DAY_MS, True),
)
_DAYS = COUNTS[-3:]
_1904 = CountFormat("days since 1904-01-01 (Excel)", DAY_MS, -24_107 * DAY_MS, True)
NAMED_COUNTS = {
    "excel": COUNTS[-3],
    "excel-1904": _1904,
    "matlab": COUNTS[-1],
    "seconds": COUNTS[0],
    "milliseconds": COUNTS[1],
}
"""The formats of counts by the name that `--time-format` takes."""
_DATE_TITLE = r"(?i).*(date|datum|day|tag|fecha|data|jour).*"
# others, such as a run time, may count anything
_DAYS_TITLE = (
    r"(?i)^(?:ts|t|time|times?tamp|time_ms|zeit|zeit(?:stempel|punkt)|x[ _]?value|horodatage"
    r"|(?:date|datum|fecha|data|serial|excel|ole|oadate|matlab)\b[^\[(]*|[^\[(]*date[ _]?time)$"
)


def count_format(cells: Cells, title: str, *, named: bool) -> CountFormat | None:
    """Return what the numbers of a column of times count from 1990 to 2100; None if they do not.

    Days must go on from row to row, unless the column was `named` as that of the stamps, and have
    fractions, unless its title is that of a date.
    """
    numbers = mostly_numbers(cells)
    steps = np.diff(numbers)
    steps = steps[steps != 0]
    for count in COUNTS if len(numbers) else ():
        millis = numbers * count.unit + count.origin
        if count in _DAYS and _has_unit(title) and (count, title) != (_WINCC, "Time_ms"):
            continue
        if ((millis >= _FIRST_MS) & (millis < _LAST_MS)).mean() < _MOSTLY:
            continue
        has_parts = bool((numbers != np.floor(numbers)).any())
        is_date = has_parts or re.match(_DATE_TITLE, title) is not None
        goes_on = len(steps) and max((steps > 0).mean(), (steps < 0).mean()) >= _MOSTLY
        is_titled = goes_on and is_date and re.match(_DAYS_TITLE, title.strip()) is not None
        return count if count not in _DAYS or named or is_titled else None
    return None


_UNITS: dict[str, tuple[str, float]] = {
    pattern: (name, millis) for pattern, (name, millis) in VOCABULARY["times"]["units"].items()
}
_SECONDS = ("seconds", 1000.0)
_ELAPSED = (
    r"(?is)^(?:(?:(?:rel(?:\w*[^\W_])?|test|run|elapsed|messzeit|mess|total)[ _-]*)?"
    r"(?:time|zeit|t|temps|tiempo|tempo|tijd|czas|laufzeit|messzeit|x[ _-]?value)"
    r"|elapsed(?:[ _-]?time)?|.*?since[ _-]start.*|seconds?|sekunden|secondes?|segundos|millis)"
    r"(?:(?:[ _-]*[\[(,/] ?|[ _-]+(?:in )?)(?P<unit>[a-zµμí]+)[\])]?)?$"
)


def elapsed_unit(title: str) -> tuple[str, float] | None:
    """Return the unit of a title such as `Time (s)`, `Zeit [ms]` or `X_Value`, and its
    milliseconds; None for others."""
    match = re.match(_ELAPSED, title.strip())
    if match is None:
        return None
    word = (match["unit"] or title.strip()).lower()
    units = [unit for pattern, unit in _UNITS.items() if re.fullmatch(pattern, word)]
    return units[0] if units else None if match["unit"] else _SECONDS


def _has_unit(title: str) -> bool:
    match = re.match(_ELAPSED, title.strip())
    return bool(match and match["unit"] and elapsed_unit(title))


def is_elapsed(cells: Cells, title: str) -> bool:
    """Return whether a column holds numbers that go on below the title of an elapsed time, from
    near 0 if it has no unit."""
    numbers = mostly_numbers(cells)
    if elapsed_unit(title) is None or len(numbers) < 2:
        return False
    steps = np.diff(numbers)
    near = _has_unit(title) or abs(numbers[0]) <= max(10 * float(np.abs(steps).max()), 1)
    return bool(near and (steps >= 0).mean() >= _MOSTLY and (steps > 0).any())


def elapsed_format(title: str, start: int, shown_start: str) -> CountFormat:
    """Return the format of counts from a start (ms) on."""
    name, millis = elapsed_unit(title) or _SECONDS
    return CountFormat(f"{name} since {shown_start}", millis, start)
