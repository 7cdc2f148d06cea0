"""The tables of the plant's report, for CSV and JSON."""

from collections.abc import Mapping

from alerting.definitions.wording.language import template
from alerting.reporting.base.table import Table, by_name, table, table_of
from alerting.reporting.plant.metrics import PlantMetrics

_OF_SUMMARY = (
    "problems announced hits avoided false_alarms undetermined false_alarms_a_week lead_time_s "
    "notified answered"
)


def tables(metrics: PlantMetrics) -> Mapping[str, Table]:
    """Return every table of the plant's report by name; the same metrics give the same tables."""
    m = metrics
    before = {f.metric: f.value for f in m.previous_kpis.findings} if m.previous_kpis else {}
    alarms = [(f.metric, f.value, f.target, f.met, before.get(f.metric)) for f in m.kpis.findings]
    money = [
        (name, s.currency, s.definitions, getattr(s, name).low, getattr(s, name).high)
        for s in m.money
        for name in ("lost", "avoided", "false_alarms", "interventions", "net")
    ]
    return by_name(
        [
            _definitions(m),
            table("alarms", "metric value target met before", alarms),
            table("money", "sum currency definitions low high", money),
            table_of("muted", "definition asset kind since until reason actor", m.muted),
            table_of("faults", "kind subject reason opened_at resolved_at", m.faults),
            table_of("changes", "at actor what subject why", m.changes),
        ]
    )


def _definitions(m: PlantMetrics) -> Table:
    columns = (
        f"definition title value nuisance proposal reason {_OF_SUMMARY} currency net_low net_high"
    )
    rows = [
        (
            *(r.summary.name, r.summary.title, r.value, r.nuisance),
            *(r.proposal.kind, r.proposal.reason),
            *(getattr(r.summary, column) for column in _OF_SUMMARY.split()),
            *((s.currency, s.net.low, s.net.high) if (s := r.summary.money) else (None,) * 3),
        )
        for r in m.ranked
    ]
    return table("definitions", columns, rows)


def plant_key_metrics(metrics: PlantMetrics) -> dict[str, str]:
    """Return the key metrics of the plant's report by their name."""
    totals = metrics.totals
    return {
        template("definitions with a report"): str(totals.definitions),
        template("problems"): str(totals.problems),
        template("announced in time"): str(totals.announced),
        template("episodes"): str(totals.episodes),
        template("right"): str(totals.right),
        template("false alarms"): str(totals.false_alarms),
        template("undetermined"): str(totals.undetermined),
        template("answered"): f"{totals.answered} / {totals.notified}",
    }
