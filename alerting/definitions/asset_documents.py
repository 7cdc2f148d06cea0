"""Assets with their variables and the relations between variables; types of events."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from alerting.definitions.faults import (
    DocumentRefused,
    Duration,
    Fault,
    format_duration,
    name_hint,
    shown,
)
from alerting.definitions.fields.names_and_times import (
    NAME_LENGTH,
    NAME_PATTERN,
    VARIABLE_PATTERN,
    Closed,
    Instant,
    Line,
    LongerThanZero,
    Name,
    Number,
    Paragraph,
    Tag,
    VariableName,
    variable_name,
)
from alerting.definitions.wording.fault_messages import model_faults

VariableType = Literal["number", "category", "boolean"]
TYPES: dict[VariableType, tuple[type, str]] = {
    "number": (float, "number"),
    "boolean": (bool, "true or false"),
    "category": (str, "text"),
}
Direction = Literal["up", "down", "both"]
COUNTER_REACHES = 3
"""How many times as far back readings decide a counter's rate: see `readings.rates`."""
LAG_LENGTHS = 5
"""Time constants after which less than 1 % of an earlier value is left in a computed lag."""


class Link(Closed):
    """How a variable is computed from, or follows, other variables: one of a closed list of
    ways."""

    of: VariableName = Field(description="The variable that it follows.")
    minus: VariableName | None = Field(
        None, description="With difference: the variable that is subtracted."
    )
    gain: Number = Field(
        1.0,
        description=("Change for each unit by which `of` changes, once it has followed."),
    )
    time_constant: LongerThanZero | None = Field(
        None, description="With lag: time after which 63 % of a change has arrived, e.g. 5m."
    )

    @property
    def drivers(self) -> tuple[str, ...]:
        """Return the variables that this variable follows."""
        return (self.of,) if self.minus is None else (self.of, self.minus)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        for kind, name in (("lag", "time_constant"), ("difference", "minus"), ("ratio", "by")):
            if (getattr(self, "kind", None) == kind) != (getattr(self, name, None) is not None):
                raise ValueError(f"{name} goes together with kind: {kind}")
        return self


class Relation(Link):
    """A variable that follows others: recommendations move it together with them."""

    variable: VariableName = Field(description="The variable that follows.")
    kind: Literal["equal", "lag", "difference"] = Field(
        description="equal: it follows at once. lag: it follows as a first-order lag with "
        "`time_constant`. difference: it is "
        "`of` less `minus`."
    )


class Computed(Link):
    """A variable that is not measured: it is computed from other variables whenever they are
    read."""

    kind: Literal["equal", "lag", "difference", "ratio", "rate"] = Field(
        description="equal: `of` itself. lag: `of` behind a first-order lag with `time_constant`. "
        "difference: `of` less `minus`. "
        "ratio: `of` divided by `by`. rate: change of `of` per hour since its value before; of a "
        "counter, the increase. Each times `gain`."
    )
    by: VariableName | None = Field(
        None,
        description="With ratio: the divisor; no value where it is 0.",
    )
    within: LongerThanZero = Field(
        timedelta(minutes=10),
        description=("Each part counts by its last value, at most this old."),
    )

    @property
    def drivers(self) -> tuple[str, ...]:
        """Return the variables from which it is computed."""
        return tuple(name for name in (self.of, self.minus, self.by) if name is not None)

    @property
    def lookback(self) -> timedelta:
        """Return how far before an instant the values of its parts may lie that decide its value
        there."""
        if self.kind == "rate":
            return COUNTER_REACHES * (self.within + timedelta(milliseconds=1))
        return max(self.within, LAG_LENGTHS * (self.time_constant or timedelta(0)))


_MEASURED = (
    "type",
    "counter",
    "counts",
    "names",
    "delay",
    "latency",
    "source",
    "controllable",
    "min",
    "max",
    "step",
    "max_change",
    "direction",
    "rate",
    "tolerance",
    "values",
)
"""Fields of a variable that is measured or set. Delay and latency of a computed one follow from its
parts."""


class Variable(Closed):
    """One quantity of an asset: measured, or set."""

    title: Line | None = Field(
        None, description="Name for people, e.g. Belt speed; the name when left out."
    )
    type: VariableType = Field("number", description="number, category (text) or boolean.")
    unit: Tag | None = Field(
        None, description="Unit of the values; files and sources in another one are converted."
    )
    low: Number | None = Field(
        None, description="Lower end of the engineering range; what is below is a measuring fault."
    )
    high: Number | None = Field(None, description="Upper end of it.")
    counter: bool = Field(
        False,
        exclude_if=lambda counter: not counter,
        description="It only rises, and begins again at 0: its rates are increases.",
    )
    rolls_over_at: Number | None = Field(
        None,
        gt=0,
        exclude_if=lambda values: values is None,
        description="Of a counter: the number of its values, e.g. 65536.",
    )
    counts: Literal["units"] | None = Field(
        None,
        exclude_if=lambda counts: counts is None,
        description="units: it counts what is made, as a counter, or as pieces since the value "
        "before. Alarms that block production state their number.",
    )
    names: Literal["lots"] | None = Field(
        None,
        exclude_if=lambda names: names is None,
        description="lots: a category whose value names the lot in production until the next one.",
    )
    sampling: Duration | None = Field(
        None, description="Usual time between two values; found from the data when left out."
    )
    delay: Duration = Field(
        timedelta(0),
        description=("Time from its stamp until a value is known, e.g. 1h for a laboratory."),
    )
    carry_forward: LongerThanZero | None = Field(
        None,
        description=(
            "Longest time for which models carry a value forward, e.g. 14d; found from the "
            "data when left out."
        ),
    )
    latency: Duration | None = Field(
        None,
        description=(
            "Time for which evaluation waits for values, and by which alerts come later; "
            "later values are evaluated again. When left out: its source's, else "
            "`ALERTING_LATENCY` (10s)."
        ),
    )
    source: Name | None = Field(
        None, description="The source of its first value; noted by the platform."
    )
    controllable: bool = Field(
        False, description="Operators can set it; advice uses only such variables."
    )
    min: Number | None = Field(None, description="Lowest value an operator may set.")
    max: Number | None = Field(None, description="Highest value an operator may set.")
    step: Number | None = Field(None, gt=0, description="Smallest step an operator can set.")
    max_change: Number | None = Field(
        None, gt=0, description="Largest change an operator may make at once."
    )
    cost: Number = Field(1.0, gt=0, description="Relative effort of a change by its whole range.")
    direction: Direction = Field("both", description="Direction of a change: up, down or both.")
    rate: Number | None = Field(
        None,
        gt=0,
        description=("Largest change a minute: advice is a ramp from now. At once when left out."),
    )
    tolerance: Number | None = Field(
        None,
        ge=0,
        description=(
            "Distance by which the line may miss a setting, within which advice must hold; "
            "one step when left out."
        ),
    )
    values: tuple[Tag, ...] = Field(
        (),
        max_length=100,
        description=("Of a category: the values that an operator may choose."),
    )
    computed: Computed | None = Field(
        None,
        exclude_if=lambda computed: computed is None,
        description=(
            "Computed of other numbers of the asset, e.g. {kind: ratio, of: gas_flow, by: "
            "belt_speed}."
        ),
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.counter and self.type != "number":
            raise ValueError("counter: true goes with type: number")
        if self.rolls_over_at is not None and not self.counter:
            raise ValueError("rolls_over_at goes with counter: true")
        if self.computed is None:
            return self
        stated = [
            name for name in _MEASURED if getattr(self, name) != Variable.model_fields[name].default
        ]
        if stated:
            raise ValueError(
                "a computed variable is a number that no sensor delivers; remove "
                f"{', '.join(stated)}"
            )
        return self


# names and times that other modules import from here
__all__ = [
    "NAME_LENGTH",
    "NAME_PATTERN",
    "VARIABLE_PATTERN",
    "Closed",
    "Instant",
    "Line",
    "LongerThanZero",
    "Name",
    "Paragraph",
    "Tag",
    "VariableName",
    "variable_name",
]

_OF_NUMBERS = ("unit", "low", "high", "min", "max", "step", "max_change", "rate", "tolerance")
USUAL_LATENCY = timedelta(seconds=10)
MOST_VARIABLES = 10_000
"""Variables of an asset at most."""


@dataclass(frozen=True)
class SourceLatencies:
    """How long evaluation waits for values of each source. All instances compare as equal, so that
    latencies are no part of an asset's identity."""

    by_source: Mapping[str, timedelta] = field(default_factory=dict, compare=False)


class Asset(Closed):
    """A machine or line whose readings and events are stored."""

    name: Name = Field(description="Unique name, e.g. oven-1.")
    title: Line | None = Field(None, description="Name for people.")
    parent: Name | None = Field(
        None,
        description=(
            "The asset above it, e.g. its line; events and states of the parent count here, too."
        ),
    )
    position: Name | None = Field(
        None,
        description="Operator position that answers its alarms; the parent's when left out.",
    )
    attributes: dict[Tag, Line | float | bool] = Field(
        default_factory=dict,
        max_length=1000,
        description="Fixed facts such as model or age, for features and selectors.",
    )
    variables: dict[VariableName, Variable] = Field(
        default_factory=dict, max_length=MOST_VARIABLES, description="Variables by name."
    )
    relations: tuple[Relation, ...] = Field(
        (),
        max_length=1000,
        description=(
            "Variables that follow others, e.g. a temperature its set-point: recommendations "
            "move them together."
        ),
    )

    _latencies: SourceLatencies = PrivateAttr(default_factory=SourceLatencies)

    @field_validator("relations")
    @classmethod
    def _check_relations(cls, relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
        in_order(relations)
        return relations

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        for name, type_ in (("counts", "number"), ("names", "category")):
            types = [v.type for v in self.variables.values() if getattr(v, name)]
            if types not in ([], [type_]):
                raise ValueError(f"{name}: is for one variable of type: {type_}")
        return self

    def latency(self, variable: str, default: timedelta) -> timedelta:
        """Return how long evaluation waits for values of a variable: its latency, else its source's
        latency.

        A computed variable has the longest latency of its parts. `default`: the platform's latency,
        for a variable with neither.
        """
        declared = self.variables.get(variable)
        if declared is not None and declared.computed is not None:
            return max(self.latency(part, default) for part in declared.computed.drivers)
        if declared is None:
            return default
        if declared.latency is not None:
            return declared.latency
        source = declared.source
        return self._latencies.by_source.get(source, default) if source else default

    def delay(self, variable: str) -> timedelta:
        """Return the time after which a value is known; for a computed variable its parts count
        too."""
        declared = self.variables.get(variable)
        if declared is None:
            return timedelta(0)
        if declared.computed is None:
            return declared.delay
        return max(self.delay(part) for part in declared.computed.drivers)

    def is_computed(self, variable: str) -> bool:
        """Return whether a variable is computed from others."""
        return variable in self.variables and self.variables[variable].computed is not None

    def with_parts(self, variables: Iterable[str]) -> list[str]:
        """Return these variables and all parts of computed ones, each once and after its parts."""
        waiting = list(variables)
        if not any(map(self.is_computed, waiting)):
            return list(dict.fromkeys(reversed(waiting)))
        parts: dict[str, tuple[str, ...]] = {}
        while waiting:
            name = waiting.pop()
            declared = self.variables.get(name)
            if name not in parts:
                parts[name] = (
                    declared.computed.drivers
                    if declared is not None and declared.computed is not None
                    else ()
                )
                waiting += parts[name]
        return list(TopologicalSorter(parts).static_order())

    def computed_of(self, variables: Iterable[str]) -> list[str]:
        """Return the variables that are computed from any of these, at any depth, each after its
        parts."""
        moved = set(variables)
        names = []
        for name in self.with_parts(name for name in self.variables if self.is_computed(name)):
            computed = self.variables[name].computed
            if computed is not None and moved & set(computed.drivers):
                moved.add(name)
                names.append(name)
        return names

    def with_latencies(self, of_sources: Mapping[str, timedelta]) -> "Asset":
        """Return the asset with the latencies of sources for variables without their own."""
        if not of_sources or not any(
            variable.source in of_sources for variable in self.variables.values()
        ):
            return self
        asset = self.model_copy()
        asset._latencies = SourceLatencies(of_sources)
        return asset


class AssetTree:
    """All assets by name, to find the ancestors of an asset; made once, because there may be many
    assets."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_name = {asset.name: asset for asset in assets}

    def asset_and_ancestors(self, asset: Asset) -> list[Asset]:
        """Return the asset, its parent, the parent's parent and so on, as far as known."""
        chain = [asset]
        while (
            parent := self._by_name.get(chain[-1].parent or "")
        ) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def position(self, asset: Asset) -> str:
        """Return the operator position of an asset: its own, or that of its nearest ancestor with
        one. Assets without any share one position."""
        line = self.asset_and_ancestors(asset)
        return next(
            (holder.position for holder in line if holder.position is not None), "operators"
        )


def asset_titles(assets: Iterable[Asset]) -> dict[str, str]:
    """Return the titles of assets by name; an asset without a title has its name."""
    return {asset.name: asset.title or asset.name for asset in assets}


def in_order(relations: Collection[Relation]) -> list[Relation]:
    """Return the relations in an order in which each comes after the relations of its drivers.

    Raises ValueError if a variable has two relations, or follows itself directly or through others.
    """
    if not relations:
        return []
    by_variable = {}
    for relation in relations:
        if relation.variable in by_variable:
            raise ValueError(f"{shown(relation.variable)} has two relations; keep one")
        by_variable[relation.variable] = relation
    try:
        names = list(
            TopologicalSorter(
                {name: relation.drivers for name, relation in by_variable.items()}
            ).static_order()
        )
    except CycleError as circle:
        raise ValueError(
            f"variables follow one another in a circle: {' -> '.join(circle.args[1])}"
        ) from circle
    return [by_variable[name] for name in names if name in by_variable]


def computed_faults(asset: Asset) -> Iterator[Fault]:
    """Return faults of computed variables: unknown parts, no numbers, too rare, circles."""
    computed = {name: v.computed for name, v in asset.variables.items() if v.computed is not None}
    return _faults_of(asset, computed) if computed else iter(())


def _faults_of(asset: Asset, computed: Mapping[str, Computed]) -> Iterator[Fault]:
    graph = {name: formula.drivers for name, formula in computed.items()}
    for name, parts in graph.items():
        where = f"variables.{name}.computed"
        within = computed[name].within
        for part in dict.fromkeys(parts):
            if part not in asset.variables:
                yield Fault(
                    where,
                    f"the asset declares no variable {shown(part)}",
                    name_hint(part, asset.variables, "known variables"),
                )
            elif asset.variables[part].type == "category":
                yield Fault(
                    where,
                    f"{shown(part)} is a category; only numbers can be computed with",
                )
            elif (sampling := asset.variables[part].sampling) is not None and within < sampling:
                short = format_duration(within)
                usual = format_duration(sampling)
                yield Fault(
                    f"{where}.within",
                    f"{short} is shorter than the sampling of {shown(part)}, {usual}",
                    "lengthen it",
                )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        yield Fault(
            "variables",
            f"computed variables depend on each other in a circle: {' -> '.join(circle.args[1])}",
        )
    for number, relation in enumerate(asset.relations):
        for name in (relation.variable, *relation.drivers):
            if name in graph:
                yield Fault(
                    f"relations.{number}",
                    f"{shown(name)} is computed, and moves with its parts",
                    "name measured variables",
                )


def types_of(asset: Asset, variables: Iterable[str]) -> dict[str, VariableType]:
    """Return the type of each variable, each type once; an undeclared variable is a number."""
    return {
        name: asset.variables[name].type if name in asset.variables else "number"
        for name in variables
    }


def value_faults(
    path: str, value: object, name: str, type_: VariableType, remedy: str = "write"
) -> Iterator[Fault]:
    """Yield the fault of a value that a variable of this name and type cannot have."""
    expected, text = TYPES[type_]
    if not isinstance(value, expected):
        message = f"{shown(value)} is not a possible value of {shown(name)}, a {type_}"
        yield Fault(path, message, f"{remedy} {text}")


class EventType(Closed):
    """Type of events: `instant` has no duration, `lasting` goes on until its end is known."""

    name: Name = Field(description="Unique name, e.g. failure.")
    title: Line | None = Field(None, description="Name for people.")
    duration: Literal["instant", "lasting"] = Field(
        description="instant: never ongoing; lasting: ongoing while it has no end."
    )
    delay: Duration = Field(
        timedelta(0),
        description=(
            "Time from the start of an event, and from its end, until it is known, e.g. 14d for "
            "complaints."
        ),
    )


def event_titles(types: Iterable[EventType]) -> dict[str, str]:
    """Return the titles of event types by name; a type without a title has its name."""
    return {type_.name: type_.title or type_.name for type_ in types}


def parse_asset(document: Mapping[str, Any]) -> Asset:
    """Return the asset of a document. Raises DocumentRefused with every fault."""
    try:
        asset = Asset.model_validate(dict(document))
    except ValidationError as error:
        raise DocumentRefused(document.get("name"), asset_faults(error), "asset") from error
    if faults := list(computed_faults(asset)):
        raise DocumentRefused(asset.name, faults, "asset")
    return asset


def asset_faults(error: ValidationError) -> list[Fault]:
    """Return the faults of the fields of an asset by pydantic's errors."""
    members = {"variables": Variable.model_fields}
    rule = "letters, digits, _ . - only; in names of variables no dot, and no digit first"
    return model_faults(error.errors(), Asset.model_fields, members, rule)


def asset_document(asset: Asset) -> dict[str, Any]:
    """Return an asset as a document, with the type of a measured variable only where it was stated.

    A variable without one is a number until its first reading, from which it can take another type.
    """
    document: dict[str, Any] = asset.model_dump(mode="json", by_alias=True)
    for name, variable in asset.variables.items():
        if is_type_open(variable):
            del document["variables"][name]["type"]
    return document


def is_type_open(variable: Variable) -> bool:
    """Return whether a measured variable was declared without type and number's fields."""
    is_stated = "type" in variable.model_fields_set or any(
        getattr(variable, field) is not None for field in _OF_NUMBERS
    )
    return not (is_stated or variable.computed or variable.counter or variable.counts)


def parse_event_type(document: Mapping[str, Any]) -> EventType:
    """Return the event type of a document. Raises DocumentRefused with every fault."""
    try:
        return EventType.model_validate(dict(document))
    except ValidationError as error:
        raise DocumentRefused(
            document.get("name"), model_faults(error.errors(), EventType.model_fields), "event type"
        ) from error
