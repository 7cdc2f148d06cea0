"""The feature plan: which columns a model sees, fixed at training and kept with the model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from math import gcd
from typing import Any, Literal

from alerting.definitions.durations import format_duration

ColumnKind = Literal["variable", "event", "attribute"]


@dataclass(frozen=True)
class NumberSource:
    """A number or boolean variable; `sampling_ms` is the usual time between two values, None when unknown."""

    name: str
    sampling_ms: int | None


@dataclass(frozen=True)
class CategorySource:
    """A category, or an attribute in words, with the levels seen in training; any other level is missing."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class CarryForward:
    """A variable whose last value holds for another time than the longest window: `span_ms` from when it became known."""

    name: str
    span_ms: int


@dataclass(frozen=True)
class Column:
    """One column: its name, the raw variable, event type or attribute behind it, and what was computed over which window."""

    name: str
    source: str
    kind: ColumnKind
    aggregation: str
    window_ms: int | None = None


@dataclass(frozen=True)
class FeaturePlan:
    """How readings, events and attributes of one asset become a row. Nothing in it depends on later data.

    `windows_ms` and `lags_ms` increase; `delay_ms` is the longest delay of any variable when the plan was made. `held`: the
    variables whose last value holds longer, or less long, than the longest window.
    """

    stride_ms: int
    windows_ms: tuple[int, ...]
    aggregations: tuple[str, ...]
    numbers: tuple[NumberSource, ...] = ()
    categories: tuple[CategorySource, ...] = ()
    events: tuple[str, ...] = ()
    number_attributes: tuple[str, ...] = ()
    category_attributes: tuple[CategorySource, ...] = ()
    delay_ms: int = 0
    lags_ms: tuple[int, ...] = ()
    held: tuple[CarryForward, ...] = ()

    @property
    def longest_window_ms(self) -> int:
        """The longest window of any statistic."""
        return self.windows_ms[-1]

    @property
    def reach_ms(self) -> int:
        """How far back any feature looks, save for an event's recency and a value that is held: a lagged value may be as old,
        then, as the longest window."""
        return self.longest_window_ms + max(self.lags_ms, default=0)

    @cached_property
    def bucket_ms(self) -> int:
        """The largest width of which the stride and every window are whole multiples."""
        return gcd(self.stride_ms, *self.windows_ms)

    @property
    def lookback(self) -> timedelta:
        """How far before an instant all readings are needed; of those before, the newest of every variable that is held longer
        than the longest window. Events are needed from the beginning."""
        return timedelta(milliseconds=self.reach_ms + self.delay_ms)

    @cached_property
    def carried_longer(self) -> dict[str, timedelta]:
        """Variables whose last value may be older than the longest window, and how old it may be."""
        return {h.name: timedelta(milliseconds=h.span_ms) for h in self.held if h.span_ms > self.longest_window_ms}

    @property
    def farthest(self) -> timedelta:
        """How far before an instant the oldest reading may lie that any feature shows."""
        return self.lookback + max(self.carried_longer.values(), default=timedelta(0))

    def carry_ms(self, variable: str) -> int:
        """How long a value of a variable holds, from when it became known, unless the next one comes."""
        return self._carry_forward_ms.get(variable, self.longest_window_ms)

    def is_carried_forward(self, variable: str) -> bool:
        """Whether a variable has a holding time of its own."""
        return variable in self._carry_forward_ms

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables whose readings are needed."""
        return tuple(n.name for n in self.numbers) + tuple(c.name for c in self.categories)

    @cached_property
    def layout(self) -> tuple[Column, ...]:
        """All columns in order: numbers, events, attributes that are numbers; then categories."""
        return (
            *(column for number in self.numbers for column in self._number_columns(number)),
            *(column for event in self.events for column in self._event_columns(event)),
            *(Column(f"attribute/{name}", name, "attribute", "value") for name in self.number_attributes),
            *(Column(f"{c.name}.last", c.name, "variable", "last") for c in self.categories),
            *(Column(f"attribute/{c.name}", c.name, "attribute", "value") for c in self.category_attributes),
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns in order."""
        return tuple(column.name for column in self.layout)

    @cached_property
    def number_blocks(self) -> dict[str, slice]:
        """Where the columns of every number stand."""
        blocks, start = {}, 0
        for number in self.numbers:
            stop = start + len(self._number_columns(number))
            blocks[number.name] = slice(start, stop)
            start = stop
        return blocks

    @cached_property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Levels of every categorical column."""
        variables = {f"{c.name}.last": c.levels for c in self.categories}
        return variables | {f"attribute/{c.name}": c.levels for c in self.category_attributes}

    def column(self, name: str) -> Column:
        """What stands behind a column. Raises KeyError for a name that is not in the plan."""
        return self._by_name[name]

    def source_of(self, column: str) -> str:
        """The raw variable, event type or attribute behind a column."""
        return self.column(column).source

    def _number_columns(self, number: NumberSource) -> list[Column]:  # last and age once, while the value holds
        columns = []
        for aggregation in self.aggregations:
            if aggregation == "missing" and not number.sampling_ms:
                continue
            if aggregation in ("last", "age"):
                columns.append(
                    Column(f"{number.name}.{aggregation}", number.name, "variable", aggregation, self.carry_ms(number.name))
                )
                continue
            for window in self.windows_ms:
                name = f"{number.name}.{aggregation}.{in_words(window)}"
                columns.append(Column(name, number.name, "variable", aggregation, window))
        lagged = (Column(f"{number.name}.lag.{in_words(lag)}", number.name, "variable", "lag", lag) for lag in self.lags_ms)
        return [*columns, *lagged]

    def _event_columns(self, event: str) -> list[Column]:
        counts = [Column(f"event/{event}.count.{in_words(w)}", event, "event", "count", w) for w in self.windows_ms]
        return [*counts, Column(f"event/{event}.recency", event, "event", "recency")]

    @cached_property
    def _carry_forward_ms(self) -> dict[str, int]:
        return {h.name: h.span_ms for h in self.held}

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.layout}

    def to_document(self) -> dict[str, Any]:
        """The plan as plain JSON values; without `held` where nothing is, as plans were before anything could be."""
        document = asdict(self)
        return document if self.held else {key: value for key, value in document.items() if key != "held"}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "FeaturePlan":
        """The plan that `to_document` wrote."""

        def categories(key: str) -> tuple[CategorySource, ...]:
            return tuple(CategorySource(c["name"], tuple(c["levels"])) for c in document[key])

        return FeaturePlan(
            stride_ms=document["stride_ms"],
            windows_ms=tuple(document["windows_ms"]),
            aggregations=tuple(document["aggregations"]),
            numbers=tuple(NumberSource(n["name"], n["sampling_ms"]) for n in document["numbers"]),
            categories=categories("categories"),
            events=tuple(document["events"]),
            number_attributes=tuple(document["number_attributes"]),
            category_attributes=categories("category_attributes"),
            delay_ms=document["delay_ms"],
            lags_ms=tuple(document.get("lags_ms", ())),
            held=tuple(CarryForward(h["name"], h["span_ms"]) for h in document.get("held", ())),
        )


def in_words(span_ms: int) -> str:
    """A span as people write it: 3h."""
    return format_duration(timedelta(milliseconds=span_ms))
