"""Assets: a machine or line with the variables that are measured or set on it, and types of events."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from alerting.definitions.durations import Duration
from alerting.definitions.faults import DocumentRefused
from alerting.definitions.wording.fault_messages import model_faults

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"

NAME_LENGTH = 100
_MARK_LENGTH = 8

NO_POSITION = "operators"
_OVERRIDES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # these reverse the order of letters
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _require_printable(text: str) -> str:
    if text.isprintable():
        return text
    for character in text:
        if not character.isprintable() and character not in "\n\t" and _is_control(character):
            raise ValueError(f"holds the control character U+{ord(character):04X}; remove it")
    return text


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or unicodedata.bidirectional(character) in _OVERRIDES


def _longer_than_zero(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return duration


def _in_reach(instant: datetime) -> datetime:
    try:
        in_utc = instant.astimezone(UTC)
    except OverflowError:
        in_utc = datetime.min.replace(tzinfo=UTC)
    if not _EARLIEST <= in_utc < _LATEST:
        raise ValueError(f"must lie between the years {_EARLIEST.year} and {_LATEST.year}")
    return instant


_control_free = AfterValidator(_require_printable)
Line = Annotated[str, StringConstraints(max_length=200), _control_free]
Paragraph = Annotated[str, StringConstraints(max_length=2000), _control_free]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100), _control_free]
LongerThanZero = Annotated[Duration, AfterValidator(_longer_than_zero)]
Instant = Annotated[AwareDatetime, AfterValidator(_in_reach)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN, max_length=100)]
VariableType = Literal["number", "category", "boolean"]
TYPES: dict[VariableType, tuple[type, str]] = {
    "number": (float, "number"),
    "boolean": (bool, "true or false"),
    "category": (str, "text"),
}
Direction = Literal["up", "down", "both"]
USUAL_LATENCY = timedelta(seconds=10)


class Closed(BaseModel):
    """A document without unknown fields, immutable once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Variable(Closed):
    """One quantity of an asset: measured, or set."""

    title: Line | None = Field(
        None, description="Name for people, as at the beginning of a sentence (`Belt speed`); the variable's name when left out."
    )
    type: VariableType = Field("number", description="number, category (text) or boolean.")
    unit: Tag | None = Field(None, description="Unit of the values, shown beside every figure. Values are never converted.")
    low: float | None = Field(None, description="Lower end of the engineering range; lower values are measuring faults.")
    high: float | None = Field(None, description="Upper end of the engineering range; higher values are measuring faults.")
    sampling: Duration | None = Field(None, description="Usual time between two values; found from the data when left out.")
    delay: Duration = Field(
        timedelta(0), description="Time from the time stamp of a value until it is known, e.g. 1h for a laboratory."
    )
    carry_forward: LongerThanZero | None = Field(
        None,
        description="Longest time for which models carry a value forward until the next one, e.g. 14d for a recipe or set-point "
        "that is reported when it changes; found from the data when left out. Afterwards the value is missing.",
    )
    latency: Duration | None = Field(
        None,
        description="Time for which evaluation waits for values under way, e.g. 30s: alerts come later by this time; "
        "even later values are evaluated again. When left out: its source's, else the platform's (`ALERTING_LATENCY`, 10s).",
    )
    source: Name | None = Field(None, description="The source that delivers it, as the platform notes with its first value.")
    controllable: bool = Field(False, description="True if operators can set it; recommendations use only such variables.")
    min: float | None = Field(None, description="Lowest value an operator may set.")
    max: float | None = Field(None, description="Highest value an operator may set.")
    step: float | None = Field(None, gt=0, description="Smallest step an operator can set.")
    max_change: float | None = Field(None, gt=0, description="Largest change an operator may make at once.")
    cost: float = Field(
        1.0,
        gt=0,
        description="Relative effort of changing it by its whole range; recommendations prefer changes of little effort.",
    )
    direction: Direction = Field("both", description="Direction in which an operator may change it: up, down or both.")
    rate: float | None = Field(
        None,
        gt=0,
        description="Largest change a minute, in its unit: a recommended change is a ramp from now, and its risk is that at the "
        "end of the ramp. At once when left out.",
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        description="Distance by which the line may miss a setting; advice must hold within it. One step when left out, or a "
        "fortieth of the range without a step.",
    )
    values: tuple[Tag, ...] = Field(
        (), max_length=100, description="Of a controllable category: the values that an operator may choose, e.g. recipes."
    )


class Relation(Closed):
    """A variable that follows others: recommendations move it together with them."""

    variable: VariableName = Field(description="The variable that follows.")
    kind: Literal["equal", "lag", "difference"] = Field(
        description="equal: it follows at once. lag: it follows as a first-order lag with `time_constant`. difference: it is "
        "`of` less `minus`."
    )
    of: VariableName = Field(description="The variable that it follows.")
    minus: VariableName | None = Field(None, description="With difference: the variable that is subtracted.")
    gain: float = Field(1.0, description="Change of the variable for each unit by which `of` changes, once it has followed.")
    time_constant: LongerThanZero | None = Field(
        None, description="With lag: time after which 63 % of a change has arrived, e.g. 5m."
    )

    @property
    def drivers(self) -> tuple[str, ...]:
        """Return the variables that this one follows."""
        return (self.of,) if self.minus is None else (self.of, self.minus)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.kind == "lag") != (self.time_constant is not None):
            raise ValueError("time_constant goes together with kind: lag")
        if (self.kind == "difference") != (self.minus is not None):
            raise ValueError("minus goes together with kind: difference")
        return self


@dataclass(frozen=True)
class SourceLatencies:
    """How long evaluation waits for values of each source. All are equal: they are no part of an asset's document."""

    by_source: Mapping[str, timedelta] = field(default_factory=dict, compare=False)


class Asset(Closed):
    """A machine or line whose readings and events are stored."""

    name: Name = Field(description="Unique name, e.g. oven-1.")
    title: Line | None = Field(None, description="Name for people.")
    parent: Name | None = Field(
        None, description="The asset to which this one belongs, e.g. its line; events and states of the parent count here, too."
    )
    position: Name | None = Field(
        None,
        description="The operator position that answers its alarms, e.g. oven-operator; the parent's when left out. "
        "Alarm figures and the alarm budget are per position; assets without a position share one, called operators.",
    )
    attributes: dict[Tag, Line | float | bool] = Field(
        default_factory=dict,
        max_length=1000,
        description="Fixed facts such as model or age; usable as features and in selectors.",
    )
    variables: dict[VariableName, Variable] = Field(default_factory=dict, max_length=10_000, description="Variables by name.")
    relations: tuple[Relation, ...] = Field(
        (),
        max_length=1000,
        description="Variables that follow others, e.g. a zone temperature its set-point; recommendations move them together.",
    )

    _latencies: SourceLatencies = PrivateAttr(default_factory=SourceLatencies)

    @field_validator("relations")
    @classmethod
    def _check_relations(cls, relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
        in_order(relations)
        return relations

    def latency(self, variable: str, default: timedelta) -> timedelta:
        """Return how long evaluation waits for values of a variable: its latency, else that of its source.

        `default`: the platform's latency, where neither is given.
        """
        declared = self.variables.get(variable)
        if declared is None or declared.latency is not None:
            return default if declared is None or declared.latency is None else declared.latency
        return self._latencies.by_source.get(declared.source or "", default)

    def with_latencies(self, of_sources: Mapping[str, timedelta]) -> "Asset":
        """Return the asset with the latencies of sources, by name, for variables without their own."""
        if not of_sources or not any(variable.source in of_sources for variable in self.variables.values()):
            return self
        asset = self.model_copy()
        asset._latencies = SourceLatencies(of_sources)
        return asset


def in_order(relations: Iterable[Relation]) -> list[Relation]:
    """Return relations so that each comes after those of its drivers.

    Raises ValueError if a variable has two relations, or follows itself directly or through others.
    """
    of = {}
    for relation in relations:
        if relation.variable in of:
            raise ValueError(f"{relation.variable!r} has two relations; keep one")
        of[relation.variable] = relation
    try:
        names = list(TopologicalSorter({name: relation.drivers for name, relation in of.items()}).static_order())
    except CycleError as circle:
        raise ValueError(f"variables follow one another in a circle: {' -> '.join(circle.args[1])}") from circle
    return [of[name] for name in names if name in of]


def types_of(asset: Asset, variables: Iterable[str]) -> dict[str, VariableType]:
    """Return the type of each variable, each once; a variable that the asset does not declare counts as a number."""
    return {name: asset.variables[name].type if name in asset.variables else "number" for name in variables}


class EventType(Closed):
    """Type of events: `instant` has no duration, `lasting` goes on until its end is known."""

    name: Name = Field(description="Unique name, e.g. failure.")
    duration: Literal["instant", "lasting"] = Field(description="instant: never ongoing; lasting: ongoing while it has no end.")
    delay: Duration = Field(
        timedelta(0), description="Time from the start of an event, and from its end, until it is known, e.g. 14d for complaints."
    )


class AssetRefused(DocumentRefused):
    """Refusal of a whole asset because of its faults."""

    what = "asset"


class EventTypeRefused(DocumentRefused):
    """Refusal of a whole event type because of its faults."""

    what = "event type"


def parse_asset(document: Mapping[str, Any]) -> Asset:
    """Return the asset of a document. Raises AssetRefused with every fault."""
    try:
        return Asset.model_validate(dict(document))
    except ValidationError as error:
        raise AssetRefused(document.get("name"), model_faults(error.errors(), Asset.model_fields)) from error


def parse_event_type(document: Mapping[str, Any]) -> EventType:
    """Return the event type of a document. Raises EventTypeRefused with every fault."""
    try:
        return EventType.model_validate(dict(document))
    except ValidationError as error:
        raise EventTypeRefused(document.get("name"), model_faults(error.errors(), EventType.model_fields)) from error


def upwards(asset: Asset, assets: Sequence[Asset]) -> list[Asset]:
    """Return the asset, its parent, the parent's parent and so on, as far as these are known."""
    by_name = {a.name: a for a in assets}
    chain = [asset]
    while (parent := by_name.get(chain[-1].parent or "")) is not None and parent not in chain:
        chain.append(parent)
    return chain


def position_of(asset: Asset, assets: Sequence[Asset]) -> str:
    """Return the operator position that answers the alarms of an asset: its own, or the nearest one above it."""
    return next((a.position for a in upwards(asset, assets) if a.position is not None), NO_POSITION)


def line_of(asset: Asset, assets: Sequence[Asset]) -> str:
    """Return the name of the outermost asset above an asset, its line; its own name if none is above it."""
    return upwards(asset, assets)[-1].name


def variable_name(foreign: str) -> str:
    """Derive a legal variable name from any column title: `Air temperature [K]` gives `Air_temperature_K`.

    A title that is too long for a name, or has no legal character, gets a hash of the whole title, which keeps names distinct.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", foreign.strip()).strip("_")
    legal = name if re.match(VARIABLE_PATTERN, name) else f"v_{name}"
    if name and len(legal) <= NAME_LENGTH:
        return legal
    mark = sha256(foreign.strip().encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LENGTH]
    return f"{legal[: NAME_LENGTH - _MARK_LENGTH - 1].rstrip('_')}_{mark}"
