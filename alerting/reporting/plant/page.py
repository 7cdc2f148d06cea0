"""The plant's report as one self-contained page without scripts and external resources."""

from datetime import UTC, tzinfo

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.reporting.base import messages
from alerting.reporting.base.templates import render
from alerting.reporting.plant.metrics import PlantMetrics
from alerting.reporting.plant.proposals import KIND_NAMES, describe_retune
from alerting.reporting.plant.sentences import plant_sentences

MOST_ROWS = 50


def render_plant_page(
    metrics: PlantMetrics,
    zone: tzinfo = UTC,
    notes: tuple[str, ...] = (),
    language: Language = ENGLISH,
) -> str:
    """Render the page as HTML, users' text escaped. `notes`: on the report itself, at its head."""
    before = (
        {f.metric: f.value for f in metrics.previous_kpis.findings} if metrics.previous_kpis else {}
    )
    return render(
        "plant/plant.html",
        language,
        p=metrics,
        sentences=plant_sentences(metrics, language),
        kinds=KIND_NAMES,
        describe_retune=describe_retune,
        before=before,
        most=MOST_ROWS,
        zone=zone,
        zone_name=messages.zone_name(zone),
        notes=notes,
    )
