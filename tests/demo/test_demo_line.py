"""The demo line on a real database: killed and gone on with, and acted upon from the command
line."""

import json
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from alerting.adapters.mongo.mongo import MongoClock, MongoStores, open_stores
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.demo.line import ASSET, demo_asset, new_line, simulate
from alerting.demo.stored_line import SEED, MongoLines, SetPointRequest, fill, run_line
from alerting.ports import WantedHistory

pytestmark = pytest.mark.models

END = datetime(2026, 3, 31, tzinfo=UTC)


RUN = """
import sys, time
from alerting.demo.stored_line import run_line
from alerting.adapters.mongo.mongo import MongoClock
from alerting.demo.stored_line import MongoLines
from alerting.adapters.mongo.mongo import open_stores
with open_stores(sys.argv[1], sys.argv[2]) as stores:
    wait = lambda seconds: bool(time.sleep(0.02))
    print("running", flush=True)
    clock, lines = MongoClock(stores.database), MongoLines(stores.database)
    run_line(plant=stores, lines=lines, clock=clock, speed=2000.0, wait=wait)
"""


@pytest.fixture
def stores(real_server) -> MongoStores:
    with open_stores(real_server, f"demo-{uuid.uuid4().hex[:12]}", prepare=True) as opened:
        yield opened
        opened.database.client.drop_database(opened.database.name)


def start(script: str, uri: str, stores: MongoStores, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, uri, stores.database.name, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_only_one_writer_wins_and_a_line_without_past_or_of_another_process_is_refused(stores):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    with pytest.raises(UserError, match="at least one day"):
        fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=0)
    with pytest.raises(UserError, match="no demo line yet"):
        run_line(plant=stores, lines=lines, clock=clock, speed=10.0, wait=lambda _: True)
    state = simulate(new_line(SEED, END, 1), 700).state
    assert not lines.ask(ASSET, SetPointRequest("0", "zone_1_setpoint", 210.0, "anna"))
    first = lines.save(ASSET, None, state)
    assert lines.save(ASSET, None, state) is None
    assert (first, first.state) == (lines.load(ASSET), state)
    requests = [SetPointRequest(str(i), "zone_1_setpoint", 210.0 + i, "anna") for i in range(2)]
    assert all(lines.ask(ASSET, request) for request in requests)
    second = lines.save(ASSET, first, state, requests[:1])
    assert second.requests == (requests[1],)
    assert lines.save(ASSET, first, state) is None
    overtaken = SimpleNamespace(load=lines.load, save=lambda *_: None)
    with pytest.raises(UserError, match="another process"):
        run_line(plant=stores, lines=overtaken, clock=clock, speed=2000.0, wait=lambda _: False)


def test_a_live_line_that_is_killed_goes_on_without_a_gap_and_its_clock_never_goes_back(
    real_server, stores
):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    first = fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=1)
    again = fill(assets=stores.assets, plant=stores, lines=lines, end=END + timedelta(1), days=1)
    assert (again.rows, again.events, again.end) == (0, 0, first.end)
    shown = []
    for _ in range(3):
        process = start(RUN, real_server, stores)
        minute = lines.load(ASSET).state.minute
        while lines.load(ASSET).state.minute < minute + 20:
            assert process.poll() is None
            time.sleep(0.02)
            if stores.database["clock"].count_documents({}):
                shown.append(clock.now())
        kill(process)
    line = lines.load(ASSET)
    assert line is not None
    assert line.state.minute > 1440
    assert shown == sorted(shown)
    kept = {d["ts"]: d["v"] for d in stores.database["readings"].find({"asset": ASSET})}
    state = line.state
    whole = simulate(new_line(state.seed, state.origin, state.live_from // 1440), state.minute)
    assert {row.ts for row in whole.rows if kept[row.ts] != row.values} == set()


def test_a_set_point_changed_from_the_command_line_reaches_the_readings_the_events_and_the_audit(
    real_server, stores, monkeypatch
):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=1)
    clock.start(END, 1.0, timedelta(0))
    monkeypatch.setenv("ALERTING_MONGODB_URI", real_server)
    monkeypatch.setenv("ALERTING_DATABASE", stores.database.name)
    runner = CliRunner()
    before = json.loads(runner.invoke(app, ["demo", "status", "--json"]).stdout)
    assert {v["variable"] for v in before["variables"]} == set(demo_asset().variables)

    done = runner.invoke(
        app, ["demo", "set", "belt_speed_setpoint", "7.4", "--why", "too moist", "--json"]
    )
    assert done.exit_code == 0, done.output
    process = start(RUN, real_server, stores)
    while lines.load(ASSET).state.until < END + timedelta(minutes=40):
        assert process.poll() is None
        time.sleep(0.02)
    kill(process)

    history = stores.readings.load(WantedHistory(demo_asset(), END, None))
    assert history.readings["belt_speed_setpoint"].dropna().iloc[:30].tolist() == [7.4] * 30
    assert history.events.loc[history.events["type"] == "set-point-change", "start"].tolist() == [
        END
    ]
    entry = stores.database["audit"].find_one({"what": "set-point-change"})
    assert (entry["subject"], entry["after"], entry["why"]) == (
        "oven-1/belt_speed_setpoint",
        7.4,
        "too moist",
    )

    refused = runner.invoke(app, ["demo", "set", "belt_speed_setpoint", "20"])
    assert refused.exit_code == 1
    causes = json.loads(runner.invoke(app, ["demo", "status", "--causes", "--json"]).stdout)[
        "causes"
    ]
    assert "wet-dough" in {c["cause"] for c in causes}
