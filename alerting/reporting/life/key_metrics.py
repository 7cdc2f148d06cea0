"""Key figures of a definition's report as text: compared between revisions, and shown side by side over periods."""

from alerting.reporting.estimates import Estimate
from alerting.reporting.messages import amount, interval
from alerting.reporting.metrics import ReportMetrics
from alerting.reporting.plant.metrics import PlantMetrics


def key_metrics(metrics: ReportMetrics) -> dict[str, str]:
    """Return the key figures by their name, in the order of their importance. Every one is present in each report."""
    m = metrics
    return {
        "problems": str(len(m.problems)),
        "announced in time": str(len(m.problems) - len(m.missed)),
        "lead time, median": _shown(m.lead_time),
        "episodes": str(len(m.episodes)),
        "right": str(m.outcomes["hit"]),
        "avoided": str(m.outcomes["avoided"]),
        "false alarms": str(m.outcomes["false_alarm"]),
        "undetermined": str(m.outcomes["undetermined"]),
        "share right": _shown(m.precision.with_avoided),
        "false alarms a week and asset": _shown(m.false_alarms),
        "answered": m.verdicts.response.basis,
        "models in service": ", ".join(str(model.version) for model in m.models) or "none",
    }


def _shown(estimate: Estimate) -> str:
    value = amount(estimate.value, estimate.unit)
    return f"{value} ({interval(estimate)})" if estimate.value is not None and interval(estimate) else value


def plant_key_metrics(metrics: PlantMetrics) -> dict[str, str]:
    """Return the key metrics of the plant's report by their name."""
    totals = metrics.totals
    return {
        "definitions with a report": str(totals.definitions),
        "problems": str(totals.problems),
        "announced in time": str(totals.announced),
        "episodes": str(totals.episodes),
        "right": str(totals.right),
        "false alarms": str(totals.false_alarms),
        "undetermined": str(totals.undetermined),
        "answered": f"{totals.answered} of {totals.notified} episodes with a notification",
    }
