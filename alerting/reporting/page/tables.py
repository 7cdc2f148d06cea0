"""The tables of a definition's report, for CSV and JSON."""

from collections.abc import Iterator, Mapping

from alerting.reporting.base.estimates import Estimate
from alerting.reporting.base.table import Table, by_name, table
from alerting.reporting.definition.metrics import ReportMetrics
from alerting.reporting.definition.money import Money


def tables(metrics: ReportMetrics) -> Mapping[str, Table]:
    """Return every table of the report by name; the same metrics give the same tables."""
    m = metrics
    return by_name(
        [
            _headlines(m),
            _outcomes(m),
            _problems(m),
            _episodes(m),
            _money(m),
            *_people(m),
            *_of_model(m),
            *_data(m),
        ]
    )


def _headlines(m: ReportMetrics) -> Table:
    """Return the headline figures, each beside that of the period before."""
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
    columns = [
        "figure",
        "unit",
        "value",
        "low",
        "high",
        "basis",
        "doubt",
        "before",
        "before_low",
        "before_high",
    ]
    return table(
        "figures", columns, [[name, *_cells(now), *_bounds(then)] for name, now, then in pairs]
    )


def _cells(e: Estimate) -> list[object]:
    return [e.unit, e.value, e.low, e.high, e.basis, e.doubt]


def _bounds(e: Estimate | None) -> list[float | None]:
    return [e.value, e.low, e.high] if e else [None, None, None]


def _outcomes(m: ReportMetrics) -> Table:
    return table(
        "outcomes",
        ["outcome", "episodes"],
        [*m.outcomes.items(), ("missed problems", len(m.missed))],
    )


def _problems(m: ReportMetrics) -> Table:
    rows = [
        (p.asset, p.start, p.end, p.episode is not None, p.episode, p.lead_s) for p in m.problems
    ]
    return table("problems", ["asset", "start", "end", "announced", "episode", "lead_s"], rows)


def _episodes(m: ReportMetrics) -> Table:
    columns = [
        "id",
        "asset",
        "raised_at",
        "ended_at",
        "value",
        "threshold",
        "outcome",
        "reason",
        "verdict",
        "comment",
        "backfilled",
    ]
    rows = [
        (
            e.id,
            e.asset,
            e.raised_at,
            e.ended_at,
            e.value,
            e.threshold,
            e.outcome,
            e.reason,
            e.verdict,
            e.comment,
            e.backfilled,
        )
        for e in m.episodes
    ]
    return table("episodes", columns, rows)


def _money(m: ReportMetrics) -> Table:
    before = m.previous.money if m.previous else None
    rows = [] if m.money is None else list(_sums(m.money, before))
    return table("money", ["sum", "currency", "low", "high", "before_low", "before_high"], rows)


def _sums(money: Money, before: Money | None) -> Iterator[list[object]]:
    for name in ("missed", "announced", "false_alarms", "interventions", "avoided", "net"):
        now = getattr(money, name)
        then = getattr(before, name) if before else None
        yield [
            name,
            money.currency,
            now.low,
            now.high,
            then.low if then else None,
            then.high if then else None,
        ]


def _people(m: ReportMetrics) -> Iterator[Table]:
    v = m.verdicts
    to_acknowledge = v.to_acknowledge
    rows: list[list[object]] = [
        ["notified", v.notified],
        ["acted", v.acted],
        *[[f"verdict {k}", n] for k, n in v.counts.items()],
    ]
    if to_acknowledge is not None:
        median = to_acknowledge.median
        p90 = to_acknowledge.p90
        rows += [
            ["median seconds to acknowledge", median.total_seconds() if median else None],
            ["90 % acknowledged within seconds", p90.total_seconds() if p90 else None],
        ]
    yield table("operators", ["what", "number"], rows)
    yield table(
        "actions",
        ["action", "times", "helped", "came"],
        [(a.action, a.times, a.helped, a.came) for a in v.actions],
    )
    taken = v.advice.taken if v.advice else {}
    yield table(
        "recommendations",
        ["taken", "episodes"],
        [*([("given", v.advice.given)] if v.advice else []), *taken.items()],
    )


def _of_model(m: ReportMetrics) -> Iterator[Table]:
    yield table(
        "drivers",
        ["variable", "mean_share", "episodes", "before"],
        [(d.variable, d.share, d.episodes, d.before) for d in m.drivers],
    )
    if m.model is None:
        return
    yield table(
        "decisions",
        ["at", "verdict", "promoted", "version", "champion", "reason", "actor", "run"],
        [
            (d.at, d.verdict, d.promoted, d.version, d.champion, d.reason, d.actor, d.run_id)
            for d in m.model.decisions
        ],
    )
    yield table(
        "since_promotion",
        [
            "metric",
            "at_promotion",
            "now",
            "low",
            "high",
            "worse",
            "at_promotion_low",
            "at_promotion_high",
        ],
        [
            (
                c.metric,
                c.at_promotion,
                c.now.value,
                c.now.low,
                c.now.high,
                c.is_worse,
                c.low,
                c.high,
            )
            for c in m.model.came_true
        ],
    )
    yield table(
        "drift",
        ["variable", "psi", "psi_by_chance", "wasserstein", "wasserstein_by_chance", "clear",
        "missing_before", "missing",
         "reference_values", "values", "independent_values"],
        [(d.variable, d.psi, d.psi_by_chance, d.wasserstein, d.wasserstein_by_chance, d.is_clear,
        d.missing_before, d.missing,
          d.reference_values, d.values, d.independent) for d in m.model.drift],
    )  # fmt: skip
    yield table(
        "drift_bins",
        ["variable", "bin", "reference", "current"],
        [
            (d.variable, *cells)
            for d in m.model.drift
            for cells in zip(d.labels, d.reference, d.current, strict=True)
        ],
    )
    e = m.model.estimated
    rows = (
        []
        if e is None
        else [
            ("rows", e.rows, e.known_rows, e.known_rows),
            ("recall", e.recall, e.expected_recall, e.realised_recall),
            ("precision", e.precision, e.expected_precision, e.realised_precision),
            ("roc_auc", e.roc_auc, e.expected_roc_auc, e.realised_roc_auc),
        ]
    )
    yield table("estimated", ["metric", "estimated", "estimated_where_known", "realised"], rows)


def _data(m: ReportMetrics) -> Iterator[Table]:
    if m.data is None:
        return
    yield table(
        "data",
        ["asset", "evaluated_s", "not_evaluated_s", "gaps", "gaps_s", "longest_gap_s"],
        [
            (a.asset, a.evaluated_s, a.not_evaluated_s, a.gaps, a.gaps_s, a.longest_gap_s)
            for a in m.data.assets
        ],
    )
    yield table(
        "evaluations",
        ["late_times", "late_s", "missed", "known_late"],
        [(m.data.late_times, m.data.late_s, m.data.late_evaluations, m.data.late)],
    )
    yield table(
        "quality",
        ["asset", "variable", "samples", "bad", "uncertain"],
        [(q.asset, q.variable, q.samples, q.bad, q.uncertain) for q in m.data.variables],
    )
