"""The page on alarm quality, its figures for programs, and what the pages say of suppression by
design."""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset, EventType
from alerting.episodes.episode import ActorStamp
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, VIEWER
from tests.helpers.episodes import episode
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60


def client(platform):
    return TestClient(create_app(platform, TOKENS), follow_redirects=False, headers=VIEWER)


@pytest.fixture
def plant():
    """Thirty days of one alarm an hour at the ovens, a burst of fourteen, and one that
    chattered."""
    platform = in_memory_platform(Mailbox("mail"))
    line = Asset(name="line-1", position="baker")
    ovens = [
        oven().model_copy(update={"name": n, "parent": "line-1"}) for n in ("oven-1", "oven-2")
    ]
    platform.assets.store_assets([line, *ovens])
    apply(platform, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    platform.clock.instant = at(30 * DAY)
    for minute in range(0, 30 * DAY, 60):
        store_episode(platform, minute, "oven-1", 5)
    for i in range(14):
        store_episode(platform, 10 * DAY + 30 + i / 10, "oven-2", 0.05)
    for asset in ("oven-1", "oven-2"):
        evaluated = ConditionTable([("too-hot", asset)])
        evaluated.write_state(0, ConditionState(watermark=at(30 * DAY)))
        platform.states.advance(ConditionTable([("too-hot", asset)]), evaluated)
    return platform


def store_episode(platform, minute, asset, lasts):
    found = episode(
        minute,
        id=f"{asset}-{minute}",
        asset=asset,
        condition="closed",
        closed_at=at(minute + lasts),
    )
    platform.episodes.insert(replace(found, acknowledged=ActorStamp("ann", at(minute + 2))))


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_the_page_shows_the_figures_that_the_command_prints(plant):
    page = client(plant).get("/kpi?days=30")
    words = text(page)
    assert page.status_code == 200
    assert "734 alarms" in words
    assert re.search(r"busiest 10 min 14 ▲ target ≤ 10 2026-01-15 00:30", words)
    assert re.search(r"chattering 1 ▲ target 0", words)
    assert "Targets are defaults after ISA-18.2 / EEMUA 191" in words


def test_the_page_says_since_when_the_line_is_observed_and_what_it_does_not_know(plant):
    assert "observed" not in text(client(plant).get("/kpi?days=30"))
    words = text(client(plant).get("/kpi?days=90"))
    assert "observed 30 d of 90 d, since Mon 5 Jan" in words
    assert re.search(r"alarms a day 24.5 ● target", words)
    idle = in_memory_platform()
    idle.assets.store_assets([oven()])
    apply(idle, [too_hot()], "engineer", at(0), "test")
    words = text(client(idle).get("/kpi"))
    assert "nothing was evaluated in this period, so its rates are not known" in words
    for name in ("alarms a day", "time in flood", "chattering"):
        assert f"{name} not known ○" in words
    figures = client(idle).get("/api/v1/kpi").json()["kpis"]
    assert (
        figures["per_day"],
        figures["time_in_flood"],
        figures["observed"],
        figures["alarms"],
    ) == (None, None, "PT0S", 0)


def test_positions_stand_in_a_table_and_one_is_shown(plant):
    assert 'class="groups"' not in client(plant).get("/kpi").text
    asset = plant.assets.get("oven-2")
    plant.assets.store_assets([asset.model_copy(update={"position": "packer"})])
    words = text(client(plant).get("/kpi"))
    assert "baker 720 24" in words
    assert "packer 14 0.467" in words
    shown = text(client(plant).get("/kpi?position=packer"))
    assert "position packer" in shown
    assert "14 alarms" in shown


def test_programs_get_the_same_figures(plant):
    api = client(plant)
    whole = api.get("/api/v1/kpi").json()
    assert (whole["kpis"]["alarms"], whole["kpis"]["busiest"]) == (734, 14)
    assert whole["kpis"]["chattering"][0]["definition"] == "too-hot"
    assert [(p["name"], p["kpis"]["alarms"], p["budget"]) for p in whole["positions"]] == [
        ("baker", 734, 144)
    ]


def test_the_pages_say_what_is_suppressed_by_design_and_what_nobody_was_told_of():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="cleaning", duration="lasting")])
    apply(
        platform,
        [too_hot(suppression={"when": {"event": "cleaning"}}, stale_after="10h")],
        "engineer",
        at(-1),
        "test",
    )
    add_events(platform, [EventRow("oven-1", "cleaning", at(0), None, "test")], at(0))
    add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(1))
    platform.clock.instant = at(5)
    evaluate(platform, None, at(5))
    [raised] = platform.episodes.find()
    api = client(platform)
    first, one, listing = (
        text(api.get(path)) for path in ("/", f"/episodes/{raised.id}", "/suppressed")
    )
    assert "1 alarm suppressed by design in the last 24 hours, without a notification" in first
    assert "too-hot oven-1 cleaning on oven-1" in listing
    assert "Without notification in the last 24 hours 1" in listing
    assert f'href="/episodes/{raised.id}"' in api.get("/suppressed").text
    assert "No notifications: suppressed by design (ISA-18.2 F): cleaning on oven-1" in one
    assert "suppressed by design" in one
    stands = api.get(f"/api/v1/episodes/{raised.id}/state").json()
    assert (stands["state"], stands["suppressed"]) == ("suppressed by design", "cleaning on oven-1")
    listed = api.get("/api/v1/suppressions").json()
    assert [(p["definition"], p["asset"], p["suppressed"]) for p in listed["targets"]] == [
        ("too-hot", "oven-1", True)
    ]
    assert [e["id"] for e in listed["not_notified"]] == [raised.id]


def test_what_suppresses_nothing_because_it_is_unknown_is_said_on_the_pages():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    apply(
        platform,
        [too_hot(suppression={"when": {"variable": "moisture", "below": 1}})],
        "engineer",
        at(-1),
        "test",
    )
    add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(1))
    platform.clock.instant = at(5)
    evaluate(platform, None, at(5))
    [raised] = platform.episodes.find()
    api = client(platform)
    assert "no reading of moisture within 10 min on oven-1" in text(
        api.get(f"/episodes/{raised.id}")
    )
    assert "No alert is suppressed now." in text(api.get("/suppressed"))
    assert "no reading of moisture within 10 min on oven-1" in text(api.get("/suppressed"))
