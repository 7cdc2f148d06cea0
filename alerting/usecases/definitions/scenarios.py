"""Tests of definitions as data: readings over time, and exactly the transitions that they must
cause. The functions of live evaluation evaluate them; no store is read or written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import ndiff
from typing import Any, Literal, cast

from pydantic import Field, StrictBool, ValidationError

from alerting.deferred import pd
from alerting.definitions.alert_definition import Condition, Definition, ModelDefinition, Severity
from alerting.definitions.asset_documents import (
    TYPES,
    Asset,
    Closed,
    Instant,
    Line,
    Tag,
    Variable,
    VariableType,
    computed_faults,
)
from alerting.definitions.faults import LONGEST, MOST_FAULTS, Duration, UserError, format_duration
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.revisions import in_plant_zone
from alerting.definitions.threshold_limits import level_delays, severities, unknown_limits
from alerting.definitions.wording.fault_messages import model_faults
from alerting.definitions.wording.language import with_command
from alerting.detection.combined_conditions import status_intervals
from alerting.detection.suppressed_intervals import SuppressedInterval, suppressed_intervals
from alerting.episodes.lifecycle import ConditionState, Step, advance
from alerting.kinds.reading_spacing import describe_unfulfillable, lasting_condition
from alerting.kinds.registry import parse_definition
from alerting.kinds.value_reach import describe_impossible, describe_impossible_so_far
from alerting.operators.alarm_load import notification_instants
from alerting.ports import Document
from alerting.readings.history import (
    INDEX_DTYPE,
    Doubts,
    History,
    has_data,
    millis,
    with_computed,
)
from alerting.readings.variable_series import value_times

Value = StrictBool | float | Line | None
BAD_QUALITY = "bad quality"
_TIMES = re.compile(r"^(?P<value>|.*?\S)\s+x\s*(?P<times>\d+)$")
_MOMENT = timedelta(milliseconds=1)
_MOST_VALUES = 100_000
_MOST_SCENARIOS = 50


class ExpectedTransition(Closed):
    """One transition; exactly one of raised, severity and closed is given."""

    at: Duration = Field(description="Time from the start.")
    raised: Severity | None = Field(None, description="An episode of this severity is raised.")
    severity: Severity | None = Field(None, description="The severity becomes this one.")
    closed: Literal[True] | None = Field(None, description="The episode is closed.")


class During(Closed):
    """An interval of a scenario."""

    start: Duration = Field(alias="from", description="Beginning, as time from the start.")
    end: Duration = Field(alias="to", description="End, as time from the start.")


class EventDuring(During):
    """A lasting event."""

    type: Tag = Field(description="Type of the event, e.g. stop.")


class Scenario(Closed):
    """Readings over time, and the transitions that they must cause."""

    title: Line = Field(description="Title of the scenario.")
    asset: dict[str, Any] = Field(
        default_factory=dict, description="Asset as in an asset file: attributes and variables."
    )
    start: Instant = Field(
        datetime(2026, 1, 1, tzinfo=UTC), description="Instant of the first value."
    )
    every: Duration = Field(timedelta(minutes=1), description="Time between two values.")
    readings: dict[str, tuple[Value, ...]] = Field(
        default_factory=dict,
        description="Values by variable; null is missing, `bad quality` a sample that its source "
        "calls bad, "
        "`215 x 10` ten times 215.",
    )
    until: Duration | None = Field(
        None,
        description="Length of the evaluation; up to the last value, or without readings to the "
        "last end of an event, when left out.",
    )
    after: Duration = Field(timedelta(0), description="Start of the comparison of transitions.")
    before: Duration | None = Field(
        None,
        description="End of the comparison of transitions; the end of the scenario when left out.",
    )
    events: tuple[EventDuring, ...] = Field(
        (), description="Events of the asset, or of one above it."
    )
    muted: tuple[During, ...] = Field(
        (), description="Intervals in which an operator has muted it."
    )
    expect: tuple[ExpectedTransition, ...] = Field(
        description="All transitions, in order; [] if none may happen."
    )
    notified: tuple[Duration, ...] | None = Field(
        None,
        description="Times of the first notification of each episode: at its raise, or when "
        "suppression and mutes end; [] if "
        "there is none. Not compared when left out.",
    )


class ScenarioFile(Closed):
    """A definition and the scenarios that it must pass."""

    definition: str | dict[str, Any] = Field(
        description="File beside this one, name of a definition, or the definition itself."
    )
    scenarios: tuple[Scenario, ...] = Field(
        min_length=1, description="Readings and the transitions that they must cause."
    )


@dataclass(frozen=True)
class ScenarioResult:
    """Result of one scenario: `found` and `expected` as lines; `difference` compares them, empty if
    the scenario passed; `notes`: expectations that such readings can never meet."""

    title: str
    found: tuple[str, ...]
    expected: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.found == self.expected

    @property
    def difference(self) -> tuple[str, ...]:
        """Return the lines that differ: `-` before an expected line that was not found, `+` before
        a found one that was not expected."""
        lines = ndiff(self.expected, self.found)
        return (
            ()
            if self.passed
            else tuple(line.rstrip() for line in lines if not line.startswith("?"))
        )


def read_scenarios(document: Any, origin: str) -> ScenarioFile:
    """Read a scenario document. Raises UserError with every fault."""
    if not isinstance(document, Mapping):
        raise UserError(
            f"{origin}: is not a scenario file; write `definition: …` and `scenarios: …`"
        )
    try:
        return ScenarioFile.model_validate(dict(document))
    except ValidationError as error:
        faults = [f"  - {fault}" for fault in model_faults(error.errors()[:MOST_FAULTS])]
        raise UserError(f"{origin}: is not a scenario file:\n" + "\n".join(faults)) from error


def run_scenarios(
    definition: Document, scenarios: Sequence[Document], origin: str, zone: tzinfo = UTC
) -> list[ScenarioResult]:
    """Evaluate the scenarios of a document in the plant's zone, within bounds. Raises UserError."""
    written = read_scenarios({"definition": definition, "scenarios": scenarios}, origin)
    values = sum(
        _times(value)
        for scenario in written.scenarios
        for column in scenario.readings.values()
        for value in column
    )
    if len(written.scenarios) > _MOST_SCENARIOS or values > _MOST_VALUES:
        raise UserError(
            f"{origin}: at most {_MOST_SCENARIOS} scenarios with {_MOST_VALUES} values in all are "
            "run at once; run more with `alerting test`"
        )
    tested = in_plant_zone(parse_definition(dict(definition)), str(zone))
    return [run_scenario(tested, scenario) for scenario in written.scenarios]


def run_scenario(definition: Definition, scenario: Scenario) -> ScenarioResult:
    """Evaluate the readings of a scenario. Raises UserError for models, which scenarios cannot
    test, and malformed values."""
    if not isinstance(definition, Conditions) or isinstance(definition, ModelDefinition):
        learned = "has learned limits, of which a scenario has no past"
        how = learned if isinstance(definition, Conditions) else "is evaluated by a trained model"
        text = f"{definition.name!r} {how}: evaluate a past period instead"
        raise UserError(with_command(text, f"alerting evaluate {definition.name} --from"))
    _refuse_too_long(scenario)
    combination = definition.combination
    conditions: list[Condition] = (
        [definition] if combination is None else list(combination.leaves())
    )
    names = [condition.variable for condition in conditions if condition.variable]
    history = _build_history(definition, names, scenario)
    for fault in (
        fault for condition in conditions for fault in unknown_limits(condition, history.asset)
    ):
        raise UserError(
            f"scenario {scenario.title!r}: {fault.path}: {fault.message}; give it under asset: "
            "attributes:"
        )
    values = max((len(_expand_values(v)) for v in scenario.readings.values()), default=0)
    end = scenario.until
    if end is None:
        ends = (event.end for event in scenario.events)
        end = (values - 1) * scenario.every if values else max(ends, default=timedelta(0))
    before = scenario.start - _MOMENT
    _, steps = advance(
        ConditionState(before),
        status_intervals(definition, history, before, scenario.start + end),
        definition.hold,
        definition.clear_for,
        severities(definition),
        level_delays(definition),
    )
    last = end if scenario.before is None else scenario.before
    lines = [
        _line(s.at - scenario.start, s)
        for s in steps
        if s.kind != "renewed" and scenario.after <= s.at - scenario.start <= last
    ]
    expected = [_expected_line(e, scenario) for e in scenario.expect]
    if scenario.notified is not None:
        if definition.suppression and definition.suppression.inhibited:
            others = ", ".join(
                inhibitor.definition for inhibitor in definition.suppression.inhibited
            )
            raise UserError(
                f"scenario {scenario.title!r}: notified cannot be compared: it also depends on "
                f"episodes of {others}"
            )
        notified = [
            at - scenario.start
            for at in _notified_instants(definition, scenario, history, steps, scenario.start + end)
        ]
        lines += [f"{_clock(at)}  notified" for at in notified if scenario.after <= at <= last]
        expected += [f"{_clock(at)}  notified" for at in scenario.notified]
    times = {name: value_times(history, name) for name in names}
    notes = list(describe_unfulfillable(lasting_condition(definition), times))
    if lines != expected:
        seen = {name: history.readings[name][has_data(history, name)].to_numpy() for name in times}
        notes += describe_impossible(definition, history.asset)
        notes += describe_impossible_so_far(definition, history.asset, seen)
    return ScenarioResult(scenario.title, tuple(lines), tuple(expected), tuple(notes))


def _refuse_too_long(scenario: Scenario) -> None:
    if scenario.every < timedelta(seconds=1):
        raise UserError(f"scenario {scenario.title!r}: every: the shortest is 1s")
    for name, values in scenario.readings.items():
        count = sum(_times(value) for value in values)
        if count > _MOST_VALUES or count * scenario.every > LONGEST:
            most = f"at most {_MOST_VALUES} over {format_duration(LONGEST)} are allowed"
            raise UserError(f"scenario {scenario.title!r}: {name} has too many values; {most}")


def _times(value: Value) -> int:
    match = _TIMES.match(value) if isinstance(value, str) else None
    if match is None:
        return 1
    return int(match["times"]) if len(match["times"]) < 10 else _MOST_VALUES + 1


def _notified_instants(
    definition: Definition,
    scenario: Scenario,
    history: History,
    steps: Sequence[Step],
    end: datetime,
) -> list[datetime]:
    """Return the instants of notifications. Suppression depends on the readings and events of the
    scenario only."""
    suppression = definition.suppression
    silent = (
        suppressed_intervals(suppression, [history], scenario.start, end) if suppression else []
    )
    muted = [
        SuppressedInterval(scenario.start + interval.start, scenario.start + interval.end, "muted")
        for interval in scenario.muted
    ]
    return notification_instants(
        steps, silent, suppression.still_notify if suppression else (), end + _MOMENT, muted
    )


def _line(at: timedelta, step: Step) -> str:
    text = "closed" if step.kind == "closed" else f"{step.kind}: {step.severity}"
    return f"{_clock(at)}  {text}"


def _expected_line(expected: ExpectedTransition, scenario: Scenario) -> str:
    stated = {
        n: getattr(expected, n)
        for n in ("raised", "severity", "closed")
        if getattr(expected, n) is not None
    }
    if len(stated) != 1:
        raise UserError(
            f"scenario {scenario.title!r}: at {_clock(expected.at)} write exactly one of raised, "
            "severity and closed"
        )
    ((name, value),) = stated.items()
    return f"{_clock(expected.at)}  {name if name == 'closed' else f'{name}: {value}'}"


def _clock(at: timedelta) -> str:
    return format_duration(
        at + _MOMENT
    )  # what lasts from before the first value ends so much later


def _build_history(definition: Definition, variables: Sequence[str], scenario: Scenario) -> History:
    asset = _asset(definition, variables, scenario)
    columns = {
        n: _column(n, _expand_values(v), asset.variables[n].type, scenario)
        for n, v in scenario.readings.items()
    }
    length = max((len(c) for c in columns.values()), default=0)
    instants = [scenario.start + i * scenario.every for i in range(length)]
    index = pd.DatetimeIndex(pd.to_datetime(instants, utc=True), name="ts")
    padded = {n: [*c, *[None] * (length - len(c))] for n, c in columns.items()}
    types = {n: object if asset.variables[n].type == "category" else "float64" for n in padded}
    frame = pd.DataFrame({n: pd.Series(v, dtype=types[n]) for n, v in padded.items()})
    frame.index = index.astype(INDEX_DTYPE)
    ts = millis(pd.DatetimeIndex(frame.index))
    bad = {
        n: ts[[i for i, value in enumerate(_expand_values(v)) if value == BAD_QUALITY]]
        for n, v in scenario.readings.items()
    }
    computed = [name for name in asset.with_parts(asset.variables) if asset.is_computed(name)]
    return with_computed(History(asset, frame, _events(scenario), doubts=Doubts(bad)), computed)


def _events(scenario: Scenario) -> "pd.DataFrame":
    events = sorted(scenario.events, key=lambda e: e.start)
    columns = {
        name: [scenario.start + getattr(e, name) for e in events] for name in ("start", "end")
    }
    instants = {name: pd.Series(at, dtype=INDEX_DTYPE) for name, at in columns.items()}
    return pd.DataFrame({"type": pd.Series([e.type for e in events], dtype=object), **instants})


def _asset(definition: Definition, variables: Sequence[str], scenario: Scenario) -> Asset:
    """Return the asset as written. A variable without a description gets the type of its values."""
    document = {"name": definition.assets[0].replace("*", "x"), **scenario.asset}
    try:
        asset = Asset.model_validate(document)
    except ValidationError as error:
        raise UserError(
            f"scenario {scenario.title!r}: asset: {model_faults(error.errors())[0]}"
        ) from error
    undescribed = {
        n: Variable(type=_type(_expand_values(v)))
        for n, v in scenario.readings.items()
        if n not in asset.variables
    }
    for variable in variables:
        if variable not in {*asset.variables, *undescribed}:
            raise UserError(
                f"scenario {scenario.title!r}: has no readings of {variable!r}, a variable of the "
                "definition"
            )
    whole = asset.model_copy(update={"variables": {**asset.variables, **undescribed}})
    for fault in computed_faults(whole):
        raise UserError(f"scenario {scenario.title!r}: asset: {fault}")
    return whole


def _type(values: Sequence[Value]) -> VariableType:
    present = [v for v in values if v not in (None, BAD_QUALITY)]
    types = (t for t, (kind, _) in TYPES.items() if all(isinstance(v, kind) for v in present))
    return cast(VariableType, next(types, "number") if present else "number")


def _column(
    name: str, values: Iterable[Value], type_: VariableType, scenario: Scenario
) -> list[float | str | None]:
    kind, description = TYPES[type_]
    column: list[float | str | None] = []
    for value in (None if v == BAD_QUALITY else v for v in values):
        if value is not None and not isinstance(value, kind):
            raise UserError(
                f"scenario {scenario.title!r}: {value!r} is not a value of {name!r}, which takes "
                f"{description}"
            )
        column.append(value if value is None or isinstance(value, str) else float(value))
    return column


def _expand_values(values: Sequence[Value]) -> list[Value]:
    """Expand `215 x 10` to ten values. The repeated value is read like a single one."""
    spread: list[Value] = []
    for value in values:
        match = _TIMES.match(value) if isinstance(value, str) else None
        spread += [value] if match is None else [_alone(match["value"])] * int(match["times"])
    return spread


def _alone(text: str) -> Value:
    if text in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text]
    try:
        return float(text)
    except ValueError:
        return text
