"""The parts of a report besides its metrics: the episodes and missed problems that a page shows one
by one, the tables, and the additions of a backtest: its trainings, and the load on operators."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from alerting.deferred import pd
from alerting.definitions.alert_definition import Condition, Definition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import single_condition
from alerting.definitions.fields.shared_fields import SEVERITIES
from alerting.definitions.wording.language import template, templates
from alerting.episodes.episode import Episode
from alerting.episodes.touched_production import TouchedProduction
from alerting.learning.score_metrics import EventMetrics
from alerting.operators.alarm_load import PERIOD, count_by_period, find_floods
from alerting.readings.history import duration_millis, millis, to_millis
from alerting.reporting.definition.operators_and_money import Amount, Spread
from alerting.reporting.definition.period_data import Material
from alerting.reporting.definition.report_metrics import (
    ModelMetrics,
    ReportMetrics,
    beyond_threshold,
)
from alerting.reporting.estimates import (
    Cases,
    Estimate,
    Table,
    rate_per_week,
    table,
    table_of,
)
from alerting.reporting.phrases import amount
from alerting.reporting.variable_charts import (
    ChartLevel,
    Panel,
    condition_levels,
    levels_by_variable,
    new_panel,
    problem_levels,
)


def most_severe(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the most severe episodes, then those furthest beyond their threshold, in the order of
    time."""
    ranked = sorted(
        episodes,
        key=lambda e: (
            -SEVERITIES.index(e.severity_peak or e.severity),
            -beyond_threshold(e.evaluation.value, e.evaluation.threshold),
            e.raised_at,
            e.id,
        ),
    )
    return sorted(ranked[:6], key=lambda e: (e.raised_at, e.id))


def panel_around(m: Material, asset: str, start: datetime, end: datetime | None) -> Panel | None:
    """Return the variable of a missed problem from well before its start to its end."""
    before = max(2 * (m.definition.gap + m.definition.horizon), timedelta(hours=1))
    last = min(end or start + before, start + 2 * before)
    return panel_of(m, asset, start - before, last + before / 4)


def panel_of(m: Material, asset: str, start: datetime, end: datetime) -> Panel | None:
    """Return the readings of the definition's variable in [start, end]; None without numbers."""
    history = m.histories.get(asset)
    name = variable_of(m.definition)
    if (
        history is None
        or name is None
        or name not in history.readings
        or history.readings[name].dtype == object
    ):
        return None
    at = millis(pd.DatetimeIndex(history.readings.index))
    inside = (at >= to_millis(start)) & (at <= to_millis(end))
    values = history.readings[name].to_numpy(np.float64)[inside]
    declared = history.asset.variables.get(name)
    title, unit = (declared.title or name, declared.unit) if declared else (name, None)
    panel = new_panel(
        Panel(
            title.replace("_", " "), unit, at[inside], values, _levels(m.definition, history.asset)
        )
    )
    if len(panel.at) < 2:
        return None
    moving, missing = m.moving_levels(history.asset, start, end)
    return replace(panel, moving=moving.get(name, ()), note=missing)


def variable_of(definition: Definition) -> str | None:
    """Return the variable of a definition, the first one of a problem; None for conditions on
    several variables."""
    if definition.problem is not None:
        return next(iter(definition.problem.variables), None)
    condition = single_condition(definition)
    return (
        (getattr(definition, "variable", None) or None) if condition is None else condition.variable
    )


def _levels(definition: Definition, asset: Asset) -> tuple[ChartLevel, ...]:
    problem = definition.problem
    if problem is not None and problem.combination is not None:
        return levels_by_variable(problem.combination, asset)[problem.combination.variables[0]]
    if problem is not None:
        return problem_levels(problem)
    return (
        condition_levels(definition, asset)
        if isinstance(definition, Condition) and definition.variable
        else ()
    )


def tables(m: ReportMetrics) -> Mapping[str, Table]:
    """Return every table of the report by name; the same metrics give the same tables."""
    before = m.previous
    pairs: list[tuple[str, Estimate, Estimate | None]] = [
        ("recall", m.event_recall, before.event_recall if before else None),
        ("precision", m.precision.with_avoided, before.precision.with_avoided if before else None),
        ("precision_without_avoided", m.precision.without_avoided, None),
        ("false_alarms", m.false_alarms, before.false_alarms if before else None),
        ("lead_time", m.lead_time, before.lead_time if before else None),
        ("delay", m.delay, before.delay if before else None),
        ("time_in_alarm", m.time_in_alarm, before.time_in_alarm if before else None),
        ("response", m.verdicts.response, before.verdicts.response if before else None),
    ]
    earlier = before.money if before else None
    made = [
        table(
            "figures",
            "figure unit value low high basis doubt before before_low before_high",
            (
                (name, e.unit, e.value, e.low, e.high, e.basis, e.doubt)
                + ((then.value, then.low, then.high) if then else (None, None, None))
                for name, e, then in pairs
            ),
        ),
        table(
            "outcomes",
            "outcome episodes",
            [*m.outcomes.items(), ("missed problems", len(m.missed))],
        ),
        table(
            "problems",
            "asset start end announced episode lead_s",
            ((p.asset, p.start, p.end, p in m.announced, p.episode, p.lead_s) for p in m.problems),
        ),
        table_of(
            "episodes",
            "id asset raised_at ended_at value threshold outcome reason verdict comment backfilled",
            m.episodes,
        ),
        table(
            "money",
            "sum currency low high before_low before_high",
            (
                (name, m.money.currency, now.low, now.high)
                + ((vars(earlier)[name].low, vars(earlier)[name].high) if earlier else (None, None))
                for name, now in vars(m.money).items()
                if isinstance(now, Amount)
            )
            if m.money
            else (),
        ),
        *_tables_of_people_and_model(m),
    ]
    if m.blocks:
        made.append(blocks_table(m.blocks))
    without_model = () if m.model else ("decisions", "since_promotion")
    return {t.name: t for t in made if t.name not in without_model}


def blocks_table(blocks: Iterable[TouchedProduction]) -> Table:
    """Return blocked production as a table: a row for each lot of a block."""
    return table(
        "blocks",
        "episode asset block_start block_end clean_until lot start end units",
        (
            (b.episode, b.asset, b.start, b.end, b.clean_until, *vars(lot).values())
            for b in blocks
            for lot in b.lots
        ),
    )


def _tables_of_people_and_model(m: ReportMetrics) -> list[Table]:
    v = m.verdicts
    model = m.model or ModelMetrics((), ())
    times = v.to_acknowledge or Spread(0, None, None, None, 0)
    return [
        table(
            "operators",
            "what number",
            [
                ("notified", v.notified),
                ("acted", v.acted),
                *((f"verdict {verdict}", count) for verdict, count in v.counts.items()),
                ("median seconds to acknowledge", times.median),
                ("90 % acknowledged within seconds", times.p90),
            ],
        ),
        table_of("actions", "action times helped came", v.actions),
        table(
            "recommendations",
            "taken episodes",
            [("given", v.advice.given), *v.advice.taken.items()] if v.advice else (),
        ),
        table_of("drivers", "variable mean_share episodes before", m.drivers, mean_share="share"),
        table_of(
            "decisions",
            "at verdict promoted version champion reason actor run",
            model.decisions,
            run="run_id",
        ),
        table_of(
            "since_promotion",
            "metric at_promotion now low high worse at_promotion_low at_promotion_high",
            model.came_true,
            now="now.value",
            low="now.low",
            high="now.high",
            worse="is_worse",
            at_promotion_low="low",
            at_promotion_high="high",
        ),
        table_of(
            "data",
            "asset evaluated_s not_evaluated_s gaps gaps_s longest_gap_s",
            m.data.assets if m.data else (),
        ),
    ]


def key_metrics(m: ReportMetrics) -> dict[str, str]:
    """Return the key metrics by name; every report has all of them, independent of its language."""
    return {
        template("problems"): str(len(m.problems)),
        template("announced in time"): str(len(m.announced)),
        template("lead time, median"): _shown(m.lead_time),
        template("found while they lasted"): str(len(m.delays)),
        template("delay, median"): _shown(m.delay),
        template("episodes"): str(len(m.episodes)),
        template("right"): str(m.outcomes["hit"]),
        template("avoided"): str(m.outcomes["avoided"]),
        template("false alarms"): str(m.outcomes["false_alarm"]),
        template("undetermined"): str(m.outcomes["undetermined"]),
        template("share right"): _shown(m.precision.with_avoided),
        template("false alarms a week and asset"): _shown(m.false_alarms),
        template("answered"): f"{m.verdicts.answered} / {m.verdicts.notified}",
        template("models in service"): ", ".join(str(model.version) for model in m.models),
        template("assets evaluated"): str(len(m.evaluated)),
    }


def _shown(estimate: Estimate) -> str:
    value = amount(estimate.value, estimate.unit)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return value
    return (
        f"{value} ({amount(estimate.low, estimate.unit)} \u2013 "
        f"{amount(estimate.high, estimate.unit)})"
    )


_EPISODES = Cases(
    templates("{number} alarm", "{number} alarms"),
    templates("{count} of {number} alarm", "{count} of {number} alarms"),
    template("no alarms"),
)


@dataclass(frozen=True)
class Load:
    """Episodes of all assets together, over the evaluated interval [start, end).

    `peak`: most raised within any ten minutes, the first such ten minutes beginning at `peak_at`.
    `floods`: their number, each beginning with a ten-minute period from `start` on with more than
    `flood_above`. `longest_s`: the longest episode. `days_without`: days (UTC) with no episode.
    """

    episodes: int
    per_day: float | None
    per_week: Estimate
    busiest_day: date | None
    busiest_day_episodes: int
    days_without: int
    peak: int
    peak_at: datetime | None
    floods: int
    flood_above: int
    longest_s: float | None


def operator_load(
    episodes: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime, flood_above: int
) -> Load:
    """Compute the load of episodes on operators; over `flood_above` in ten minutes is a flood."""
    raised = sorted(at for at, _ in episodes)
    days = (end - start) / timedelta(days=1)
    by_day = Counter(at.astimezone(UTC).date() for at in raised)
    busiest = max(by_day, key=lambda day: (by_day[day], -day.toordinal()), default=None)
    at = np.array([to_millis(instant) for instant in raised], np.int64)
    within = np.searchsorted(at, at + duration_millis(PERIOD)) - np.arange(len(at))
    last_day = (end - timedelta(microseconds=1)).astimezone(UTC).date()
    return Load(
        episodes=len(raised),
        per_day=len(raised) / days if days > 0 else None,
        per_week=replace(
            rate_per_week(len(raised), days / 7, _EPISODES), unit=template("per week")
        ),
        busiest_day=busiest,
        busiest_day_episodes=by_day[busiest] if busiest else 0,
        days_without=(last_day - start.astimezone(UTC).date()).days + 1 - len(by_day),
        peak=int(within.max(initial=0)),
        peak_at=raised[int(within.argmax())] if raised else None,
        floods=len(find_floods(count_by_period(raised, start, end), start, flood_above)),
        flood_above=flood_above,
        longest_s=max(((ended - at).total_seconds() for at, ended in episodes), default=None),
    )


@dataclass(frozen=True)
class SegmentMetrics:
    """An interval (start, end] of one champion: the training at its start, and its results.

    `verdict`, `reason` (in English): of the training's decision; "not_trained" where history did
    not suffice, "" without training. `approved`: a person would have had to approve it.
    `episodes`: found by its evaluation, which begins by the latency before it. `version`, `family`,
    `model_hash`, `training_cutoff`: of the model in service during the segment, None without one.
    `cut_short`: families whose search hit its time budget, so that another machine may find another
    model.
    """

    number: int
    start: datetime
    end: datetime
    verdict: str = ""
    reason: str = ""
    promoted: bool = False
    approved: bool = False
    version: int | None = None
    family: str | None = None
    model_hash: str | None = None
    training_cutoff: datetime | None = None
    cut_short: tuple[str, ...] = ()
    episodes: int = 0
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """The cost of missed problems and false alarms; `per_week` of the calendar."""

    misses: float
    false_alarms: float
    total: float
    per_week: float


@dataclass(frozen=True)
class BacktestMetrics:
    """The head of a backtest's page. `subject`: the tested alert; `trained`: how often.

    `events`: result of `event_metrics`, which also evaluates candidates; None
    without a problem in the data. `beside_acted`: episodes within the outcome window of a live
    episode on which operators acted: if no problem followed there, their action may be the cause.
    `cost`: None where the definition names no costs. `bursts`: a sentence on problems that come in
    bursts, with their number as written and as proposed; empty elsewhere.
    """

    run: str
    subject: str
    trained: str
    segments: tuple[SegmentMetrics, ...]
    load: Load | None
    events: EventMetrics | None
    cost: Cost | None
    beside_acted: int
    bursts: str = ""
