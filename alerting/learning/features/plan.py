"""The feature plan: the columns that a model sees; and their encoding into the matrices of
estimators. Both are fixed at training and stored with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import accumulate, pairwise
from math import gcd
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from alerting.deferred import np, npt, pd
from alerting.definitions.faults import UserError, format_duration
from alerting.learning.features.column_pairs import NO_PAIRS, ColumnPairs
from alerting.readings.history import DAY_MS, Floats, column_index

# How a dataclass is read back from JSON: only fields that it has, of their types, within the bounds
# of their annotations.
STORED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
LAST_RESULTS = 4  # at most; with one the noise of its measurement is in full in each estimate
_TEN_YEARS = 3660 * DAY_MS
_MOST_SOURCES = 20_000
Name = Annotated[str, Field(min_length=1, max_length=1000)]
Length = Annotated[int, Field(ge=0, le=_TEN_YEARS)]  # a length of time in ms
_Names = Annotated[tuple[Name, ...], Field(max_length=_MOST_SOURCES)]


class Stored:
    """A dataclass that is stored as JSON, and read back strictly."""

    __pydantic_config__ = STORED


@dataclass(frozen=True)
class NumberSource(Stored):
    """A number or boolean; `sampling_ms`: usual time between values, None when unknown."""

    name: Name
    sampling_ms: Length | None


@dataclass(frozen=True)
class CategorySource(Stored):
    """A category or text attribute with the levels of the training; others are missing."""

    name: Name
    levels: Annotated[tuple[str, ...], Field(max_length=100_000)]


@dataclass(frozen=True)
class CarryForward(Stored):
    """A variable carried forward for `span_ms` from when its value became known."""

    name: Name
    span_ms: Length


@dataclass(frozen=True)
class Lagged(Stored):
    """A number with more lagged values as columns than other numbers have."""

    name: Name
    spans_ms: Annotated[tuple[Length, ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class UsualCount(Stored):
    """Usual number of readings of a variable in a window while its asset runs."""

    name: Name
    window_ms: Length
    readings: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Column:
    """A column: name, raw variable, event type or attribute, statistic and window."""

    name: str
    source: str
    kind: Literal["variable", "event", "attribute"]
    aggregation: str
    window_ms: int | None = None


@dataclass(frozen=True)
class FeaturePlan(Stored):
    """How the readings, events and attributes of an asset up to an instant become a row.

    `windows_ms` and `lags_ms` increase; `delay_ms` is the longest delay of any variable when the
    plan was made. `carried_forward`: the variables whose last value is carried forward for another
    time than the longest window. `lagged`: numbers with further lags besides `lags_ms`. `usual`:
    usual counts of readings; with less than half of them an instant is not scored. `only_last`:
    numbers measured too seldom for statistics of windows, such as laboratory values; only their
    last and lagged values are columns. `results_of`: such a number whose last results each row is
    compared with, or empty; `results_over`: over how many of them means are taken.
    `life_windows_ms`: windows, increasing, whose means a model of the remaining life sees beside
    the columns; empty if it sees none.
    """

    stride_ms: Annotated[Length, Field(ge=1)]
    windows_ms: Annotated[
        tuple[Annotated[Length, Field(ge=1)], ...], Field(min_length=1, max_length=100)
    ]
    aggregations: Annotated[tuple[Name, ...], Field(max_length=50)]
    numbers: Annotated[tuple[NumberSource, ...], Field(max_length=_MOST_SOURCES)] = ()
    categories: Annotated[tuple[CategorySource, ...], Field(max_length=_MOST_SOURCES)] = ()
    events: _Names = ()
    number_attributes: _Names = ()
    category_attributes: Annotated[tuple[CategorySource, ...], Field(max_length=_MOST_SOURCES)] = ()
    delay_ms: Length = 0
    lags_ms: Annotated[tuple[Length, ...], Field(max_length=100)] = ()
    carried_forward: Annotated[tuple[CarryForward, ...], Field(max_length=_MOST_SOURCES)] = ()
    lagged: Annotated[tuple[Lagged, ...], Field(max_length=10)] = ()
    usual: Annotated[tuple[UsualCount, ...], Field(max_length=_MOST_SOURCES)] = ()
    only_last: _Names = ()
    results_of: Annotated[str, Field(max_length=1000)] = ""
    life_windows_ms: Annotated[
        tuple[Annotated[Length, Field(ge=1)], ...], Field(max_length=10)
    ] = ()
    results_over: Annotated[
        tuple[Annotated[int, Field(ge=1, le=LAST_RESULTS)], ...], Field(max_length=LAST_RESULTS)
    ] = (LAST_RESULTS,)

    @property
    def longest_window_ms(self) -> int:
        """Return the longest window of any statistic."""
        return self.windows_ms[-1]

    @property
    def reach_ms(self) -> int:
        """Return how far back features look: for lagged values, their lag plus the age that they
        may have there."""
        lags = (*self.lags_ms, *(span for number in self.lagged for span in number.spans_ms))
        results = self.results_span_ms + self.stride_ms + self.delay_ms if self.results_of else 0
        return self.longest_window_ms + max((*lags, results))

    @property
    def results_span_ms(self) -> int:
        """Return how long ago the oldest of the last results may have become known."""
        spacing = next((n.sampling_ms for n in self.numbers if n.name == self.results_of), None)
        return (LAST_RESULTS + 1) * (spacing or 0)

    @cached_property
    def of_process(self) -> FeaturePlan:
        """Return the plan of the statistics that are compared with those at the last results."""
        return replace(
            self,
            numbers=tuple(n for n in self.numbers if n.name not in self.only_last),
            categories=(),
            events=(),
            number_attributes=(),
            category_attributes=(),
            results_of="",
        )

    @cached_property
    def bucket_ms(self) -> int:
        """Return the largest width that divides the stride and every window."""
        return gcd(self.stride_ms, *self.windows_ms)

    @property
    def lookback(self) -> timedelta:
        """Return how far before an instant all readings are needed.

        Of earlier readings, only the newest of each variable that is carried forward longer than
        the longest window is needed. Events are needed from the beginning.
        """
        return timedelta(milliseconds=self.reach_ms + self.delay_ms)

    @cached_property
    def carried_longer(self) -> dict[str, timedelta]:
        """Return the maximum age of values that may be older than the longest window."""
        return {
            h.name: timedelta(milliseconds=h.span_ms)
            for h in self.carried_forward
            if h.span_ms > self.longest_window_ms
        }

    @property
    def farthest(self) -> timedelta:
        """Return the greatest age of a reading that any feature may show."""
        return self.lookback + max(self.carried_longer.values(), default=timedelta(0))

    def carry_ms(self, variable: str) -> int:
        """Return how long a value is carried forward if no next value comes."""
        return self._carry_forward_ms.get(variable, self.longest_window_ms)

    def is_carried_forward(self, variable: str) -> bool:
        """Return whether a variable has a carry-forward time of its own."""
        return variable in self._carry_forward_ms

    def lags_of(self, variable: str) -> tuple[int, ...]:
        """Return the lags of a number, in ms, increasing."""
        return self._own_lags.get(variable, self.lags_ms)

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables whose readings are needed."""
        return tuple(n.name for n in self.numbers) + tuple(c.name for c in self.categories)

    @cached_property
    def layout(self) -> tuple[Column, ...]:
        """Return all columns: numbers, events, attributes that are numbers; then categories."""
        return (
            *(column for number in self.numbers for column in self._number_columns(number)),
            *(column for event in self.events for column in self._event_columns(event)),
            *(
                Column(f"attribute/{name}", name, "attribute", "value")
                for name in self.number_attributes
            ),
            *self._results_columns(),
            *(Column(f"{c.name}.last", c.name, "variable", "last") for c in self.categories),
            *(
                Column(f"attribute/{c.name}", c.name, "attribute", "value")
                for c in self.category_attributes
            ),
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return names of all columns in order."""
        return tuple(column.name for column in self.layout)

    @cached_property
    def number_blocks(self) -> dict[str, slice]:
        """Return the positions of the columns of every number."""
        ends = accumulate((len(self._number_columns(n)) for n in self.numbers), initial=0)
        return {
            number.name: slice(*ends_of)
            for number, ends_of in zip(self.numbers, pairwise(ends), strict=True)
        }

    @cached_property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Return levels of every categorical column."""
        variables = {f"{c.name}.last": c.levels for c in self.categories}
        return variables | {f"attribute/{c.name}": c.levels for c in self.category_attributes}

    def column(self, name: str) -> Column:
        """Return the column of this name. Raises KeyError if the name is not in the plan."""
        return self._by_name[name]

    def source_of(self, column: str) -> str:
        """Return the raw variable, event type or attribute behind a column."""
        return self.column(column).source

    def _number_columns(
        self, number: NumberSource
    ) -> list[Column]:  # last and age once, while the value is carried forward
        columns = []
        for aggregation in self.aggregations:
            if aggregation == "missing" and not number.sampling_ms:
                continue
            if aggregation != "last" and number.name in self.only_last:
                continue
            if aggregation in ("last", "age"):
                columns.append(
                    Column(
                        f"{number.name}.{aggregation}",
                        number.name,
                        "variable",
                        aggregation,
                        self.carry_ms(number.name),
                    )
                )
                continue
            for window in self.windows_ms:
                name = f"{number.name}.{aggregation}.{describe_window(window)}"
                columns.append(Column(name, number.name, "variable", aggregation, window))
        lagged = (
            Column(f"{number.name}.lag.{describe_window(lag)}", number.name, "variable", "lag", lag)
            for lag in self.lags_of(number.name)
        )
        return [*columns, *lagged]

    def _results_columns(self) -> list[Column]:
        if not self.results_of:
            return []
        name = self.results_of
        process = [
            column
            for column in self.of_process.layout
            if column.aggregation not in ("lag", "age", "missing")
        ]
        columns = []
        for count in self.results_over:
            columns.append(Column(f"{name}{over_results(count)}", name, "variable", "results"))
            suffix = over_results(count, AT_RESULTS)
            columns += [
                replace(column, name=f"{column.name}{suffix}", aggregation="at_results")
                for column in process
            ]
        return columns

    def _event_columns(self, event: str) -> list[Column]:
        counts = [
            Column(f"event/{event}.count.{describe_window(w)}", event, "event", "count", w)
            for w in self.windows_ms
        ]
        return [*counts, Column(f"event/{event}.recency", event, "event", "recency")]

    @cached_property
    def _carry_forward_ms(self) -> dict[str, int]:
        return {h.name: h.span_ms for h in self.carried_forward}

    @cached_property
    def _own_lags(self) -> dict[str, tuple[int, ...]]:
        lags: dict[str, set[int]] = {}
        for number in self.lagged:
            lags.setdefault(number.name, set(self.lags_ms)).update(number.spans_ms)
        return {name: tuple(sorted(spans)) for name, spans in lags.items()}

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.layout}

    def to_document(self) -> dict[str, Any]:
        """Return the plan as JSON values, without its empty optional fields."""
        return {
            key: value for key, value in asdict(self).items() if value not in _OMITTED.get(key, ())
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> FeaturePlan:
        """Read the plan that `to_document` wrote."""
        return _PLAN.validate_python(document, strict=False)  # a list in JSON is a tuple here


_PLAN = TypeAdapter(FeaturePlan)
_OMITTED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("carried_forward", "lagged", "usual", "only_last", "life_windows_ms"), ((),)),
    "results_of": ("",),
    "results_over": ((LAST_RESULTS,),),
}
RESULTS = ".results"
AT_RESULTS = ".at_results"


def over_results(count: int, suffix: str = RESULTS) -> str:
    """Return the end of the name of a column over the last `count` results."""
    return suffix if count == LAST_RESULTS else f"{suffix}.{count}"


def describe_window(span_ms: int) -> str:
    """Describe a duration in its unit: 3h."""
    return format_duration(timedelta(milliseconds=span_ms))


MOST_COLUMNS = 200_000
Position = Annotated[int, Field(ge=0, lt=MOST_COLUMNS)]
ColumnPositions = Annotated[tuple[Position, ...], Field(max_length=MOST_COLUMNS)]
_Numbers = Annotated[tuple[float, ...], Field(max_length=4 * MOST_COLUMNS)]
# standard deviations at which a scaled number is clipped: a single odd reading cannot decide alone
FARTHEST = 10.0
_FEW_ROWS = 64


@dataclass(frozen=True)
class Columns:
    """Names of the columns in the model's order, and the levels of the categorical ones."""

    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @staticmethod
    def from_plan(plan: FeaturePlan) -> Columns:
        """Return the columns of a feature plan."""
        return Columns(plan.columns, plan.levels)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Return positions of the categorical columns."""
        return tuple(i for i, name in enumerate(self.names) if name in self.levels)

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """Return rows as float64: categories as level numbers, NaN for missing ones.

        The columns of `rows` may come in any order, and there may be more of them. Raises UserError
        if some are missing.
        """
        is_small = len(rows) <= _FEW_ROWS  # of many rows there is no second copy in memory
        if is_small and not self.levels and rows.columns.equals(column_index(self.names)):
            block = rows.to_numpy(np.float64)
            return np.where(np.isfinite(block), block, np.nan)
        missing = [name for name in self.names if name not in rows.columns]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise UserError(
                f"the model needs {len(missing)} of {len(self.names)} columns that these rows do "
                f"not have: {shown}; build the rows with the feature plan of the model"
            )
        out = np.empty((len(rows), len(self.names)))
        numbers = [i for i, name in enumerate(self.names) if name not in self.levels]
        if is_small:
            positions = rows.columns.get_indexer(pd.Index([self.names[i] for i in numbers]))
            block = rows.iloc[:, positions].to_numpy(np.float64)
            out[:, numbers] = np.where(np.isfinite(block), block, np.nan)
        else:
            for i in numbers:
                values = rows[self.names[i]].to_numpy(np.float64)
                out[:, i] = np.where(np.isfinite(values), values, np.nan)
        for i in self.categorical:
            codes = np.asarray(
                pd.Index(self.levels[self.names[i]]).get_indexer(pd.Index(rows[self.names[i]])),
                np.float64,
            )
            codes[codes < 0] = np.nan
            out[:, i] = codes
        return out

    def view(self, rows: pd.DataFrame) -> Floats:
        """Return the matrix without a copy if the rows have this form in memory; it is then stored
        by column and must not be written to."""
        if not self.levels and rows.columns.equals(column_index(self.names)):
            block = rows.to_numpy(np.float64)
            if not any(np.isinf(column).any() for column in block.T):
                return block
        return self.matrix(rows)


@dataclass(frozen=True)
class Dense(Stored):
    """Fills, flags, expands and perhaps scales a matrix for linear estimators.

    Encoded columns, in order: every number with its median where missing; a flag for every number
    that was missing at training; one column per level of every category. `origin`: position of the
    column behind each encoded column. `mean`, `scale`: of each encoded column; they give numbers
    mean 0 and deviation 1, and only centre flags and levels. Both are empty for estimators that
    need no scale, such as trees.
    """

    numbers: ColumnPositions
    medians: _Numbers
    flagged: ColumnPositions
    # Position and number of levels of each.
    categories: Annotated[
        tuple[tuple[Position, Annotated[int, Field(ge=0, le=100_000)]], ...],
        Field(max_length=20_000),
    ]
    mean: _Numbers
    scale: _Numbers

    @staticmethod
    def fit(
        columns: Columns, matrix: Floats, scaled: bool, chosen: Sequence[int] | None = None
    ) -> Dense:
        """Learn medians, flags and, if `scaled`, scales from the training rows alone. `chosen`:
        positions of the columns that are encoded, all by default."""
        every = range(len(columns.names)) if chosen is None else chosen
        numbers = tuple(i for i in every if columns.names[i] not in columns.levels)
        plain = Dense(
            numbers=numbers,
            medians=tuple(median_of(matrix[:, i]) for i in numbers),
            flagged=tuple(i for i in numbers if np.isnan(matrix[:, i]).any()),
            categories=tuple(
                (i, len(columns.levels[columns.names[i]]))
                for i in columns.categorical
                if i in every
            ),
            mean=(),
            scale=(),
        )
        if not scaled:
            return plain
        raw = plain.encode(matrix)
        spread = raw.std(axis=0)
        spread[(spread < 1e-12) | (np.arange(raw.shape[1]) >= len(numbers))] = 1.0
        return Dense(
            **(
                vars(plain)
                | {"mean": tuple(raw.mean(axis=0).tolist()), "scale": tuple(spread.tolist())}
            )
        )

    @property
    def width(self) -> int:
        """Return the number of encoded columns."""
        return len(self.numbers) + len(self.flagged) + sum(count for _, count in self.categories)

    @property
    def origin(self) -> npt.NDArray[np.int64]:
        """Return the position of the column behind each encoded column."""
        levels = [i for i, count in self.categories for _ in range(count)]
        return np.array([*self.numbers, *self.flagged, *levels], np.int64)

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Add up one value per encoded column by the column behind it."""
        return np.asarray(np.bincount(self.origin, weights=values, minlength=columns), np.float64)

    def fill(self, matrix: Floats) -> Floats:
        """Return the matrix with every missing number at its median."""
        full = matrix.copy()
        full[:, self.numbers] = self._filled_numbers(matrix)
        return full

    def encode(self, matrix: Floats) -> Floats:
        """Fill, flag, expand and, if fitted so, scale a matrix: zero is then the training mean."""
        flags = np.isnan(matrix[:, self.flagged]).astype(np.float64)
        levels = [
            (matrix[:, [i]] == np.arange(count)).astype(np.float64) for i, count in self.categories
        ]
        raw: Floats = np.hstack([self._filled_numbers(matrix), flags, *levels])
        if self.scale:
            raw -= self.mean
            raw /= self.scale
            np.clip(raw, -FARTHEST, FARTHEST, out=raw)
        return raw

    def _filled_numbers(self, matrix: Floats) -> Floats:
        part = matrix[:, self.numbers]
        np.copyto(part, np.asarray(self.medians), where=np.isnan(part))
        return part


@dataclass(frozen=True)
class Encoding:
    """The encoding of a matrix for one estimator; without `dense`, missing values stay missing.

    Encoded columns, in order: the columns of `dense`, or the matrix itself; then the columns of the
    pairs. `columns`: positions of the columns to encode, to which all other positions refer; None
    for all columns.
    """

    dense: Dense | None = None
    pairs: ColumnPairs = NO_PAIRS
    columns: tuple[int, ...] | None = None

    def encode(self, matrix: Floats) -> Floats:
        """Return the matrix in this encoding."""
        if self.columns is not None:
            matrix = matrix[:, self.columns]
        if self.dense is None:
            return self.pairs.expand(matrix)
        encoded = self.dense.encode(matrix)
        return (
            np.hstack([encoded, self.pairs.combine(self.dense.fill(matrix))])
            if self.pairs.positions
            else encoded
        )

    def by_column(self, values: Floats, columns: int) -> Floats:
        """Add up one value per encoded column by the column behind it."""
        if self.columns is not None:
            spread = np.zeros(columns)
            spread[list(self.columns)] = replace(self, columns=None).by_column(
                values, len(self.columns)
            )
            return spread
        if self.dense is not None:
            plain = len(values) - 2 * len(self.pairs.positions)
            values = np.concatenate([self.dense.by_column(values[:plain], columns), values[plain:]])
        return self.pairs.by_column(values, columns)

    def to_document(self) -> dict[str, Any]:
        """Return the encoding as plain JSON values."""
        return {
            "dense": (asdict(self.dense) if self.dense else None),
            "pairs": [list(pair) for pair in self.pairs.positions],
            "columns": (None if self.columns is None else list(self.columns)),
        }


def median_of(values: Floats) -> float:
    """Return the median of the values that are not missing, in their unit; 0 without any."""
    present = values[~np.isnan(values)]
    return float(np.median(present)) if len(present) else 0.0
