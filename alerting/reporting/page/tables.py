"""The tables of a definition's report, for CSV and JSON."""

from collections.abc import Iterator, Mapping

from alerting.definitions.wording.language import template
from alerting.reporting.base.estimates import Estimate
from alerting.reporting.base.messages import amount
from alerting.reporting.base.table import Table, by_name, table, table_of
from alerting.reporting.definition.data_quality import DataMetrics
from alerting.reporting.definition.metrics import ModelMetrics, ReportMetrics
from alerting.reporting.definition.operators import VerdictMetrics


def tables(metrics: ReportMetrics) -> Mapping[str, Table]:
    """Return every table of the report by name; the same metrics give the same tables."""
    m = metrics
    problems = [
        (p.asset, p.start, p.end, p.episode is not None, p.episode, p.lead_s) for p in m.problems
    ]
    before = m.previous
    pairs: list[tuple[str, Estimate, Estimate | None]] = [
        ("recall", m.event_recall, before.event_recall if before else None),
        ("precision", m.precision.with_avoided, before.precision if before else None),
        ("precision_without_avoided", m.precision.without_avoided, None),
        ("false_alarms", m.false_alarms, before.false_alarms if before else None),
        ("lead_time", m.lead_time, before.lead_time if before else None),
        ("time_in_alarm", m.time_in_alarm, before.time_in_alarm if before else None),
        ("response", m.verdicts.response, before.response if before else None),
    ]
    columns = "figure unit value low high basis doubt before before_low before_high"
    rows = [
        [name, e.unit, e.value, e.low, e.high, e.basis, e.doubt]
        + ([then.value, then.low, then.high] if then else [None] * 3)
        for name, e, then in pairs
    ]
    return by_name(
        [
            table("figures", columns, rows),
            table(
                "outcomes",
                "outcome episodes",
                [*m.outcomes.items(), ("missed problems", len(m.missed))],
            ),
            table("problems", "asset start end announced episode lead_s", problems),
            table_of(
                "episodes",
                "id asset raised_at ended_at value threshold outcome reason verdict comment "
                "backfilled",
                m.episodes,
            ),
            _money(m),
            *_people(m.verdicts),
            table_of(
                "drivers", "variable mean_share episodes before", m.drivers, mean_share="share"
            ),
            *(_model(m.model) if m.model is not None else ()),
            *(_data(m.data) if m.data is not None else ()),
        ]
    )


def _money(m: ReportMetrics) -> Table:
    before = m.previous.money if m.previous else None
    rows: list[list[object]] = []
    for name in ("missed", "announced", "false_alarms", "interventions", "avoided", "net"):
        if m.money is not None:
            now = getattr(m.money, name)
            then = getattr(before, name, None)
            bounds = [then.low, then.high] if then else [None, None]
            rows.append([name, m.money.currency, now.low, now.high, *bounds])
    return table("money", "sum currency low high before_low before_high", rows)


def _people(v: VerdictMetrics) -> Iterator[Table]:
    rows: list[list[object]] = [
        ["notified", v.notified],
        ["acted", v.acted],
        *[[f"verdict {k}", n] for k, n in v.counts.items()],
    ]
    if v.to_acknowledge is not None:
        for what, spread in (
            ("median seconds to acknowledge", v.to_acknowledge.median),
            ("90 % acknowledged within seconds", v.to_acknowledge.p90),
        ):
            rows.append([what, spread.total_seconds() if spread else None])
    yield table("operators", "what number", rows)
    yield table_of("actions", "action times helped came", v.actions)
    given = [("given", v.advice.given), *v.advice.taken.items()] if v.advice else []
    yield table("recommendations", "taken episodes", given)


def _model(model: ModelMetrics) -> Iterator[Table]:
    yield table_of(
        "decisions",
        "at verdict promoted version champion reason actor run",
        model.decisions,
        run="run_id",
    )
    yield table_of(
        "since_promotion",
        "metric at_promotion now low high worse at_promotion_low at_promotion_high",
        model.came_true,
        now="now.value",
        low="now.low",
        high="now.high",
        worse="is_worse",
        at_promotion_low="low",
        at_promotion_high="high",
    )


def _data(data: DataMetrics) -> Iterator[Table]:
    yield table_of(
        "data", "asset evaluated_s not_evaluated_s gaps gaps_s longest_gap_s", data.assets
    )


def key_metrics(metrics: ReportMetrics) -> dict[str, str]:
    """Return the key figures by name, all in every report, without words of a language."""
    m = metrics
    return {
        template("problems"): str(len(m.problems)),
        template("announced in time"): str(len(m.problems) - len(m.missed)),
        template("lead time, median"): _shown(m.lead_time),
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
