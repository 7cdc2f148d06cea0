"""Key figures of a definition's report as text: compared between revisions, and shown side by side over periods."""

from alerting.reporting.estimates import Estimate
from alerting.reporting.messages import amount, interval
from alerting.reporting.metrics import ReportMetrics


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
