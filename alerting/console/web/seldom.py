"""Routes that no live page needs, each loaded with the first request for one of its kind: pages of
engineers, what they configure, and what programs ask."""

from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI

from alerting.console.web.later import Later

_SHARED = {
    "predictor": ("api.predictor:Predictor", "platform"),
    "previews": ("definitions.previews:Previews",),
    "source_trials": ("sources.trials:SourceTrials", "source_readers"),
    "sink_trials": ("sinks.trials:SinkTrials", "sink_opener"),
    "deliveries": ("api.ingest_api:Deliveries",),
    "reader": ("metrics:PlatformReader", "platform"),
}
"""What routes share in an application's state: its class, and what that class takes from it."""


def _later(addresses: str, *routers: str, needs: str | None = None) -> Later:
    """Return routers (`module:name` in the console) to load later. `needs`: what they share."""

    def load(app: FastAPI) -> list[APIRouter]:
        if needs is not None:
            _make(app, needs)
        return [_load(router) for router in routers]

    return Later(addresses, load)


def _make(app: FastAPI, name: str) -> None:
    """Make what routes share, once for an application."""
    if not hasattr(app.state, name):
        made_by, *parts = _SHARED[name]
        setattr(app.state, name, _load(made_by)(*(getattr(app.state, part) for part in parts)))


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"alerting.console.{module}"), attribute)


def _metrics(app: FastAPI) -> tuple[APIRouter]:
    from alerting.console.metrics import metrics_routes

    _make(app, "reader")
    return (metrics_routes(app.state.reader),)


def _reference(app: FastAPI) -> tuple[APIRouter, APIRouter]:
    from alerting.console.api.openapi import describe
    from alerting.console.reference import api_page

    return (describe(app), api_page.pages)


_API = "/api/v1/"
_DEFINITION = f"{_API}definitions/[^/]+"
PREDICT_API = _later(
    f"{_DEFINITION}/predict(?:-batch)?", "api.predict_api:router", needs="predictor"
)
ENGINEERING_APIS = (
    _later(f"{_API}definitions", "definitions.definition_api:router"),
    _later(
        f"{_API}(?:definitions:preview|previews)",
        "definitions.preview_api:router",
        needs="previews",
    ),
    _later(f"{_API}sources", "sources.source_api:router", needs="source_trials"),
    _later(f"{_API}sinks", "sinks.sink_api:router", needs="sink_trials"),
    _later(f"{_API}models|{_DEFINITION}/(?:models|trainings)", "models.model_api:router"),
)
DATA_APIS = (
    _later(f"{_API}(?:reports|misses)", "api.report_api:router"),
    _later(f"{_API}(?:readings|events)", "api.ingest_api:router", needs="deliveries"),
    _later(f"{_API}predict-jobs|{_DEFINITION}/predict-jobs", "api.predict_jobs_api:router"),
    _later(f"{_API}(?:assets|series|events)", "api.series_api:router"),
    _later(f"{_API}assets", "assets.asset_api:router"),
)
PLANT_APIS = (
    _later(f"{_API}kpi", "web.quality:api"),
    _later(f"{_API}(?:routes|dead-letters)", "routes.route_api:router"),
    _later(f"{_API}tokens", "people.access_page:api"),
    _later(f"{_API}audit", "people.audit_page:api"),
    _later(f"{_API}(?:occurrences|statistics)", "trends.trend_api:router"),
    _later(f"{_API}labels", "trends.label_api:router"),
)
SILENCE_API = _later(f"{_API}silences", "silences.silence_api:router")
PLANT_API = _later(f"{_API}plant", "plant.plant_api:api")
PAGES = (
    Later("/metrics", _metrics),
    _later("/silences|/new-silence", "silences.silence_pages:pages"),
    _later(
        "/definitions/new|/definitions/[^/]+/edit|/previews",
        "definitions.editor_page:router",
        needs="previews",
    ),
    _later("/definitions", "definitions.list_page:router"),
    _later("/models", "models.model_pages:router", "models.decision_pages:router"),
    _later("/reports|/misses", "web.report_pages:router"),
    _later("/plant", "plant.plant_page:pages"),
    _later("/kpi", "web.quality:pages"),
    _later("/routes|/new-route|/dead-letters", "routes.route_pages:pages"),
    _later("/assets|/new-asset", "assets.asset_pages:pages"),
    _later("/sources|/new-source", "sources.source_pages:pages", needs="source_trials"),
    _later("/sinks|/new-sink", "sinks.sink_pages:pages", needs="sink_trials"),
    _later("/platform", "web.platform_page:pages", needs="reader"),
    _later(
        "/trends",
        "trends.page:pages",
        "trends.label_pages:pages",
    ),
    _later("/import", "imports.import_pages:pages"),
    Later("/api$|/api/v1/openapi", _reference),
    _later("/access", "people.access_page:pages"),
    _later("/account", "people.account_page:pages"),
    _later("/audit", "people.audit_page:pages"),
)
