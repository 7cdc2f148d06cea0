"""Pages that no operator needs in a shift: loaded with their first request, and not before."""

import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import PEOPLE, PROGRAMS, create_app
from alerting.console.web.later import Later, LaterRoutes, load_all
from tests.helpers.console.api import ADMIN, TOKENS
from tests.in_memory_platform import in_memory_platform

STARTED = """
import sys
import alerting.console.serve
from alerting.console.app import create_app
from tests.in_memory_platform import in_memory_platform

create_app(in_memory_platform(), {"t" * 20: ("ada", "admin")})
print(*sorted(sys.modules))
"""
SELDOM = (
    "alerting.console.api.ingest_api",
    "alerting.console.api.openapi",
    "alerting.console.api.predict_api",
    "alerting.console.definitions.definition_api",
    "alerting.console.definitions.editor_page",
    "alerting.console.imports.import_pages",
    "alerting.console.models.model_pages",
    "alerting.console.people.access_page",
    "alerting.console.plant.plant_api",
    "alerting.console.sources.source_pages",
    "alerting.console.web.report_pages",
    "alerting.usecases.backtest.backtest",
    "alerting.usecases.reports.plant",
    "alerting.usecases.training.train",
    "numpy",
    "pandas",
    "prometheus_client",
)
LATER = [one for one in (*PROGRAMS, *PEOPLE) if isinstance(one, Later)]


def test_a_console_that_has_started_has_not_loaded_what_its_operators_do_not_need():
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, check=True)
    loaded = done.stdout.decode().split()
    assert "alerting.console.now.page" in loaded
    assert [name for name in SELDOM if name in loaded] == []


@pytest.fixture
def app():
    return create_app(in_memory_platform(), TOKENS)


@pytest.mark.parametrize("later", LATER, ids=lambda one: one.load.__name__)
def test_each_address_of_a_router_that_is_loaded_later_loads_it(app, later):
    stands = LaterRoutes(app, later)
    paths = [route.path for router in later.load(app) for route in router.routes]
    assert paths
    assert [path for path in paths if not stands.has(path)] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/sources", 200), ("/sources", 200), ("/api/v1/sources/none", 404), ("/api", 200)],
)
def test_the_first_request_for_a_page_that_is_loaded_later_is_answered(app, path, status):
    before = len(app.routes)
    answer = TestClient(app, raise_server_exceptions=False).get(path, headers=ADMIN)
    assert answer.status_code == status
    assert len(app.routes) > before


def test_the_first_request_with_a_wrong_method_is_told_the_right_ones(app):
    answer = TestClient(app).patch("/api/v1/sinks", headers=ADMIN)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_routes_are_added_once_in_the_order_in_which_they_are_written(app):
    first = [route.path for route in load_all(app)]
    assert [route.path for route in load_all(app)] == first
    assert first.index("/definitions/new") < first.index("/definitions/{name}")
