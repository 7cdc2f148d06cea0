"""The page on alarm quality, its figures for programs, and what the pages say of suppression by
design."""

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
from tests.helpers.console.pages import missing, text_of
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
    often = [(minute, "oven-1", 5) for minute in range(0, 30 * DAY, 60)]
    burst = [(10 * DAY + 30 + i / 10, "oven-2", 0.05) for i in range(14)]
    for minute, asset, lasts in (*often, *burst):
        seen = ActorStamp("ann", at(minute + 2))
        over = {"condition": "closed", "closed_at": at(minute + lasts)}
        found = episode(minute, id=f"{asset}-{minute}", asset=asset, **over)
        platform.episodes.insert(replace(found, acknowledged=seen))
    for asset in ("oven-1", "oven-2"):
        evaluated = ConditionTable([("too-hot", asset)])
        evaluated.write_state(0, ConditionState(watermark=at(30 * DAY)))
        platform.states.advance(ConditionTable([("too-hot", asset)]), evaluated)
    return platform


def test_the_page_and_programs_get_the_figures_that_the_command_prints(plant):
    api = client(plant)
    page = text_of(api.get("/kpi?days=30"))
    shown = ("734 alarms", "Targets are defaults after ISA-18.2 / EEMUA 191")
    figures = ("busiest 10 min 14 ▲ target ≤ 10 2026-01-15 00:30", "chattering 1 ▲ target 0")
    assert missing(page, *shown, *figures, "observed") == ["observed"]
    whole = api.get("/api/v1/kpi").json()
    assert (whole["kpis"]["alarms"], whole["kpis"]["busiest"]) == (734, 14)
    assert whole["kpis"]["chattering"][0]["definition"] == "too-hot"
    positions = [(p["name"], p["kpis"]["alarms"], p["budget"]) for p in whole["positions"]]
    assert positions == [("baker", 734, 144)]


def test_the_page_says_since_when_the_line_is_observed_and_what_it_does_not_know(plant):
    words = ("observed 30 d of 90 d, since Mon 5 Jan", "alarms a day 24.5 ● target")
    assert missing(text_of(client(plant).get("/kpi?days=90")), *words) == []
    idle = client(watched())
    unknown = "nothing was evaluated in this period, so its rates are not known"
    rates = [f"{name} not known ○" for name in ("alarms a day", "time in flood", "chattering")]
    assert missing(text_of(idle.get("/kpi")), unknown, *rates) == []
    figures = idle.get("/api/v1/kpi").json()["kpis"]
    found = {name: figures[name] for name in ("per_day", "time_in_flood", "observed", "alarms")}
    nothing = {"per_day": None, "time_in_flood": None, "observed": "PT0S", "alarms": 0}
    assert found == nothing


def test_positions_stand_in_a_table_and_one_is_shown(plant):
    assert 'class="groups"' not in client(plant).get("/kpi").text
    asset = plant.assets.get("oven-2")
    plant.assets.store_assets([asset.model_copy(update={"position": "packer"})])
    words = text_of(client(plant).get("/kpi"))
    assert missing(words, "baker 720 24", "packer 14 0.467") == []
    shown = text_of(client(plant).get("/kpi?position=packer"))
    assert missing(shown, "position packer", "14 alarms") == []


def watched(**changes):
    """Return a platform with one definition of an oven."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="cleaning", duration="lasting")])
    apply(platform, [too_hot(**changes)], "engineer", at(-1), "test")
    return platform


def test_the_pages_say_what_is_suppressed_by_design_and_what_nobody_was_told_of():
    platform = watched(stale_after="10h", suppression={"when": {"event": "cleaning"}})
    add_events(platform, [EventRow("oven-1", "cleaning", at(0), None, "test")], at(0))
    add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 230.0})], at(1))
    platform.clock.instant = at(5)
    evaluate(platform, None, at(5))
    [raised] = platform.episodes.find()
    api = client(platform)
    first = "1 alarm suppressed by design in the last 24 hours, without a notification"
    assert first in text_of(api.get("/"))
    by = "No notifications: suppressed by design (ISA-18.2 F): cleaning on oven-1"
    assert by in text_of(api.get(f"/episodes/{raised.id}"))
    listed = api.get("/suppressed")
    words = ("too-hot oven-1 cleaning on oven-1", "Without notification in the last 24 hours 1")
    assert missing(text_of(listed), *words) == []
    assert f'href="/episodes/{raised.id}"' in listed.text
    stands = api.get(f"/api/v1/episodes/{raised.id}/state").json()
    assert (stands["state"], stands["suppressed"]) == ("suppressed by design", "cleaning on oven-1")
    listed = api.get("/api/v1/suppressions").json()
    targets = [(p["definition"], p["asset"], p["suppressed"]) for p in listed["targets"]]
    assert targets == [("too-hot", "oven-1", True)]
    assert [e["id"] for e in listed["not_notified"]] == [raised.id]
