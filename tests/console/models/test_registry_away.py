"""Pages while MLflow and Airflow do not answer: in time, with all else, saying what is missing."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.console.app import create_app
from tests.helpers.console.api import ADMIN, TOKENS
from tests.helpers.console.server import serving_thread

VIEWERS = 5
"""Of each page at once."""
PAGES = ("/models/too-moist", "/models/too-moist/decide", "/api/v1/definitions/too-moist/models")
OTHERS = ("/", "/definitions", "/models", "/reports")


@contextmanager
def silent():
    """Yield an address that takes connections and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def platform(platform):
    client = TestClient(create_app(platform, TOKENS), headers=ADMIN)
    assert {client.get(path).status_code for path in (*PAGES, *OTHERS, "/platform")} == {200}
    return platform


@contextmanager
def console(platform, mlflow=None, airflow=None):
    """Yield a function that returns a page, and the seconds that it took."""
    registry = platform.runs if mlflow is None else MlflowModels(mlflow)
    made = replace(platform, runs=registry, models=registry)
    with (
        serving_thread(create_app(made, TOKENS, mlflow=mlflow, airflow=airflow)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=90) as viewer,
    ):

        def get(path):
            begun = monotonic()
            answer = viewer.get(path)
            assert answer.status_code == 200
            return answer.text, monotonic() - begun

        yield get


def longest(get):
    """Return the longest time of all pages, many at once."""
    paths = [*PAGES, *OTHERS, "/platform"] * VIEWERS
    with ThreadPoolExecutor(len(paths)) as viewers:
        return max(seconds for _, seconds in viewers.map(get, paths))


def test_pages_come_in_time_for_many_viewers_and_say_what_is_missing(platform):
    with console(platform) as get:
        usual = longest(get)
    with silent() as address, console(platform, address, address) as get:
        # two seconds of waiting, and the work of a machine that may be busy
        assert longest(get) < 2.5 + 3 * usual
        assert longest(get) < 0.5 + 3 * usual
        models, _ = get("/models/too-moist")
        assert "The registry of models cannot be read." in models
        assert "MLflow does not answer" in models
        about, _ = get("/platform")
        assert "Airflow does not answer: nothing is evaluated" in about
        assert "MLflow does not answer: pages come without" in about
