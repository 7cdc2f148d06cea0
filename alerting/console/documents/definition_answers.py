"""Answers of the REST API, version 1, on definitions: their list, expected load, scenarios and the
results of previews."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import Severity
from alerting.usecases.alarm_load.budget_gate import LoadForecast
from alerting.usecases.alarm_load.definition_overview import DefinitionLine
from alerting.usecases.backtest.preview import PastProblems, PreviewedAlarms


@dataclass(frozen=True, kw_only=True)
class PrecisionView:
    """Share of right alarms of the last 28 days among those with an outcome, with its 95 %
    interval."""

    share: float
    low: float
    high: float
    right: int
    counted: int


@dataclass(frozen=True, kw_only=True)
class DefinitionSummary:
    """One definition as lists show it; `state` is faulty where the current document has faults.
    `severity`, `revision`, `since`: null if no valid revision exists; `assets`: names or patterns
    of the assets that it watches. `training`: its training in a sentence, e.g. that an earlier
    revision answers until the newest one is trained. `evaluated_at`: up to when all its assets are
    evaluated, null if one never was. `champion`: version of the model in service, null without one.
    `alarms_per_day`: notified alarms a day, over the days of the alarm budget, null if not active.
    `raises`: alarms on each of the last 28 days, oldest first. `precision`: null without an alarm
    with an outcome."""

    name: str
    title: str
    kind: str
    state: str
    training: str | None
    champion: int | None
    alarms_per_day: float | None
    faults: tuple[str, ...]
    evaluated_at: datetime | None
    severity: Severity | None
    assets: Sequence[str]
    revision: int | None
    since: datetime | None
    raises: tuple[int, ...]
    precision: PrecisionView | None


def summarise(line: DefinitionLine) -> DefinitionSummary:
    """Return the summary of a definition."""
    latest = line.latest
    alarms = line.precision
    return DefinitionSummary(
        name=line.name,
        title=line.title,
        kind=line.kind,
        state=line.state,
        training=line.training,
        champion=line.champion,
        alarms_per_day=line.alarms_per_day,
        faults=line.faults,
        evaluated_at=line.runs.evaluated_at,
        severity=latest.definition.severity if latest else None,
        assets=latest.definition.assets if latest else (),
        revision=latest.number if latest else None,
        since=latest.at if latest else None,
        raises=line.raises,
        precision=PrecisionView(**vars(alarms), share=alarms.share) if alarms else None,
    )


@dataclass(frozen=True, kw_only=True)
class LoadView:
    """Alarms a day that a definition adds at a position. `now`: of all other definitions, beside
    the budget of the position. `before`: of the definition as it is in service now."""

    position: str
    expected: float
    now: float
    before: float
    budget: float


@dataclass(frozen=True, kw_only=True)
class ForecastView:
    """Expected alarm load. `messages`: the load in sentences, with unknown parts and changes that
    would bring it within the budget."""

    messages: tuple[str, ...]
    loads: list[LoadView]
    breaks_budget: bool


def view_forecast(forecast: LoadForecast) -> ForecastView:
    """Return the answer on an expected alarm load."""
    return ForecastView(
        messages=forecast.messages,
        loads=[
            LoadView(
                position=load.position,
                expected=load.expected,
                now=load.now,
                before=load.before,
                budget=load.budget,
            )
            for load in forecast.loads
        ],
        breaks_budget=forecast.breaks,
    )


@dataclass(frozen=True, kw_only=True)
class ScenarioView:
    """A scenario that was run. `difference`: lines with `-` expected and not found, `+` found and
    not expected; empty if it passed; `notes`: what can never be fulfilled with such readings."""

    title: str
    passed: bool
    found: tuple[str, ...]
    difference: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PreviewEpisode:
    """An episode that the draft would have raised; `closed_at` is null if it was still open."""

    asset: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class ComparisonView:
    """Numbers of episodes of the draft alone, of the revision in service alone, and of both."""

    revision: int
    only_draft: int
    only_served: int
    both: int


@dataclass(frozen=True, kw_only=True)
class PastProblemView:
    """A time at which the problem of a draft happened."""

    asset: str
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class PastProblemsView:
    """The times of the problem from which a model would learn; `newest`: at most 200 of them.
    `assets`: on how many it happened; `median_s` and `longest_s`: how long; `are_few`: whether they
    are too few to learn from. `uncounted`: further times that begin within an earlier one or its
    recovery; `merged`: their number with `merge_within_s`, if most begin soon after another one."""

    number: int
    assets: int
    are_few: bool
    uncounted: int
    merged: int | None
    median_s: float | None
    longest_s: float | None
    merge_within_s: float | None
    newest: list[PastProblemView]


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _past_problems(past: PastProblems) -> PastProblemsView:
    bursts = past.bursts
    return PastProblemsView(
        number=past.number,
        assets=past.assets,
        are_few=past.are_few,
        uncounted=past.uncounted,
        merged=bursts.merged if bursts else None,
        median_s=_seconds(past.median),
        longest_s=_seconds(past.longest),
        merge_within_s=_seconds(bursts.merge_within) if bursts else None,
        newest=[PastProblemView(asset=p.asset, start=p.start, end=p.end) for p in past.newest],
    )


@dataclass(frozen=True, kw_only=True)
class PreviewResult:
    """The alarms that a draft would have raised. `episodes`: in all; `shown`: the newest 200.
    `alarms_per_day`: over the evaluated time; `peak`: the most within ten minutes; `floods`:
    periods of ten minutes with more than the budget allows; `warnings`: what can never be fulfilled
    as the readings come. `since`: the begin of the period, or of the readings if that is later;
    `read_at`: when its readings were read: those of a preview just before are used again.
    `compared`: with the revision in service, null without another one that needs no model.
    `problems`: instead of alarms, of a draft whose model is yet to be trained."""

    episodes: int
    warnings: tuple[str, ...]
    since: datetime
    read_at: datetime
    shown: list[PreviewEpisode]
    alarms_per_day: float | None
    peak: int | None
    floods: int | None
    days_without: int | None
    compared: ComparisonView | None
    problems: PastProblemsView | None


def view_result(made: PreviewedAlarms) -> PreviewResult:
    """Return the answer on the result of a preview."""
    return PreviewResult(
        episodes=made.episodes,
        warnings=made.warnings,
        since=made.since,
        read_at=made.read_at,
        shown=[
            PreviewEpisode(
                asset=episode.asset,
                severity=episode.severity,
                raised_at=episode.raised_at,
                closed_at=episode.closed_at,
                value=episode.current.value,
                threshold=episode.current.threshold,
                reason=episode.current.reason,
            )
            for episode in made.newest
        ],
        alarms_per_day=made.load.get("per_day"),
        peak=made.load.get("peak"),
        floods=made.load.get("floods"),
        days_without=made.load.get("days_without"),
        compared=ComparisonView(**vars(made.compared)) if made.compared else None,
        problems=_past_problems(made.problems) if made.problems else None,
    )
