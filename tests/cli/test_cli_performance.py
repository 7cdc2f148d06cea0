"""The commands `report` and `miss`, as people type them, on a platform in memory."""

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from alerting.cli import performance, support
from alerting.cli.main import app
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import in_memory_platform

WEEK = 7 * 24 * 60


@pytest.fixture
def platform(monkeypatch):
    """A week of readings each hour, one of them too hot, in the week after its end."""
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(schedule={"every": "1h"}, stale_after="3h")], "engineer", at(0), "test")
    for minute in range(30, WEEK, 60):
        temperature = 230.0 if minute == 630 else 200.0
        add_readings(
            made, [ReadingRow("oven-1", at(minute), {"temperature": temperature})], at(minute)
        )
    evaluate(made, None, at(WEEK))
    made.clock.instant = at(WEEK + 60)

    @contextmanager
    def opened():
        yield made

    monkeypatch.setattr(performance, "platform", opened)
    monkeypatch.setattr(support, "user", lambda: "emil")
    return made


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def alerting(*words, code=0):
    result = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result.stdout if "--json" in words else result.output


def test_a_period_is_reported_listed_created_again_and_its_tables_are_written(platform, own_folder):
    shown = json.loads(
        alerting("report", "too-hot", "--period", "2026-W02", "--csv", "tables", "--json")
    )
    assert shown["id"] == "too-hot:2026-W02:1"
    page = (own_folder / "too-hot-report-2026-W02.html").read_text(encoding="utf-8")
    assert page == platform.reports.page("too-hot:2026-W02:1")
    episodes = (own_folder / "tables" / "episodes.csv").read_text(encoding="utf-8").splitlines()
    assert len(episodes) == 2, "the names of the columns, and one episode"
    assert [row["id"] for row in json.loads(alerting("report", "--list", "--json"))] == [
        "too-hot:2026-W02:1"
    ]
    assert "byte for byte" in alerting(
        "report", "--id", "too-hot:2026-W02:1", "--out", "again.html"
    )
    assert (own_folder / "again.html").read_text(encoding="utf-8") == page


def test_the_plant_is_reported_over_the_last_closed_week(platform, own_folder):
    platform.clock.instant = at(0) + timedelta(weeks=2, hours=1)
    assert "plant-report-2026-W02.html" in alerting("report", "--plant", "--period", "2026-W02")
    assert [head.id for head in platform.reports.for_definition(None)] == ["2026-W02:1"]
    assert (own_folder / "plant-report-2026-W02.html").exists()


def test_an_interval_is_reported_without_a_period(platform, own_folder):
    words = ("--from", "2026-01-05T00:00:00Z", "--to", "2026-01-06T00:00:00Z", "--out", "day.html")
    alerting("report", "too-hot", *words)
    (head,) = platform.reports.for_definition("too-hot")
    assert (head.start, head.end, head.period) == (at(0), at(24 * 60), None)
    assert (own_folder / "day.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a definition, or give --plant, --id or --list"),
        (("too-hot", "--plant"), "takes no name and no interval"),
        (
            ("too-hot", "--period", "2026-W02", "--from", "2026-01-05T00:00:00Z"),
            "a period or an interval, not both",
        ),
    ],
)
def test_options_that_contradict_are_refused(platform, words, said):
    assert said in alerting("report", *words, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("too-hot", "--period", "2026-W03"), "2026-W03 is closed at"),
        (("too-hot", "--period", "2026-13"), "2026-13"),
        (("--id", "nope"), "there is no report 'nope'"),
    ],
)
def test_what_cannot_be_reported_is_refused(platform, words, said):
    assert said in alerting("report", *words, code=1)


def test_a_miss_is_reported_listed_and_enters_the_next_revision(platform):
    alerting("report", "too-hot", "--period", "2026-W02")
    time = at(2 * 24 * 60).isoformat()
    assert "miss of too-hot on oven-1" in alerting(
        "miss", "too-hot", "--asset", "oven-1", "--at", time, "--comment", "smoke"
    )
    assert [(m.asset, m.comment, m.actor) for m in platform.misses.for_interval()] == [
        ("oven-1", "smoke", "emil")
    ]
    assert all(words in alerting("miss", "too-hot") for words in ("oven-1", "smoke", "emil"))
    platform.clock.instant = at(WEEK + 120)
    alerting("report", "too-hot", "--period", "2026-W02")
    (why,) = {
        difference.why for difference in platform.reports.get("too-hot:2026-W02:2").differences
    }
    assert "1 miss reported" in why


def test_a_miss_needs_asset_and_time_and_its_faults_are_named(platform):
    assert "give both" in alerting("miss", "too-hot", "--asset", "oven-1", code=2)
    assert "oven-9" in alerting(
        "miss", "too-hot", "--asset", "oven-9", "--at", at(60).isoformat(), code=1
    )
    assert "no miss is reported" in alerting("miss", "too-hot")
