"""A page of the components of the console, for pictures and tests of accessibility: it is served by
no console but that of a test."""

from pathlib import Path
from types import SimpleNamespace

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import FileSystemLoader

from alerting.console import rendering
from alerting.console.access import Viewer
from alerting.console.alarms.alarm_charts import raises_spark
from alerting.console.model_values import STATE_NAMES
from alerting.definitions.wording.language import ENGLISH
from alerting.reporting.model_charts import Bar, BarChart, CurvePoint
from alerting.usecases.alarm_load.definition_overview import AlarmPrecision
from tests.builders import at

COMPONENTS = "/components"
BARS = (Bar("Usual risk", 0, 0.1, "usual", "10 %"), Bar("Moisture", 0.1, 0.4, "up", "+30 %"))


def add_components(app):
    """Serve the page at `COMPONENTS`."""
    folder = FileSystemLoader(Path(__file__).parent)
    rendering._environment().loader.loaders.append(folder)
    app.add_api_route(COMPONENTS, show_components, response_class=HTMLResponse)


def show_components(request: Request, _: Viewer) -> str:
    return rendering.render(
        "components.html",
        request,
        now=at(0),
        states=STATE_NAMES,
        lines=[SimpleNamespace(state=state) for state in STATE_NAMES],
        mark=SimpleNamespace(kind="maintenance", is_whole=True),
        address=lambda **changed: rendering.address_with("/definitions", changed),
        spark=raises_spark((0, 1, 0, 5, 3), ENGLISH),
        right=AlarmPrecision(9, 10, 0.6, 0.98),
        point=CurvePoint(0.7, 0.8, 2.0, 0.01, 0.9, 8, 10, 3, True, 2.0),
        chart=BarChart("Why", BARS, 0.7, "alarm"),
    )
