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
    from alerting.adapters.files.rows import Layout

_NAME = r"(name|id|nr|no|key|code|number|nummer|bezeichnung|text)?"
_VARIABLE = re.compile(
    r"(var|variable|tag|sensor|capteur|point|datapoint|messpunkt|messstelle|channel|kanal|voie|"
    r"canal|signal|parameter|param|metric|entity|item|itemid|statistic|series|property|node|topic|"
    r"messgr(ö|oe)(ß|ss)e|gr(ö|oe)(ß|ss)e|grandeur|mesure|merkmal|kks|pointsource)s?"
    + _NAME
    + r"|name|field|key|bezeichnung"
)
_VALUE = re.compile(
    r"(v|var|variable|data|point|tag|sensor|item|num|numeric|process|measured)?(value|val)s?|state|"
    r"(mess|ist|prozess|zahlen)?wert|valeur|valor|valore|waarde|hodnota|v(ä|ae)rde|reading"
)
_UNIT = re.compile(
    r"(eng|engineering)?units?(ofmeasure(ment)?)?|(ma(ß|ss)|mess)?einheit(en)?|unit(é|e)|unidad|"
    r"unit(à|a)|eenheid|uom|eu|egu"
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
QUALITY_WORDS = {
    "ok": "good",
    "gut": "good",
    "valid": "good",
    "gültig": "good",
    "invalid": "bad",
    "schlecht": "bad",
    "ungültig": "bad",
}
VALIDITY_FLAGS = {"1": "good", "true": "good", "0": "bad", "false": "bad"}
_LEAST_SHARED = 0.5  # least share of rows whose instant has rows with other texts
_LEAST_SHARED_OF_CHUNK = 0.2
_MOST_REPEATED = 0.02  # most rows that repeat a variable of an instant


class LongColumns(NamedTuple):
    """Columns of a file with one row for each value. `aside` are not read; `bound` are those of
    them that must be the same in all rows of a variable, else they may tell rows apart."""

    times: tuple[str, ...]
    asset: str | None
    variable: str
    value: str
    unit: str | None
    quality: str | None
    aside: tuple[str, ...]
    bound: tuple[str, ...]

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


def tells_rows_apart(texts: Any, instants: Any) -> bool:
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
        if _share(texts, _NUMBER) < 0.5 and tells_rows_apart(
            series, instants.reset_index(drop=True)
        ):
            return title
    return None


def find_long_form(
    table: ChunkedTable, layout: Layout, cells: Mapping[str, Cells], asset: str | None
) -> LongColumns | None:
    """Return the columns of a file with one row for each value; None if it has a column for each
    variable. Raises UserError if it has such rows and more than one column may be meant.

    `cells`: its first rows; `asset`: the column of the asset.
    """
    if layout.quality.suffix:
        return None
    stated = [title for title in (layout.variable_column, layout.value_column) if title]
    if stated and (layout.is_wide or layout.sequence):
        raise UserError(
            "--variable-column and --value-column are for files with stamps and one row for each "
            "value; they do not go with --wide or --sequence"
        )
    if layout.is_wide or layout.sequence:
        return None
    if layout.variable_column:
        column(table, layout.variable_column, "--variable-column")
    if layout.value_column:
        column(table, layout.value_column, "--value-column")
    if not stated and not any(_may_be_variable(title, cells[title]) for title in table.titles):
        return None
    try:
        times = time_columns(table, layout.time, cells, [t for t in (asset, *stated) if t])
    except UserError:
        if stated:
            raise
        return None
    return _Search(table, layout, cells, times, asset).find()


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


class _Search:
    """The search for the columns of a long form among the first rows of a table."""

    def __init__(
        self,
        table: ChunkedTable,
        layout: Layout,
        cells: Mapping[str, Cells],
        times: tuple[str, ...],
        asset: str | None,
    ) -> None:
        self._table = table
        self._layout = layout
        self._cells = cells
        self._times = times
        self._asset = asset
        self._keys = [*times, *([asset] if asset else [])]
        self._rest = [title for title in table.titles if title not in self._keys]
        self._instants = pd.DataFrame({title: self._texts(title) for title in self._keys})

    def find(self) -> LongColumns | None:
        """Return the columns; None without a variable or a value among them."""
        layout = self._layout
        unit = self._only(_UNIT)
        quality = layout.quality.column or self._quality()
        self._rest = [title for title in self._rest if title not in (unit, quality)]
        named = [title for title in self._rest if _is(_VALUE, title)]
        variable = layout.variable_column or self._variable(named)
        if variable is None:
            if layout.value_column:
                raise self._undecided("the column that names the variable of each value", [])
            return None
        others = [title for title in self._rest if title != variable]
        varying = [title for title in others if self._varies(title, variable)]
        value = layout.value_column or self._value(variable, named, varying)
        if value is None:
            return None
        varying = [title for title in varying if title != value]
        is_stated = bool(layout.variable_column and layout.value_column)
        if not is_stated and not self._is_decided(variable, value, varying):
            return None
        aside = [
            title
            for title in others
            if title != value and self._cells[title].null_count < self._rows
        ]
        checked = [] if is_stated else [title for title in aside if not self._is_time(title)]
        bound = [title for title in checked if self._is_function(title, [variable])]
        return LongColumns(
            self._times, self._asset, variable, value, unit, quality, (*aside,), (*bound,)
        )

    @property
    def _rows(self) -> int:
        return len(self._instants)

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
        graded = [title for title in graded if "stat" not in _letters(title)] or graded
        return graded[0] if len(graded) == 1 else None

    def _is_graded(self, title: str) -> bool:
        words = pc.unique(self._cells[title].drop_null()).to_pylist()
        flags = VALIDITY_FLAGS if states_validity(title) else {}
        return bool(words) and all(
            word.casefold() in QUALITY_WORDS
            or word.casefold() in flags
            or re.match(_INTEGER, word)
            or grade(word, self._layout.quality.codes)
            for word in words
        )

    def _variable(self, values: Sequence[str]) -> str | None:
        """Return the column that names the variable, by its title or because it tells the rows of
        an instant apart."""
        texts = [
            title
            for title in self._rest
            if title not in values and title != self._layout.value_column
            if _may_be_variable(title, self._cells[title]) and not self._is_time(title)
        ]
        has_value = len(values) == 1 or self._layout.value_column is not None
        named = [title for title in texts if _is(_VARIABLE, title)] if has_value else []
        apart = [title for title in texts if self._tells_apart(title)]
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
        is_stated = self._layout.variable_column is not None
        candidates = [title for title in varying if title in named] or list(varying)
        is_shaped = self._tells_apart(variable)
        if len(candidates) == 1 and (is_shaped or is_stated):
            return candidates[0]
        if is_stated or (is_shaped and _is(_VARIABLE, variable)):
            raise self._undecided("the column of values", candidates)
        return None

    def _is_decided(self, variable: str, value: str, varying: Sequence[str]) -> bool:
        """Return whether the columns may be read so. Raises UserError if others are as likely."""
        layout = self._layout
        is_shaped = self._tells_apart(variable)
        numbers = [t for t in varying if _share(self._cells[t], _NUMBER) >= 0.5]
        named = [t for t in (*layout.only, *layout.rename) if t in (variable, value)]
        if (numbers or named) and not is_shaped:
            return False
        if named:
            raise UserError(
                f"{self._table.path!s}: one row holds one value: {shown(variable)} names the "
                f"variable of each value in {shown(value)}. Name variables, not {shown(named[0])}, "
                "with --only and --rename, or give --wide"
            )
        if varying:
            raise self._undecided("the columns", [variable, value, *varying])
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
        if cells.null_count == len(cells) or self._is_time(title):
            return False
        if self._is_function(title, [variable]):
            return False
        are_shared = self._instants.duplicated().mean() >= _LEAST_SHARED
        if are_shared and self._is_function(title, self._times):
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

    def _tells_apart(self, title: str) -> bool:
        return tells_rows_apart(self._texts(title), self._instants)

    def _comes_back(self, title: str, named: Sequence[str]) -> bool:
        """Return whether the first rows have one text, and later ones another at the same
        instants: the file has one variable after the other."""
        varying = [t for t in self._rest if t != title and self._varies(t, title)]
        values = named or varying
        first = self._texts(title)
        if len(values) != 1 or self._rows < ROWS or first.isna().any() or first.nunique() > 1:
            return False
        stamps = self._cells[self._times[-1]]
        for chunk in self._table.chunks([title, *self._times]):
            others = pc.not_equal(pc.utf8_trim_whitespace(chunk.columns[title]), first[0])
            again = pc.is_in(pc.utf8_trim_whitespace(chunk.columns[self._times[-1]]), stamps)
            if pc.any(pc.and_(others, again)).as_py():
                return True
        return False

    def _undecided(self, what: str, titles: Sequence[str]) -> UserError:
        among = f": {title_list([repr(title) for title in titles])} may be meant" if titles else ""
        return UserError(
            f"{self._table.path!s}: one row seems to hold one value, and {what} cannot be found"
            f"{among}. Name the two columns with --variable-column and --value-column, a column "
            "that tells assets apart with --asset-column; or give --wide if each column is a "
            f"variable. Columns: {title_list(self._table.titles)}"
        )
