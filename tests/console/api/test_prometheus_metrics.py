"""`/metrics` as a Prometheus server reads it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pymongo.errors import ExecutionTimeout, ServerSelectionTimeoutError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.app import create_app
from alerting.console.platform_pages import FRESH_S, PlatformReader
from alerting.ports import ReadingRow
from alerting.usecases.access.accounts import BACKUP_MADE
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import Failing
from tests.in_memory_platform import Mailbox, in_memory_platform

TOKENS = {"prometheus-token-0123456789": ("prometheus", "viewer")}
BEARER = {"authorization": "Bearer prometheus-token-0123456789"}
ODD = 'oven "7"\\\n\x1b[2J'

ROOT = Path(__file__).parents[3]
METRICS = ROOT / "docs" / "day-to-day.md"
ALERTS = ROOT / "config" / "prometheus" / "alerts.yaml"


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    apply(made, [too_hot(stale_after="10h", severity="high")], "engineer", at(0), "test")
    add_readings(made, [ReadingRow("oven-1", at(5), {"temperature": 230})], at(5))
    made.clock.instant = at(8)
    evaluate(made, None, at(8))
    return made


def answer(platform, headers=BEARER):
    client = TestClient(create_app(platform, TOKENS), raise_server_exceptions=False)
    return client.get("/metrics", headers=headers)


def scraped(platform):
    """Value by sample name and labels, through the parser of the client library."""
    families = text_string_to_metric_families(answer(platform).text)
    return {(s.name, *s.labels.values()): s.value for one in families for s in one.samples}


def test_a_scrape_holds_the_figures_of_the_platform(platform):
    found = scraped(platform)
    expected = {
        ("alerting_database_up",): 1,
        ("alerting_scrape_complete",): 1,
        ("alerting_open_episodes", "high"): 1,
        ("alerting_open_episodes", "low"): 0,
        ("alerting_definitions", "active"): 1,
        ("alerting_newest_reading_age_seconds", "oven-1"): 180,
        ("alerting_evaluation_interval_seconds", "too-hot"): 60,
        ("alerting_notifications", "pending"): 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert 0 <= found["alerting_evaluation_lag_seconds", "too-hot"] <= 60
    names = {name for name, *_ in found}
    assert "alerting_build_info" in names
    text = METRICS.read_text(encoding="utf-8")
    section = text.partition("## Metrics for Prometheus")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`(alerting_[a-z_]+)", section))
    assert names | {"alerting_platform_alerts"} <= documented
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert {name for rule in rules for name in re.findall(r"alerting_\w+", rule["expr"])} <= (
        documented
    )


def test_backups_are_figures_where_there_are_any(platform):
    assert not [key for key in scraped(platform) if key[0].startswith("alerting_backup")]
    platform.audit.add("ada", BACKUP_MADE, "/backups/1", datetime.now(UTC) - timedelta(hours=1))
    assert 3600 <= scraped(platform)["alerting_backup_age_seconds",] < 3700


def test_without_a_valid_token_there_are_no_metrics(platform):
    for headers in ({}, {"authorization": "Bearer wrong-token-0123456789"}):
        refused = answer(platform, headers)
        found = (refused.status_code, refused.headers["www-authenticate"])
        assert (*found, "alerting_" in refused.text) == (401, "Bearer", False)


def test_names_with_quotes_line_ends_and_control_characters_are_read_back(platform):
    platform.platform_alerts.report(ODD, "x", "y", at(1))
    assert scraped(platform)["alerting_platform_alerts", 'oven "7"\\'] == 1


def test_a_database_that_is_down_or_slow_is_a_figure_not_an_error(platform):
    found = {}
    for name, fault, stores in (
        ("down", ServerSelectionTimeoutError("no servers"), ("definitions", "evaluation_plans")),
        ("away", DatabaseDown("does not answer"), ("definitions", "evaluation_plans")),
        ("slow", ExecutionTimeout("operation exceeded time limit", 50, {}), ("episodes",)),
    ):
        figures = scraped(replace(platform, **dict.fromkeys(stores, Failing(fault))))
        found[name] = [figures[f"alerting_{what}",] for what in ("database_up", "scrape_complete")]
        assert ("alerting_open_episodes", "high") not in figures
    assert found == {"down": [0, 0], "away": [0, 0], "slow": [1, 0]}


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

    seconds = [0.0]
    slow = replace(platform, evaluation_plans=Slow())
    reader = PlatformReader(slow, stopwatch=lambda: seconds[0], limit=2.0)
    other = Thread(target=reader.read)
    other.start()
    entered.wait(600)
    assert reader.read().metrics is None
    go_on.set()
    other.join()
    seconds[0] += FRESH_S
    assert reader.read().metrics is not None
