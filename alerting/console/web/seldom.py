"""Routes that no live page needs, each loaded with the first request for one of its kind: pages of
engineers, what they configure, and what programs ask."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI

from alerting.console.web.later import Later

Routers = tuple[APIRouter, ...]


def _make(app: FastAPI, name: str, make: Callable[..., Any], *given: Any) -> None:
    """Make what routes share, once for an application."""
    if not hasattr(app.state, name):
        setattr(app.state, name, make(*given))


def _predict(app: FastAPI) -> Routers:
    from alerting.console.api import predict_api
    from alerting.console.api.predictor import Predictor

    _make(app, "predictor", Predictor, app.state.platform)
    return (predict_api.router,)


def _predict_jobs(_: FastAPI) -> Routers:
    from alerting.console.api import predict_jobs_api

    return (predict_jobs_api.router,)


def _definition_api(_: FastAPI) -> Routers:
    from alerting.console.definitions import definition_api

    return (definition_api.router,)


def _preview_api(app: FastAPI) -> Routers:
    from alerting.console.definitions import preview_api
    from alerting.console.definitions.previews import Previews

    _make(app, "previews", Previews)
    return (preview_api.router,)


def _editor(app: FastAPI) -> Routers:
    from alerting.console.definitions import editor_page
    from alerting.console.definitions.previews import Previews

    _make(app, "previews", Previews)
    return (editor_page.router,)


def _definition_pages(_: FastAPI) -> Routers:
    from alerting.console.definitions import list_page

    return (list_page.router,)


def _source_api(app: FastAPI) -> Routers:
    from alerting.console.sources import source_api
    from alerting.console.sources.trials import SourceTrials

    _make(app, "source_trials", SourceTrials, app.state.source_readers)
    return (source_api.router,)


def _source_pages(app: FastAPI) -> Routers:
    from alerting.console.sources import source_pages
    from alerting.console.sources.trials import SourceTrials

    _make(app, "source_trials", SourceTrials, app.state.source_readers)
    return (source_pages.pages,)


def _sink_api(app: FastAPI) -> Routers:
    from alerting.console.sinks import sink_api
    from alerting.console.sinks.trials import SinkTrials

    _make(app, "sink_trials", SinkTrials, app.state.sink_opener)
    return (sink_api.router,)


def _sink_pages(app: FastAPI) -> Routers:
    from alerting.console.sinks import sink_pages
    from alerting.console.sinks.trials import SinkTrials

    _make(app, "sink_trials", SinkTrials, app.state.sink_opener)
    return (sink_pages.pages,)


def _model_api(_: FastAPI) -> Routers:
    from alerting.console.models import model_api

    return (model_api.router,)


def _model_pages(_: FastAPI) -> Routers:
    from alerting.console.models import decision_pages, model_pages

    return (model_pages.router, decision_pages.router)


def _report_api(_: FastAPI) -> Routers:
    from alerting.console.api import report_api

    return (report_api.router,)


def _report_pages(_: FastAPI) -> Routers:
    from alerting.console.web import report_pages

    return (report_pages.router,)


def _ingest_api(app: FastAPI) -> Routers:
    from alerting.console.api import ingest_api

    _make(app, "deliveries", ingest_api.Deliveries)
    return (ingest_api.router,)


def _series_api(_: FastAPI) -> Routers:
    from alerting.console.api import series_api

    return (series_api.router,)


def _asset_api(_: FastAPI) -> Routers:
    from alerting.console.assets import asset_api

    return (asset_api.router,)


def _asset_pages(_: FastAPI) -> Routers:
    from alerting.console.assets import asset_pages

    return (asset_pages.pages,)


def _import_api(app: FastAPI) -> Routers:
    from alerting.console.imports import import_api
    from alerting.console.imports.worker import ImportWorker

    _make(app, "import_worker", ImportWorker)
    return (import_api.router,)


def _import_pages(app: FastAPI) -> Routers:
    from alerting.console.imports import import_pages
    from alerting.console.imports.worker import ImportWorker

    _make(app, "import_worker", ImportWorker)
    return (import_pages.pages,)


def _kpi_api(_: FastAPI) -> Routers:
    from alerting.console.web import quality

    return (quality.api,)


def _kpi_page(_: FastAPI) -> Routers:
    from alerting.console.web import quality

    return (quality.pages,)


def _route_api(_: FastAPI) -> Routers:
    from alerting.console.routes import route_api

    return (route_api.router,)


def _route_pages(_: FastAPI) -> Routers:
    from alerting.console.routes import route_pages

    return (route_pages.pages,)


def _token_api(_: FastAPI) -> Routers:
    from alerting.console.people import access_page

    return (access_page.api,)


def _access_page(_: FastAPI) -> Routers:
    from alerting.console.people import access_page

    return (access_page.pages,)


def _account_page(_: FastAPI) -> Routers:
    from alerting.console.people import account_page

    return (account_page.pages,)


def _audit_api(_: FastAPI) -> Routers:
    from alerting.console.people import audit_page

    return (audit_page.api,)


def _audit_page(_: FastAPI) -> Routers:
    from alerting.console.people import audit_page

    return (audit_page.pages,)


def _trend_api(_: FastAPI) -> Routers:
    from alerting.console.trends import trend_api

    return (trend_api.router,)


def _label_api(_: FastAPI) -> Routers:
    from alerting.console.trends import label_api

    return (label_api.router,)


def _trend_pages(_: FastAPI) -> Routers:
    from alerting.console.trends import label_pages, overlay, page, scatter

    return (page.pages, overlay.pages, label_pages.pages, scatter.pages)


def _silence_api(_: FastAPI) -> Routers:
    from alerting.console.silences import silence_api

    return (silence_api.router,)


def _silence_pages(_: FastAPI) -> Routers:
    from alerting.console.silences import silence_pages

    return (silence_pages.pages,)


def _plant_api(_: FastAPI) -> Routers:
    from alerting.console.plant import plant_api

    return (plant_api.api,)


def _plant_page(_: FastAPI) -> Routers:
    from alerting.console.plant import plant_page

    return (plant_page.pages,)


def _platform_page(app: FastAPI) -> Routers:
    from alerting.console.metrics import PlatformReader
    from alerting.console.web import platform_page

    _make(app, "reader", PlatformReader, app.state.platform)
    return (platform_page.pages,)


def _metrics(app: FastAPI) -> Routers:
    from alerting.console.metrics import PlatformReader, metrics_routes

    _make(app, "reader", PlatformReader, app.state.platform)
    return (metrics_routes(app.state.reader),)


def _reference(app: FastAPI) -> Routers:
    from alerting.console.api.openapi import describe
    from alerting.console.reference import api_page

    return (describe(app), api_page.pages)


_API = "/api/v1/"
_DEFINITION = f"{_API}definitions/[^/]+"
PREDICT_API = Later(f"{_DEFINITION}/predict(?:-batch)?", _predict)
ENGINEERING_APIS = (
    Later(f"{_API}definitions", _definition_api),
    Later(f"{_API}(?:definitions:preview|previews)", _preview_api),
    Later(f"{_API}sources", _source_api),
    Later(f"{_API}sinks", _sink_api),
    Later(f"{_API}models|{_DEFINITION}/(?:models|trainings)", _model_api),
)
DATA_APIS = (
    Later(f"{_API}(?:reports|misses)", _report_api),
    Later(f"{_API}(?:readings|events)", _ingest_api),
    Later(f"{_API}predict-jobs|{_DEFINITION}/predict-jobs", _predict_jobs),
    Later(f"{_API}(?:assets|series|events)", _series_api),
    Later(f"{_API}assets", _asset_api),
    Later(f"{_API}imports", _import_api),
)
PLANT_APIS = (
    Later(f"{_API}kpi", _kpi_api),
    Later(f"{_API}(?:routes|dead-letters)", _route_api),
    Later(f"{_API}tokens", _token_api),
    Later(f"{_API}audit", _audit_api),
    Later(f"{_API}(?:occurrences|statistics)", _trend_api),
    Later(f"{_API}labels", _label_api),
)
SILENCE_API = Later(f"{_API}silences", _silence_api)
PLANT_API = Later(f"{_API}plant", _plant_api)
PAGES = (
    Later("/metrics", _metrics),
    Later("/silences|/new-silence", _silence_pages),
    Later("/definitions/new|/definitions/[^/]+/edit|/previews", _editor),
    Later("/definitions", _definition_pages),
    Later("/models", _model_pages),
    Later("/reports|/misses", _report_pages),
    Later("/plant", _plant_page),
    Later("/kpi", _kpi_page),
    Later("/routes|/new-route|/dead-letters", _route_pages),
    Later("/assets|/new-asset", _asset_pages),
    Later("/sources|/new-source", _source_pages),
    Later("/sinks|/new-sink", _sink_pages),
    Later("/platform", _platform_page),
    Later("/trends", _trend_pages),
    Later("/import", _import_pages),
    Later("/api$|/api/v1/openapi", _reference),
    Later("/access", _access_page),
    Later("/account", _account_page),
    Later("/audit", _audit_page),
)
