"""The report as one self-contained page without scripts and external resources."""

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup

from alerting.reporting import messages
from alerting.reporting.backtest import BacktestMetrics
from alerting.reporting.conclusion import TRUST_MESSAGES, Judgement
from alerting.reporting.figures import charts
from alerting.reporting.metrics import ReportMetrics
from alerting.reporting.templates import render


def draw(metrics: ReportMetrics, scores: pd.DataFrame) -> dict[str, Markup]:
    """Draw all charts of a report as inline SVG, empty where there is nothing to draw; `scores` as in `Material`."""
    rows = metrics.rows
    drawn = {
        "timeline": charts.timeline(metrics, scores),
        "lead_times": charts.lead_times(metrics),
        "calibration": charts.calibration(rows) if rows else "",
        "precision_recall": charts.precision_recall(rows) if rows else "",
        "importance": charts.importance(next((m.importance for m in reversed(metrics.models) if m.importance), {})),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - our own charts


def render_page(
    metrics: ReportMetrics, judgement: Judgement, svg: Mapping[str, Markup], backtest: BacktestMetrics | None = None
) -> str:
    """Render the page as HTML, with a note at its head for a backtest. All text from users is escaped."""
    return render(
        "page.html",
        f=metrics,
        b=backtest,
        judgement=judgement,
        trust=TRUST_MESSAGES[judgement.trust],
        provenance=provenance(metrics),
        svg=svg,
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
