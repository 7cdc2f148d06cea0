"""The tables of the plant's report, for CSV and JSON."""

from collections.abc import Mapping

from alerting.reporting.base.table import Table, by_name, table
from alerting.reporting.plant.metrics import PlantMetrics


def tables(metrics: PlantMetrics) -> Mapping[str, Table]:
    """Return every table of the plant's report by name; the same metrics give the same tables."""
    return by_name(
        [
            _definitions(metrics),
            _alarms(metrics),
            _money(metrics),
            _muted(metrics),
            _faults(metrics),
            _changes(metrics),
        ]
    )


def _definitions(m: PlantMetrics) -> Table:
    columns = [
        "definition", "title", "value", "nuisance", "proposal", "reason", "problems", "announced",
        "hits", "avoided",
        "false_alarms", "undetermined", "false_alarms_a_week", "lead_time_s", "notified",
        "answered", "currency",
        "net_low", "net_high",
    ]  # fmt: skip
    rows = [
        (
            r.summary.name, r.summary.title, r.value, r.nuisance, r.proposal.kind,
            r.proposal.reason, r.summary.problems,
            r.summary.announced, r.summary.hits, r.summary.avoided, r.summary.false_alarms,
            r.summary.undetermined,
            r.summary.false_alarms_a_week, r.summary.lead_time_s, r.summary.notified,
            r.summary.answered,
            *((r.summary.money.currency, r.summary.money.net.low,
            r.summary.money.net.high) if r.summary.money else (None,) * 3),
        )
        for r in m.ranked
    ]  # fmt: skip
    return table("definitions", columns, rows)


def _alarms(m: PlantMetrics) -> Table:
    before = {f.metric: f.value for f in m.previous_kpis.findings} if m.previous_kpis else {}
    rows = [(f.metric, f.value, f.target, f.met, before.get(f.metric)) for f in m.kpis.findings]
    return table("alarms", ["metric", "value", "target", "met", "before"], rows)


def _money(m: PlantMetrics) -> Table:
    rows = [
        (name, s.currency, s.definitions, getattr(s, name).low, getattr(s, name).high)
        for s in m.money
        for name in ("lost", "avoided", "false_alarms", "interventions", "net")
    ]
    return table("money", ["sum", "currency", "definitions", "low", "high"], rows)


def _muted(m: PlantMetrics) -> Table:
    rows = [(s.definition, s.asset, s.kind, s.since, s.until, s.reason, s.actor) for s in m.muted]
    return table(
        "muted", ["definition", "asset", "kind", "since", "until", "reason", "actor"], rows
    )


def _faults(m: PlantMetrics) -> Table:
    rows = [(f.kind, f.subject, f.reason, f.opened_at, f.resolved_at) for f in m.faults]
    return table("faults", ["kind", "subject", "reason", "opened_at", "resolved_at"], rows)


def _changes(m: PlantMetrics) -> Table:
    return table(
        "changes",
        ["at", "actor", "what", "subject", "why"],
        [(c.at, c.actor, c.what, c.subject, c.why) for c in m.changes],
    )
