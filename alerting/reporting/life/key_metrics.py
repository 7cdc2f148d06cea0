"""Key figures of a report as text: compared between revisions, and over periods."""

from alerting.definitions.wording.language import template
from alerting.reporting.base.estimates import Estimate
from alerting.reporting.base.messages import amount
from alerting.reporting.definition.metrics import ReportMetrics
from alerting.reporting.plant.metrics import PlantMetrics


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
