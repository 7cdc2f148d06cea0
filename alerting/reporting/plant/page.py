"""The plant's report as one self-contained page without scripts and external resources."""

from datetime import UTC, tzinfo

from alerting.reporting.plant.metrics import PlantMetrics
from alerting.reporting.plant.sentences import plant_sentences
from alerting.reporting.templates import render


def render_plant_page(metrics: PlantMetrics, zone: tzinfo = UTC) -> str:
    """Render the page as HTML. All text from users is escaped. `zone`: of the times on the page."""
    return render("plant/plant.html", p=metrics, sentences=plant_sentences(metrics), zone=zone)
