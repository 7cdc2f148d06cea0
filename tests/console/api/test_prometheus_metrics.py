"""`/metrics` as a Prometheus server reads it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pymongo.errors import ExecutionTimeout, ServerSelectionTimeoutError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.app import create_app
from alerting.console.metrics import PlatformReader
from alerting.ports import ReadingRow
from alerting.usecases.access.audit import BACKUP_MADE
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

TOKENS = {"prometheus-token-0123456789": ("prometheus", "viewer")}
BEARER = {"authorization": "Bearer prometheus-token-0123456789"}
ODD = 'oven "7"\\\n\x1b[2J'

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    apply(made, [too_hot(stale_after="10h", severity="high")], "engineer", at(0), "test")
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(5))
    made.clock.instant = at(8)
    evaluate(made, None, at(8))
    return made


def client_of(platform):
    return TestClient(
        create_app(platform, TOKENS), raise_server_exceptions=False, follow_redirects=False
    )


def scraped(platform, parse=text_string_to_metric_families, **headers):
    """Value by sample name and labels, through the parser of the client library."""
    answer = client_of(platform).get("/metrics", headers={**BEARER, **headers})
    assert answer.status_code == 200, answer.text
    return {
        (s.name, *s.labels.values()): s.value
        for family in parse(answer.text)
        for s in family.samples
    }


def test_a_scrape_holds_the_figures_of_the_platform(platform):
    found = scraped(platform)
    assert found["alerting_database_up",] == found["alerting_scrape_complete",] == 1
    assert found["alerting_open_episodes", "high"] == 1
    assert found["alerting_open_episodes", "low"] == 0
    assert found["alerting_definitions", "active"] == 1
    assert found["alerting_newest_reading_age_seconds", "oven-1"] == 180
    assert found["alerting_evaluation_interval_seconds", "too-hot"] == 60
    assert 0 <= found["alerting_evaluation_lag_seconds", "too-hot"] <= 60
    assert found["alerting_notifications", "pending"] == 1
    assert [key for key in found if key[0] == "alerting_build_info"]


def test_every_metric_is_documented(platform):
    section = (
        OPERATIONS.read_text(encoding="utf-8")
        .partition("## Metrics for Prometheus")[2]
        .partition("\n## ")[0]
    )
    documented = set(re.findall(r"`(alerting_[a-z_]+)", section))
    assert {name for name, *_ in scraped(platform)} | {"alerting_platform_alerts"} <= documented


def test_backups_are_figures_where_there_are_any(platform):
    assert not [key for key in scraped(platform) if key[0].startswith("alerting_backup")]
    platform.audit.add("ada", BACKUP_MADE, "/backups/1", datetime.now(UTC) - timedelta(hours=1))
    assert 3600 <= scraped(platform)["alerting_backup_age_seconds",] < 3700


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong-token-0123456789"}])
def test_without_a_valid_token_there_are_no_metrics(platform, headers):
    answer = client_of(platform).get("/metrics", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "alerting_" not in answer.text


def test_names_with_quotes_line_ends_and_control_characters_are_read_back(platform):
    made = replace(platform, platform_alerts=Alerts(ODD))
    assert scraped(made)["alerting_platform_alerts", 'oven "7"\\'] == 1


class Alerts:
    def __init__(self, kind):
        self.kind = kind

    def open(self):
        return [self]


class Failing:
    def __init__(self, fault):
        self._fault = fault

    def __getattr__(self, _):
        raise self._fault


@pytest.mark.parametrize(
    "fault",
    [ServerSelectionTimeoutError("no servers"), DatabaseDown("the database does not answer")],
)
def test_a_database_that_is_down_is_a_figure_not_an_error(platform, fault):
    down = replace(platform, definitions=Failing(fault), evaluation_plans=Failing(fault))
    found = scraped(down)
    assert found["alerting_database_up",] == found["alerting_scrape_complete",] == 0
    assert not [key for key in found if key[0] == "alerting_open_episodes"]


def test_a_database_that_is_too_slow_is_up_and_the_scrape_is_incomplete(platform):
    slow = replace(
        platform, episodes=Failing(ExecutionTimeout("operation exceeded time limit", 50, {}))
    )
    found = scraped(slow)
    assert (found["alerting_database_up",], found["alerting_scrape_complete",]) == (1, 0)


def test_a_scrape_beside_a_slow_one_ends_within_the_limit(platform):
    entered = Event()
    go_on = Event()

    class Slow:
        def source_hash(self, read_plan=False):
            entered.set()
            go_on.wait(600)
            return "x"

        def get(self, _):
            return None

    reader = PlatformReader(replace(platform, evaluation_plans=Slow()), limit=0.2)
    other = Thread(target=reader.read)
    other.start()
    entered.wait(600)
    assert reader.read().metrics is None
    go_on.set()
    other.join()
    assert reader.read().metrics is not None
