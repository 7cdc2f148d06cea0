"""Detection of files with one row for each value, from their first rows: which column names the
variable, which holds the value, which its unit and its quality."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.chunks import Cells, ChunkedTable, column, title_list
from alerting.adapters.files.recognition import ROWS, contains_stamps, time_columns
from alerting.deferred import pc, pd
from alerting.definitions.faults import UserError, shown
from alerting.readings.history import Millis, grade

if TYPE_CHECKING:
    from alerting.definitions.file_form import FileForm

_NAME = r"n?(name|id|nr|no|key|code|number|nummer|bezeichnung|text|alias)?"
_PLAIN_NAME = r"name|field|key|bezeichnung|bezeichner|nombre|nom|nome|nazwa"
_VARIABLE = re.compile(
    r"(var|variable|varia|tag|sensor|capteur|sonde|point|datapoint|datenpunkt|messpunkt|messstelle|"
    r"meetpunt|channel|kanal|voie|canal|signal|se(ñ|n)al|segnale|parameter|param|parametre|"
    r"param(è|e)tre|metric|entity|item|statistic|series|property|node|topic|merkmal|kks|"
    r"messgr(ö|oe)(ß|ss)e|gr(ö|oe)(ß|ss)e|grandeur|grandezza|magnitud|alias|propertyalias)s?"
    + _NAME
    + "|"
    + _PLAIN_NAME
)
_OF = (
    r"(v|var|variable|data|point|tag|sensor|item|num|numeric|process|meas|measured|measurement|"
    r"reading|mess)?"
)
_VALUE = re.compile(
    _OF + r"(value|val)s?|state|(mess|ist|prozess|zahlen)?wert|valeur|valor|valore|waarde|"
    r"v(ä|ae)rde|warto(ś|s)(ć|c)|reading|result|ergebnis|payload"
)
_UNIT = re.compile(
    _OF + r"(eng|engineering)?units?(ofmeasure(ment)?)?|(ma(ß|ss)|mess)?einheit(en)?|unit(é|e)|"
    r"unidad|unit(à|a)|eenheid|uom|eu|egu"
)
_VALIDITY = re.compile(r"(is|var)?(validity|valid|good|g(ü|ue)ltig(keit)?)")
_QUALITY = re.compile(
    r"(opc|data|value|var|point|tag)?(quality|qualit(ä|ae)t|qualit(é|e)|calidad|kwaliteit|status|qc)"
    r"(code|flag)?|q"
)
_ASSET = re.compile(
    r"(asset|machine|maschine|anlage|line|linie|device|ger(ä|ae)t|equipment|station|host|plant|"
    r"site|werk|location|pump|oven|press)s?" + _NAME
)
_TIME = re.compile(
    r"(var|source|server)?(time|zeit|date|datum|epoch|clock|utc|ts|timestamp|zeitstempel)"
    r"(ms|us|ns|s|sec|utc|local|raw|string)?"
)
_COUNT = re.compile(
    r"id|nr|no|row(id|no|nr)?|index|(unnamed|indexlevel|column)\d*|seq(uence)?|record(id|no)"
)
_NUMBER = r"^[-+]?[\d.,]*\d([eE][-+]?\d+)?$"
_INTEGER = r"^-?\d{1,18}$"
_LOGGER = r"^\$RT_\w+\$$"  # rows of WinCC on its own log
VALIDITY_FLAGS = {"1": "good", "true": "good", "0": "bad", "false": "bad"}
_LEAST_SHARED = 0.5  # least share of rows whose instant has rows with other texts
_LEAST_SHARED_OF_CHUNK = 0.2
_MOST_REPEATED = 0.02  # most rows that repeat a variable of an instant


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


def states_validity(title: str) -> bool:
    """Return whether 1 means good and 0 bad below this title."""
    return _VALIDITY.fullmatch(_letters(title)) is not None


def distinguishes_rows(texts: Any, instants: Any) -> bool:
    """Return whether few texts, each several times, tell apart the rows of most instants.
    `texts`, `instants`: of the rows, as columns and table of pandas."""
    pairs = instants.assign(_text=texts)[texts.notna()]
    if len(pairs) < 4 or not 2 <= pairs["_text"].nunique() <= len(pairs) / 2:
        return False
    distinct = pairs.drop_duplicates()
    keys = list(instants.columns)
    is_shared = distinct.duplicated(keys, keep=False).mean() >= _LEAST_SHARED
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
        if _share(texts, _NUMBER) < 0.5 and distinguishes_rows(
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
    if form.quality_suffix:
        return None
    stated = [title for title in (form.variable_column, form.value_column) if title]
    if stated and (form.is_wide or form.sequence):
        raise UserError(
            "--variable-column and --value-column are for files with stamps and one row for each "
            "value; they do not go with --wide or --sequence"
        )
    if form.is_wide or form.sequence:
        return None
    if form.variable_column:
        column(table, form.variable_column, "--variable-column")
    if form.value_column:
        column(table, form.value_column, "--value-column")
    if not stated and not any(_may_be_variable(title, cells[title]) for title in table.titles):
        return None
    try:
        times = time_columns(table, form.time, cells, [t for t in (asset, *stated) if t])
    except UserError:
        if stated:
            raise
        return None
    return _LongFormSearch(table, form, cells, times, asset).find()


def _letters(title: str) -> str:
    return re.sub(r"[\W_]+", "", title.casefold())


def _is(pattern: re.Pattern[str], title: str) -> bool:
    return pattern.fullmatch(_letters(title)) is not None


def _share(cells: Cells, pattern: str) -> float:
    filled = cells.drop_null()
    matching = pc.sum(pc.match_substring_regex(filled, pattern)).as_py() or 0
    return matching / len(filled) if len(filled) else 0.0


def _may_be_variable(title: str, cells: Cells) -> bool:
    """Return whether a column holds texts, or whole numbers below the title of a variable."""
    if cells.null_count == len(cells):
        return False
    pattern = _INTEGER if _is(_VARIABLE, title) else None
    return _share(cells, _NUMBER) < 0.5 or (pattern is not None and _share(cells, pattern) == 1.0)


def _without_titles(cells: Mapping[str, Cells]) -> dict[str, Cells]:
    """Return the cells without the rows in which the titles stand again."""
    again = [pc.fill_null(pc.equal(column, title), False) for title, column in cells.items()]
    is_row = np.sum([mask.to_numpy(zero_copy_only=False) for mask in again], axis=0) < 2
    return {title: column.filter(is_row) for title, column in cells.items()}


class _LongFormSearch:
    """The search for the columns of a long form among the first rows of a table."""

    def __init__(
        self,
        table: ChunkedTable,
        form: FileForm,
        cells: Mapping[str, Cells],
        times: tuple[str, ...],
        asset: str | None,
    ) -> None:
        self._table = table
        self._form = form
        self._cells = _without_titles(cells)
        self._times = times
        self._asset = asset
        self._keys = [*times, *([asset] if asset else [])]
        self._rest = [title for title in table.titles if title not in self._keys]
        self._instants = pd.DataFrame({title: self._texts(title) for title in self._keys})

    def find(self) -> LongColumns | None:
        """Return the columns; None without a variable or a value among them."""
        form = self._form
        unit = self._only(_UNIT)
        stated = form.quality
        quality = column(self._table, stated, "--quality") if stated else self._quality()
        self._rest = [title for title in self._rest if title not in (unit, quality)]
        named = [t for t in self._rest if _is(_VALUE, t) and not self._is_empty(t)]
        if named:
            named = [named[0], *(t for t in named[1:] if not self._is_copy(t, named[0]))]
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
        varying = [
            title
            for title in others
            if (title in varying and not self._is_beside(title, value))
            or self._is_instead_of(title, value)
        ]
        is_stated = bool(form.variable_column and form.value_column)
        if not is_stated and not self._is_decided(variable, value, varying):
            return None
        aside = [title for title in others if title != value]
        checked = [t for t in aside if not (is_stated or self._is_time(t) or self._is_empty(t))]
        bound = [title for title in checked if self._is_function(title, [variable])]
        return LongColumns(
            self._times,
            self._asset,
            variable,
            value,
            unit,
            quality,
            tuple(aside),
            tuple(bound),
            is_stated,
        )

    def _is_beside(self, title: str, value: str) -> bool:
        """Return whether a column is the values again, or a remark on few of them."""
        cells = self._cells[title]
        is_remark = cells.null_count > 0.8 * len(cells) and _share(cells, _NUMBER) < 0.5
        return self._is_copy(title, value) or is_remark

    def _is_instead_of(self, title: str, value: str) -> bool:
        """Return whether a column is filled in the rows only that have no value."""
        is_filled = pc.is_valid(self._cells[title])
        in_both = pc.and_(is_filled, pc.is_valid(self._cells[value]))
        return bool(pc.any(is_filled).as_py() and not pc.any(in_both).as_py())

    def _is_copy(self, title: str, original: str) -> bool:
        return bool(self._cells[title].equals(self._cells[original]))

    def _is_constant(self, title: str) -> bool:
        return bool(pc.count_distinct(self._cells[title]).as_py() < 2)

    def _is_empty(self, title: str) -> bool:
        return bool(self._cells[title].null_count == len(self._instants))

    def _texts(self, title: str) -> Any:
        return pd.Series(self._cells[title].to_pandas(), dtype=object)

    def _only(self, pattern: re.Pattern[str]) -> str | None:
        """Return the only column with such a title that does not hold numbers."""
        titles = [
            title
            for title in self._rest
            if _is(pattern, title) and _share(self._cells[title], _NUMBER) < 0.5
        ]
        return titles[0] if len(titles) == 1 else None

    def _quality(self) -> str | None:
        titles = [t for t in self._rest if _is(_QUALITY, t) or states_validity(t)]
        graded = [title for title in titles if self._is_graded(title)]
        graded = [title for title in graded if self._is_graded(title, surely=True)] or graded
        graded = [title for title in graded if "stat" not in _letters(title)] or graded
        return graded[0] if len(graded) == 1 else None

    def _is_graded(self, title: str, *, surely: bool = False) -> bool:
        """Return whether a column holds qualities, `surely` not codes of which the kind is open."""
        texts = pc.unique(self._cells[title].drop_null()).to_pylist()
        flags = VALIDITY_FLAGS if states_validity(title) else {}
        return bool(texts) and all(
            text.casefold() in flags
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
        named = [title for title in texts if _is(_VARIABLE, title)] if has_value else []
        apart = [title for title in texts if self._distinguishes_rows(title)]
        if not named and not apart and len(texts) == 1 and self._comes_back(texts[0], values):
            return texts[0]
        candidates = [title for title in named if title in apart] or named or apart
        if not candidates:
            return None
        first = candidates[0]
        others = [title for title in candidates[1:] if not self._is_function(title, [first])]
        if others and (named or has_value):
            raise self._undecided("the column that names the variable", [first, *others])
        return None if others else first

    def _value(self, variable: str, named: Sequence[str], varying: Sequence[str]) -> str | None:
        if len(named) == 1:
            return named[0]
        is_stated = self._form.variable_column is not None
        candidates = [title for title in varying if title in named] or list(varying)
        is_shaped = self._distinguishes_rows(variable)
        if len(candidates) == 1 and (is_shaped or is_stated):
            return candidates[0]
        if is_stated or (is_shaped and _is(_VARIABLE, variable)):
            raise self._undecided("the column of values", candidates)
        return None

    def _is_decided(self, variable: str, value: str, varying: Sequence[str]) -> bool:
        """Return whether the columns may be read so. Raises UserError if others are as likely."""
        form = self._form
        is_shaped = self._distinguishes_rows(variable)
        numbers = [t for t in varying if _share(self._cells[t], _NUMBER) >= 0.5]
        named = [t for t in (*form.only, *form.rename) if t in (variable, value)]
        is_plain = _letters(value) == "state" or re.fullmatch(_PLAIN_NAME, _letters(variable))
        if not is_shaped and (named or (numbers and (is_plain or self._is_constant(variable)))):
            return False
        if named:
            raise UserError(
                f"{self._table.path!s}: one row holds one value: {shown(variable)} names the "
                f"variable of each value in {shown(value)}. Name variables, not {shown(named[0])}, "
                "with --only and --rename, or give --wide"
            )
        if varying:
            raise self._undecided("the meaning of its columns", [variable, value, *varying])
        if _is(_ASSET, variable) and self._asset is None:
            raise UserError(
                f"{self._table.path!s}: {shown(variable)} tells the rows of one instant apart. If "
                f"it names the asset, give --asset-column {variable!r} instead of --asset; if it "
                f"names the variable, --variable-column {variable!r} --value-column {value!r}"
            )
        return True

    def _varies(self, title: str, variable: str) -> bool:
        """Return whether a column may hold values, or tell rows apart: it is neither empty nor the
        same for a variable or for an instant, no count of rows, and no time."""
        cells = self._cells[title]
        if self._is_empty(title) or self._is_time(title):
            return False
        if self._is_function(title, [variable]):
            return False
        are_shared = self._instants.duplicated().mean() >= _LEAST_SHARED
        of_instant = are_shared and self._is_function(title, self._times)
        if of_instant and self._texts(title).nunique() > 0.9 * len(
            self._instants.drop_duplicates()
        ):
            return False
        texts = self._texts(title).dropna()
        is_unique = texts.nunique() > len(texts) / 2
        if _share(cells, _INTEGER) == 1.0:
            steps = np.diff(texts.astype(np.int64))
            return not is_unique or not (_is(_COUNT, title) or bool((steps == 1).all()))
        return not is_unique or _share(cells, _NUMBER) >= 0.5

    def _is_function(self, title: str, others: Sequence[str]) -> bool:
        """Return whether the cells of a column are the same in rows that agree in other columns,
        and in the asset."""
        keys = [*others, *([self._asset] if self._asset else [])]
        frame = pd.DataFrame({key: self._texts(key) for key in (*keys, title)})
        return len(frame.drop_duplicates()) == len(frame.drop_duplicates(keys))

    def _is_time(self, title: str) -> bool:
        return _is(_TIME, title) or contains_stamps(self._cells[title], title)

    def _distinguishes_rows(self, title: str) -> bool:
        return distinguishes_rows(self._texts(title), self._instants)

    def _comes_back(self, title: str, named: Sequence[str]) -> bool:
        """Return whether the first rows have one text, and later ones another at the same
        instants: the file has one variable after the other."""
        varying = [t for t in self._rest if t != title and self._varies(t, title)]
        values = named or varying
        first = self._texts(title)
        if len(values) != 1 or len(first) < ROWS or first.isna().any() or first.nunique() > 1:
            return False
        stamps = self._cells[self._times[-1]]
        for chunk in self._table.chunks([title, *self._times]):
            others = pc.not_equal(pc.utf8_trim_whitespace(chunk.columns[title]), first[0])
            again = pc.is_in(pc.utf8_trim_whitespace(chunk.columns[self._times[-1]]), stamps)
            if pc.any(pc.and_(others, again)).as_py():
                return True
        return False

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
