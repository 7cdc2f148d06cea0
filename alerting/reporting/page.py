"""The report as one self-contained page without scripts and external resources."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alerting.reporting import charts, messages
from alerting.reporting.backtest import BacktestMetrics
from alerting.reporting.conclusion import TRUST_MESSAGES, Judgement
from alerting.reporting.metrics import ReportMetrics


@dataclass(frozen=True)
class Charts:
    """Inline SVG of each chart; empty text without data to draw."""

    timeline: str
    lead_times: str
    calibration: str
    precision_recall: str


def draw(metrics: ReportMetrics, scores: pd.DataFrame) -> Charts:
    """Draw all charts of a report; `scores` as in `Material`."""
    rows = metrics.rows
    return Charts(
        timeline=charts.timeline(metrics, scores),
        lead_times=charts.lead_times(metrics),
        calibration=charts.calibration(rows) if rows else "",
        precision_recall=charts.precision_recall(rows) if rows else "",
    )


def render_page(metrics: ReportMetrics, judgement: Judgement, svg: Charts, backtest: BacktestMetrics | None = None) -> str:
    """Render the page as HTML, with a note at its head for a backtest. All text from users is escaped."""
    page = _environment().get_template("page.html")
    trust = TRUST_MESSAGES[judgement.trust]
    pictures: Mapping[str, Markup] = {name: Markup(getattr(svg, name)) for name in Charts.__dataclass_fields__}  # noqa: S704 - our own charts
    return page.render(
        f=metrics,
        b=backtest,
        judgement=judgement,
        trust=trust,
        provenance=provenance(metrics),
        svg=pictures,
        lanes=charts.LANES,
    )


def provenance(metrics: ReportMetrics) -> str:
    """Describe the source of the numbers in one line under every chart, with all inputs needed to compute them again."""
    models = [f"model version {m.version}" + (f" (run {m.run_id})" if m.run_id else "") for m in metrics.models]
    rules = ", ".join(str(r) for r in metrics.rules)
    parts = [
        f"{metrics.definition} revision {metrics.revision}",
        f"{messages.instant(metrics.start)} to {messages.instant(metrics.end)} UTC",
        *(models or (["no model in service"] if metrics.trained else [])),
        f"outcome rules {rules}",
    ]
    return " · ".join(parts)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerting.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=messages.number,
        percent=messages.percent,
        seconds=messages.seconds,
        instant=messages.instant,
        interval=messages.interval,
        amount=lambda e: messages.amount(e.value, e.unit),
        outcome=lambda o: messages.OUTCOME_NAMES[o],
        verdict=lambda v: messages.VERDICT_NAMES.get(v, "no verdict"),
    )
    return environment
