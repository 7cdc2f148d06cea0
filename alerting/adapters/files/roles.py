"""Roles of columns, from the first rows of a table: which hold the stamps; in a file with one row
for each value, which names the variable, which holds the value, which its unit and its quality.

What speaks for a role has a score. The column with the highest one has the role, unless another is
as near to it as `MARGIN`: then the person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import clean
from alerting.adapters.files.chunks import (
    Cells,
    ChunkedTable,
    column,
    no_column,
    similar_titles,
    title_list,
)
from alerting.adapters.files.recognition import (
    DAY_ONLY,
    HOUR,
    LEAST_SHARE_OF_STAMPS,
    MOST_PARTS,
    ROWS,
    Sample,
    contains_stamps,
    fraction_width,
    is_clock,
    lacks_fraction,
    share,
)
from alerting.adapters.files.times.counts import count_format, is_elapsed
from alerting.adapters.files.times.stamp_formats import fold
from alerting.deferred import pc, pd
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import FileForm
from alerting.readings.history import Millis, grade
from alerting.readings.vocabulary import VOCABULARY

MARGIN = 5
_PREFERRED = VOCABULARY["times"]["preferred"]
SCORES: Mapping[str, Mapping[str, int]] = {
    "stamp": {
        "stamps": 400,
        "a count beside stamps": -200,
        "a count that is finer": 200,
        "a day alone": -150,
        "the end of an interval": -150,
        "a preferred name": 10,
    },
    "variable": {"titled": 250, "tells rows apart": 200},
    "value": {"titled": 250, "varies": 100},
    "unit": {"titled": 100, "numbers": -100},
    "quality": {"graded": 110, "surely": 50, "a status": -10},
}
"""Points for each role, by reason."""
_TITLED = {role: re.compile(pattern) for role, pattern in VOCABULARY["columns"].items()}
DEFAULT_TIME = "ts"
_FINER = 1.5  # times; a count with as many more instants than the stamps beside it is taken
_NUMBER = r"^[-+]?[\d.,]*\d([eE][-+]?\d+)?$"
_INTEGER = r"^-?\d{1,18}$"
_LOGGER = r"^\$RT_\w+\$$"  # rows of WinCC on its own log
VALIDITY_FLAGS = {"1": "good", "true": "good", "0": "bad", "false": "bad"}
_LEAST_SHARED = 0.5  # least share of rows whose instant has rows with other texts
_LEAST_SHARED_OF_CHUNK = 0.2
_MOST_REPEATED = 0.02  # most rows that repeat a variable of an instant


class RoleChoice(NamedTuple):
    """The column with the highest score, and those that are as near to it as the margin."""

    best: str
    rivals: list[str]


def choose(
    role: str, among: Iterable[str], tests: Mapping[str, Callable[[str], int]]
) -> RoleChoice | None:
    """Return the column of a role by what speaks for each; None if nothing speaks for any.
    `tests`: whether, or how much, a fact of the role holds for a title."""
    scores = {t: sum(SCORES[role][fact] * test(t) for fact, test in tests.items()) for t in among}
    best = max(scores, key=lambda title: scores[title], default=None)
    if best is None or scores[best] <= 0:
        return None
    near = (title for title, score in scores.items() if score >= scores[best] - MARGIN)
    return RoleChoice(best, [title for title in near if title != best])


def time_columns(
    table: ChunkedTable, time: str | None, cells: Sample, others: Sequence[str]
) -> tuple[str, ...]:
    """Return the titles of the column of stamps, or of the columns that make one. `time`: as
    stated; `others` have another known meaning.

    Raises UserError if there is none, or several match.
    """
    parts = tuple(part.strip() for part in (time or "").split("+"))
    if time in table.titles:
        return (time,)
    if 2 <= len(parts) <= MOST_PARTS and {*parts} <= {*table.titles}:
        return parts
    if time is not None:
        stamps = [title for title in table.titles if contains_stamps(cells[title], title)]
        near = similar_titles(time, stamps) or stamps[:3] or similar_titles(time, table.titles)
        raise no_column(table, time, "--time", near)
    free = [title for title in table.titles if title not in others]
    titles = (DEFAULT_TIME,) if DEFAULT_TIME in table.titles else _stamp_titles(table, free, cells)
    fractions = [t for t in free if t not in titles and fraction_width(cells[t], t)]
    is_behind = len(fractions) == 1 and lacks_fraction(
        titles, cells, fraction_width(cells[fractions[0]], fractions[0])
    )
    return (*titles, *fractions) if is_behind else titles


def _stamp_titles(table: ChunkedTable, free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    stamps = [t for t in free if contains_stamps(cells[t], t) and not fraction_width(cells[t], t)]
    counts = [t for t in stamps if count_format(cells[t], t, named=True) is not None]
    plain = [title for title in stamps if title not in counts]
    distinct = [len(cells[t].unique()) for t in (*counts[:1], *plain[:1])]
    is_finer = len(distinct) == 2 and distinct[0] > _FINER * distinct[1]
    preferred = {name: rank for rank, name in enumerate(_PREFERRED[::-1], 1)}
    beside = "a count that is finer" if is_finer else "a count beside stamps"
    tests: dict[str, Callable[[str], int]] = {
        "stamps": lambda _: True,
        beside: lambda title: bool(plain) and title in counts,
        "a day alone": lambda title: share(cells[title], DAY_ONLY) > LEAST_SHARE_OF_STAMPS,
        "the end of an interval": lambda title: any(ends_of((t, title)) for t in stamps),
        "a preferred name": lambda title: preferred.get(title.lower(), 0),
    }
    choice = choose("stamp", stamps, tests if len(stamps) > 1 else {"stamps": tests["stamps"]})
    if choice is None:
        return _without_stamps(table, free, cells)
    if choice.rivals:
        equal = [title for title in stamps if title in (choice.best, *choice.rivals)]
        raise UserError(
            f"{table.path!s}: the columns {title_list([shown(t) for t in equal])} all hold "
            "time stamps; name with --time the one of the measurement, of events that of their "
            "starts"
        )
    is_day = share(cells[choice.best], DAY_ONLY) > LEAST_SHARE_OF_STAMPS
    return (choice.best, *(_clocks(free, cells) if is_day else ()))


def _without_stamps(table: ChunkedTable, free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    """Return columns of year, month and day, of an elapsed time, or of a clock time."""
    elapsed = [title for title in free if is_elapsed(cells[title], title)]
    titles = _calendar_titles(free, cells) or tuple(elapsed[:1]) or _clocks(free, cells)
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
    for words in VOCABULARY["times"]["calendar"]:
        matching = [
            title
            for title in free
            if title not in titles and fold(re.sub(r"[\[(].*", "", title)) in words.split("|")
        ]
        if len(matching) > 1:  # MM of a month beside mm of a minute
            matching = [title for title in matching if title.isupper()]
        if len(matching) != 1 or share(cells[matching[0]], r"^\d{1,4}([.,]\d+)?$") < 1:
            break
        titles += matching
    return tuple(titles) if len(titles) >= len(("year", "month", "day")) else ()


def _clocks(free: Sequence[str], cells: Sample) -> tuple[str, ...]:
    """Return the one column of clock times, or the first of an interval; else that of hours."""
    clocks = [title for title in free if is_clock(cells[title])]
    if len(clocks) == 1 or (len(clocks) == 2 and ends_of(clocks)):
        return (clocks[0],)
    hours = [
        title
        for title in free
        if re.match(VOCABULARY["times"]["hour"], title.strip()) and share(cells[title], HOUR) == 1
    ]
    return tuple(hours) if len(hours) == 1 and not clocks else ()


def ends_of(titles: Sequence[str]) -> bool:
    """Return whether these two titles name the start and the end of an interval."""
    parts = (re.split(r"[\W\d_]+|(?<=[a-z])(?=[A-Z])", title) for title in titles)
    first, second = ({*map(fold, words)} for words in parts)
    return any(
        start in first - second and end in second - first and first - {start} == second - {end}
        for start, end in VOCABULARY["times"]["starts_and_ends"]
    )


def interval_ends(titles: Sequence[str], times: Sequence[str]) -> tuple[str, ...]:
    """Return the titles of the ends of intervals whose starts are the `times`."""
    return tuple(
        title for time in times for title in titles if title not in times and ends_of((time, title))
    )


class LongColumns(NamedTuple):
    """Columns of a file with one row for each value. `aside` are not read; `bound` are those of
    them that must be the same in all rows of a variable, else they may tell rows apart.
    `is_stated`: both the variable and the value were named."""

    times: tuple[str, ...]
    asset: str | None
    variable: str
    value: str
    unit: str | None
    quality: str | None
    aside: tuple[str, ...]
    bound: tuple[str, ...]
    is_stated: bool

    @property
    def keys(self) -> list[str]:
        """Return the columns that tell the instants apart."""
        return [*self.times, *([self.asset] if self.asset else [])]


def is_no_variable(texts: Cells, title: str) -> Cells:
    """Return a mask of texts that name no variable: empty ones, those of rows of the logger on its
    own log, and the title of the column itself, where the titles stand again."""
    is_none = pc.or_(pc.match_substring_regex(texts, _LOGGER), pc.equal(texts, title))
    return pc.fill_null(is_none, True)


def _letters(title: str) -> str:
    return re.sub(r"[\W_]+", "", title.casefold())


def is_titled(role: str, title: str) -> bool:
    """Return whether a title says that its column has this role."""
    return _TITLED[role].fullmatch(_letters(title)) is not None


def distinguishes_rows(texts: Any, instants: Any) -> bool:
    """Return whether few texts, each several times, tell apart the rows of most instants.
    `texts`, `instants`: of the rows, as columns and table of pandas."""
    pairs = instants.assign(_text=texts)[texts.notna()]
    if len(pairs) < 4 or not 2 <= pairs["_text"].nunique() <= len(pairs) / 2:
        return False
    distinct = pairs.drop_duplicates()
    is_shared = distinct.duplicated([*instants.columns], keep=False).mean() >= _LEAST_SHARED
    return bool(is_shared) and len(pairs) - len(distinct) <= _MOST_REPEATED * len(pairs)


def distinguishing_column(
    cells: Mapping[str, Cells], assets: npt.NDArray[np.object_], at: Millis
) -> str | None:
    """Return the column of texts that tells apart the rows of one instant; None if there is none,
    or few rows share an instant."""
    instants = pd.DataFrame({"asset": assets, "at": at})
    is_shared = instants.duplicated(keep=False)
    if not is_shared.mean() >= _LEAST_SHARED_OF_CHUNK:
        return None
    instants = instants[is_shared].sort_values("at", kind="stable").head(ROWS)
    for title, written in cells.items():
        texts = written.take(instants.index.to_numpy())
        series = pd.Series(texts.to_pandas(), dtype=object)
        if share(texts, _NUMBER) < 0.5 and distinguishes_rows(
            series, instants.reset_index(drop=True)
        ):
            return title
    return None


def find_long_form(
    table: ChunkedTable, form: FileForm, cells: Mapping[str, Cells], asset: str | None
) -> LongColumns | None:
    """Return the columns of a file with one row for each value; None if it has a column for each
    variable. Raises UserError if it has such rows and more than one column may be meant.

    `cells`: its first rows; `asset`: the column of the asset.
    """
    named = {"--variable-column": form.variable_column, "--value-column": form.value_column}
    stated = [title for title in named.values() if title]
    if stated and (form.is_wide or form.sequence) and not form.quality_suffix:
        raise UserError(
            "--variable-column and --value-column are for files with stamps and one row for each "
            "value; they do not go with --wide or --sequence"
        )
    if form.is_wide or form.sequence or form.quality_suffix:
        return None
    for option, title in named.items():
        if title:
            column(table, title, option)
    texts = (t for t in table.titles if _may_be_variable(t, cells[t]))
    if not stated and all(contains_stamps(cells[title], title) for title in texts):
        return None
    try:
        times = time_columns(table, form.time, cells, [t for t in (asset, *stated) if t])
    except UserError:
        if stated:
            raise
        return None
    return _LongForm(table, form, cells, times, asset).find()


def _may_be_variable(title: str, cells: Cells) -> bool:
    """Return whether a column holds texts, or whole numbers below the title of a variable."""
    is_named = is_titled("variable", title) and share(cells, _INTEGER) == 1.0
    return cells.null_count < len(cells) and (is_named or share(cells, _NUMBER) < 0.5)


class _LongForm:
    """The first rows of a table, of which one may hold one value."""

    def __init__(
        self,
        table: ChunkedTable,
        form: FileForm,
        cells: Mapping[str, Cells],
        times: tuple[str, ...],
        asset: str | None,
    ) -> None:
        again = [pc.fill_null(pc.equal(column, title), False) for title, column in cells.items()]
        is_row = np.sum([mask.to_numpy(zero_copy_only=False) for mask in again], axis=0) < 2
        self._table = table
        self._form = form
        self._cells = {title: column.filter(is_row) for title, column in cells.items()}
        self._times = times
        self._asset = asset
        keys = [*times, *([asset] if asset else [])]
        self._rest = [title for title in table.titles if title not in keys]
        self._instants = pd.DataFrame({title: self._texts(title) for title in keys})

    def find(self) -> LongColumns | None:
        """Return the columns; None without a variable or a value among them."""
        form = self._form
        unit = self._sole("unit", {"titled": lambda _: True, "numbers": self._are_numbers}, "unit")
        quality = form.quality and column(self._table, form.quality, "--quality")
        quality = quality or self._sole(
            "quality",
            {
                "graded": self._is_graded,
                "surely": lambda title: self._is_graded(title, surely=True),
                "a status": lambda title: "stat" in _letters(title),
            },
            *("quality", "validity"),
        )
        self._rest = [title for title in self._rest if title not in (unit, quality)]
        named = [t for t in self._rest if is_titled("value", t) and not self._is_empty(t)]
        named = [t for t in named if t == named[0] or not self._is_copy(t, named[0])]
        variable = form.variable_column or self._variable(named)
        if variable is None:
            if form.value_column:
                raise self._undecided("the column that names the variable of each value", [])
            return None
        others = [title for title in self._rest if title != variable]
        varying = [title for title in others if self._varies(title, variable)]
        value = form.value_column or self._value(variable, named, varying)
        if value is None:
            return None
        remarks = [t for t in varying if self._cells[t].null_count > 0.8 * len(self._instants)]
        remarks = [title for title in remarks if not self._are_numbers(title)]
        open_ones = [t for t in varying if t not in remarks and not self._is_copy(t, value)]
        open_ones += [t for t in others if t not in open_ones and self._is_instead_of(t, value)]
        is_stated = bool(form.variable_column and form.value_column)
        if not is_stated and not self._is_decided(variable, value, open_ones):
            return None
        aside = [title for title in others if title != value]
        checked = [t for t in aside if not (is_stated or self._is_time(t) or self._is_empty(t))]
        bound = tuple(title for title in checked if self._is_function(title, [variable]))
        return LongColumns(
            *(self._times, self._asset, variable, value, unit, quality),
            *(tuple(aside), bound, is_stated),
        )

    def _sole(
        self, role: str, tests: Mapping[str, Callable[[str], int]], *titled: str
    ) -> str | None:
        """Return the column of a role if no other is as likely, among those titled so."""
        among = [title for title in self._rest if any(is_titled(words, title) for words in titled)]
        choice = choose(role, among, tests)
        return choice.best if choice and not choice.rivals else None

    def _is_graded(self, title: str, *, surely: bool = False) -> bool:
        """Return whether a column holds qualities, `surely` not codes of which the kind is open."""
        is_flag = is_titled("validity", title)
        if not is_flag and not is_titled("quality", title):
            return False
        texts = pc.unique(self._cells[title].drop_null()).to_pylist()
        return bool(texts) and all(
            (is_flag and text.casefold() in VALIDITY_FLAGS)
            or (not surely and re.match(_INTEGER, text))
            or grade(text, self._form.quality_codes)
            for text in texts
        )

    def _variable(self, values: Sequence[str]) -> str | None:
        """Return the column that names the variable, by its title or because it tells the rows of
        an instant apart."""
        texts = [
            title
            for title in self._rest
            if title not in values and title != self._form.value_column
            if _may_be_variable(title, self._cells[title]) and not self._is_time(title)
        ]
        has_value = len(values) == 1 or self._form.value_column is not None
        titled = [title for title in texts if has_value and is_titled("variable", title)]
        tests = {"titled": titled.__contains__, "tells rows apart": self._distinguishes_rows}
        choice = choose("variable", texts, tests)
        if choice is None:
            return texts[0] if len(texts) == 1 and self._comes_back(texts[0], values) else None
        first, *others = [t for t in texts if t in (choice.best, *choice.rivals)]
        others = [title for title in others if not self._is_function(title, [first])]
        if others and (titled or has_value):
            raise self._undecided("the column that names the variable", [first, *others])
        return None if others else first

    def _comes_back(self, title: str, named: Sequence[str]) -> bool:
        """Return whether the first rows have one text, and later ones another at instants of these
        rows, beside one column of values: one variable comes after the other."""
        values = named or [t for t in self._rest if t != title and self._varies(t, title)]
        keys = [*self._times, *([self._asset] if self._asset else [])]
        first = self._cells[title]
        if len(values) != 1 or len(first) < ROWS or first.null_count or len(first.unique()) > 1:
            return False
        return any(
            pc.any(
                reduce(
                    pc.and_,
                    [pc.is_in(clean(chunk.columns[key]), self._cells[key]) for key in keys],
                    pc.not_equal(clean(chunk.columns[title]), first[0]),
                )
            ).as_py()
            for chunk in self._table.chunks([title, *keys])
        )

    def _value(self, variable: str, named: Sequence[str], varying: Sequence[str]) -> str | None:
        tests = {"titled": named.__contains__, "varies": varying.__contains__}
        choice = choose("value", dict.fromkeys((*named, *varying)), tests)
        is_shaped = self._distinguishes_rows(variable)
        is_stated = self._form.variable_column is not None
        is_clear = choice is not None and not choice.rivals
        if choice and is_clear and (len(named) == 1 or is_shaped or is_stated):
            return choice.best
        if is_stated or (is_shaped and is_titled("variable", variable)):
            among = [t for t in varying if choice and t in (choice.best, *choice.rivals)]
            raise self._undecided("the column of values", among)
        return None

    def _is_decided(self, variable: str, value: str, varying: Sequence[str]) -> bool:
        """Return whether the columns may be read so. Raises UserError if others are as likely."""
        form = self._form
        is_shaped = self._distinguishes_rows(variable)
        numbers = [title for title in varying if self._are_numbers(title)]
        named = [t for t in (*form.only, *form.rename) if t in (variable, value)]
        is_plain = _letters(value) == "state" or is_titled("plain_name", variable)
        is_constant = pc.count_distinct(self._cells[variable]).as_py() < 2
        if not is_shaped and (named or (numbers and (is_plain or is_constant))):
            return False
        if named:
            raise UserError(
                f"{self._table.path!s}: one row holds one value: {shown(variable)} names the "
                f"variable of each value in {shown(value)}. Name variables, not {shown(named[0])}, "
                "with --only and --rename, or give --wide"
            )
        if varying:
            raise self._undecided("the meaning of its columns", [variable, value, *varying])
        if is_titled("asset", variable) and self._asset is None:
            raise UserError(
                f"{self._table.path!s}: {shown(variable)} tells the rows of one instant apart. If "
                f"it names the asset, give --asset-column {variable!r} instead of --asset; if it "
                f"names the variable, --variable-column {variable!r} --value-column {value!r}"
            )
        return True

    def _texts(self, title: str) -> Any:
        return pd.Series(self._cells[title].to_pandas(), dtype=object)

    def _are_numbers(self, title: str) -> bool:
        return share(self._cells[title], _NUMBER) >= 0.5

    def _is_instead_of(self, title: str, value: str) -> bool:
        """Return whether a column is filled in the rows only that have no value."""
        is_filled = pc.is_valid(self._cells[title])
        in_both = pc.and_(is_filled, pc.is_valid(self._cells[value]))
        return bool(pc.any(is_filled).as_py() and not pc.any(in_both).as_py())

    def _is_copy(self, title: str, original: str) -> bool:
        return bool(self._cells[title].equals(self._cells[original]))

    def _is_empty(self, title: str) -> bool:
        return bool(self._cells[title].null_count == len(self._instants))

    def _varies(self, title: str, variable: str) -> bool:
        """Return whether a column may hold values, or tell rows apart: it is neither empty nor the
        same for a variable or for an instant, no count of rows, and no time."""
        if self._is_empty(title) or self._is_time(title) or self._is_function(title, [variable]):
            return False
        texts = self._texts(title)
        are_shared = self._instants.duplicated().mean() >= _LEAST_SHARED
        of_instant = are_shared and self._is_function(title, self._times)
        if of_instant and texts.nunique() > 0.9 * len(self._instants.drop_duplicates()):
            return False
        texts = texts.dropna()
        is_unique = texts.nunique() > len(texts) / 2
        if share(self._cells[title], _INTEGER) == 1.0:
            goes_on = bool((np.diff(texts.astype(np.int64)) == 1).all())
            return not (is_unique and (goes_on or is_titled("count", title)))
        return not is_unique or self._are_numbers(title)

    def _is_function(self, title: str, others: Sequence[str]) -> bool:
        """Return whether the cells of a column are the same in rows that agree in other columns,
        and in the asset."""
        keys = [*others, *([self._asset] if self._asset else [])]
        frame = pd.DataFrame({key: self._texts(key) for key in (*keys, title)})
        return len(frame.drop_duplicates()) == len(frame.drop_duplicates(keys))

    def _is_time(self, title: str) -> bool:
        return is_titled("time", title) or contains_stamps(self._cells[title], title)

    def _distinguishes_rows(self, title: str) -> bool:
        return distinguishes_rows(self._texts(title), self._instants)

    def _undecided(self, unclear: str, titles: Sequence[str]) -> UserError:
        among = f": {title_list([repr(title) for title in titles])}" if titles else ""
        apart = [repr(t) for t in titles if any(self._is_instead_of(t, o) for o in titles)]
        once = f" (a row fills one of {title_list(apart)}: import the file once for each)"
        return UserError(
            f"{self._table.path!s}: one row seems to hold one value, and {unclear} is not clear"
            f"{among}{once if apart else ''}. Name the two columns with --variable-column and "
            "--value-column, a column that tells assets apart with --asset-column, one of "
            "qualities with --quality; or give --wide if each column is a variable. Columns: "
            f"{title_list(self._table.titles)}"
        )
