"""The demo line on a real database: killed and gone on with, acted upon from the command line, and
learnable."""

import json
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.cli.main import app
from alerting.definitions.faults import UserError
from alerting.definitions.model import Problem
from alerting.demo.asset import ASSET, demo_asset
from alerting.demo.line import DemoLineState, new_line, simulate
from alerting.demo.line_store import MongoLines, SetPointRequest
from alerting.demo.run import SEED, fill, run_line
from alerting.demo.set_points import take_over
from alerting.detection.problems import find_problems
from alerting.episodes.episode import Change
from alerting.kinds.validation import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.build import build_features
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.choice import choose
from alerting.ports import silent
from alerting.readings.history import History, to_millis
from alerting.recommendation.whatif import recommend
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.models

END = datetime(2026, 3, 31, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[2] / "config" / "examples" / "demo"

FILL = """
import sys
from datetime import datetime
from alerting.demo.run import fill
from alerting.demo.line_store import MongoLines
from alerting.adapters.mongo.mongo import open_stores
with open_stores(sys.argv[1], sys.argv[2]) as stores:
    print("filling", flush=True)
    end = datetime.fromisoformat(sys.argv[3])
    fill(assets=stores.assets, plant=stores, lines=MongoLines(stores.database), end=end, days=8)
"""

RUN = """
import sys, time
from alerting.demo.run import run_line
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.demo.line_store import MongoLines
from alerting.adapters.mongo.mongo import open_stores
with open_stores(sys.argv[1], sys.argv[2]) as stores:
    wait = lambda seconds: bool(time.sleep(0.02))
    print("running", flush=True)
    clock, lines = MongoClock(stores.database), MongoLines(stores.database)
    run_line(plant=stores, lines=lines, clock=clock, speed=2000.0, wait=wait)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    require_real_server()
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), free_port()) as running:
        yield running.uri


@pytest.fixture
def stores(server) -> MongoStores:
    with open_stores(server, f"demo-{uuid.uuid4().hex[:12]}", prepare=True) as opened:
        yield opened
        opened.database.client.drop_database(opened.database.name)


def kept_readings(stores: MongoStores) -> dict[datetime, dict[str, float]]:
    return {d["ts"]: d["v"] for d in stores.database["readings"].find({"asset": ASSET})}


def computed_readings(state: DemoLineState) -> dict[datetime, dict[str, float]]:
    """Return the readings of one undisturbed run from the line's first minute."""
    return {
        r.ts: r.values
        for r in simulate(
            new_line(state.seed, state.origin, state.live_from // 1440), state.minute
        ).rows
    }


def start(script: str, uri: str, stores: MongoStores, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, uri, stores.database.name, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.server
def test_the_state_of_a_line_comes_back_bit_for_bit_and_only_one_writer_wins(stores):
    lines = MongoLines(stores.database)
    state = simulate(new_line(SEED, END, 1), 700).state
    assert lines.load(ASSET) is None
    assert not lines.ask(ASSET, SetPointRequest("0", "zone_1_setpoint", 210.0, "anna"))
    first = lines.save(ASSET, None, state)
    assert lines.save(ASSET, None, state) is None
    assert first == lines.load(ASSET)
    assert first is not None
    assert first.state == state

    requests = [SetPointRequest(str(i), "zone_1_setpoint", 210.0 + i, "anna") for i in range(2)]
    assert all(lines.ask(ASSET, request) for request in requests)
    second = lines.save(ASSET, first, state, requests[:1])
    assert second is not None
    assert second.requests == (requests[1],)
    assert lines.save(ASSET, first, state) is None


@pytest.mark.server
@pytest.mark.night
def test_a_fill_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(server, stores):
    for delay in (0.1, 0.3, 0.2):
        process = start(FILL, server, stores, END.isoformat())
        time.sleep(delay)
        kill(process)
    assert start(FILL, server, stores, END.isoformat()).wait() == 0
    line = MongoLines(stores.database).load(ASSET)
    assert line is not None
    assert line.state.until == END
    assert kept_readings(stores) == computed_readings(line.state)


@pytest.mark.server
def test_a_live_line_that_is_killed_goes_on_without_a_gap_and_its_clock_never_goes_back(
    server, stores
):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    first = fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=1)
    again = fill(assets=stores.assets, plant=stores, lines=lines, end=END + timedelta(1), days=1)
    assert (again.rows, again.events, again.end) == (0, 0, first.end)
    shown = []
    for _ in range(3):
        process = start(RUN, server, stores)
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
    kept = kept_readings(stores)
    computed = computed_readings(line.state)
    assert all(kept[ts] == values for ts, values in computed.items())


@pytest.mark.server
def test_a_short_past_a_line_without_past_and_a_second_process_are_refused(stores):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    with pytest.raises(UserError, match="at least one day"):
        fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=0)
    with pytest.raises(UserError, match="no demo line yet"):
        run_line(plant=stores, lines=lines, clock=clock, speed=10.0, wait=lambda _: True)
    fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=1)

    class Overtaken(MongoLines):
        def save(self, *given):
            """Once the clock runs, another process has moved the line meanwhile."""
            runs = stores.database["clock"].count_documents({})
            return None if runs else super().save(*given)

    overtaken = Overtaken(stores.database)
    wait = lambda _: bool(time.sleep(0.02))  # noqa: E731
    with pytest.raises(UserError, match="another process"):
        run_line(plant=stores, lines=overtaken, clock=clock, speed=2000.0, wait=wait)
    at = clock.now()
    time.sleep(0.01)
    assert clock.now() == at, "it stands still when the line fails"


@pytest.mark.server
def test_a_set_point_changed_from_the_command_line_reaches_the_readings_the_events_and_the_audit(
    server, stores, monkeypatch
):
    lines = MongoLines(stores.database)
    clock = MongoClock(stores.database)
    fill(assets=stores.assets, plant=stores, lines=lines, end=END, days=1)
    clock.start(END, 1.0, timedelta(0))
    monkeypatch.setenv("ALERTING_MONGODB_URI", server)
    monkeypatch.setenv("ALERTING_DATABASE", stores.database.name)
    runner = CliRunner()
    before = json.loads(runner.invoke(app, ["demo", "status", "--json"]).stdout)
    assert {v["variable"] for v in before["variables"]} == set(demo_asset().variables)

    done = runner.invoke(
        app, ["demo", "set", "belt_speed_setpoint", "7.4", "--why", "too moist", "--json"]
    )
    assert done.exit_code == 0, done.output
    process = start(RUN, server, stores)
    while lines.load(ASSET).state.until < END + timedelta(minutes=40):
        assert process.poll() is None
        time.sleep(0.02)
    kill(process)

    history = stores.readings.load(demo_asset(), END, None)
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


@pytest.fixture(scope="module")
def filled(server):
    """History and state of the line after its 30 days."""
    with open_stores(server, "demo-filled", prepare=True) as opened:
        lines = MongoLines(opened.database)
        fill(assets=opened.assets, plant=opened, lines=lines, end=END)
        line = lines.load(ASSET)
        assert line is not None
        yield opened.readings.load(demo_asset(), None, None), line.state
        opened.database.client.drop_database(opened.database.name)


@pytest.mark.server
@pytest.mark.night
def test_the_line_can_be_learned_but_not_perfectly_and_advice_on_it_really_helps(filled):
    history, state = filled
    assert len(history.readings) == 43_200
    definition = parse_definition(
        {**_example("biscuits-too-moist"), "learning": {"trials": 1, "candidates": ["lightgbm"]}}
    )
    problems = find_problems(definition.problem, history)
    assert 120 <= len(problems) <= 180, "four to six a day"

    dataset = build_dataset(definition, 1, [history], END)
    candidates = [
        search_candidate(dataset, definition, family, silent) for family in definition.families
    ]
    chosen = choose(dataset, definition, candidates).candidate
    assert chosen.family == "lightgbm", "beyond chance, and better than the last known moisture"
    model, evidence = finish_challenger(dataset, chosen, definition)
    assert 0.6 < evidence.metrics["test_ap"] < 0.95
    assert evidence.metrics["test_event_recall"] >= 0.7
    assert evidence.metrics["test_false_alarms_per_week"] <= 10

    raised, changes = _first_alarm(model, history, state)
    assert raised <= 30, "the wet batch that arrives as the live line begins"
    assert _too_moist(definition.problem, history, state, raised, ())
    assert not _too_moist(definition.problem, history, state, raised, changes)


def _first_alarm(
    model: TrainedModel, history: History, state: DemoLineState
) -> tuple[int, tuple[Change, ...]]:
    """Minutes of the live line until the model warns, and what it then advises."""
    for minutes in range(5, 61, 5):
        live = _with(history, simulate(state, state.minute + minutes).rows)
        at = live.readings.index[-1]
        if (
            model.score(build_features(model.plan, live, np.array([to_millis(at)])))[0]
            >= model.threshold
        ):
            return minutes, recommend(model, live, at, 2).changes
    raise AssertionError("the model never warned")


def _too_moist(
    problem: Problem,
    history: History,
    state: DemoLineState,
    raised: int,
    changes: tuple[Change, ...],
) -> bool:
    """Return whether the problem begins within half an hour after a warning, if these changes are
    made two minutes after it."""
    acted = simulate(state, state.minute + raised + 2).state
    requests = [SetPointRequest(c.variable, c.variable, c.after, "anna") for c in changes]
    rows = simulate(take_over(acted, requests), state.minute + raised + 40).rows
    starts = find_problems(problem, _with(history, rows))["start"]
    return bool(
        starts.between(
            state.instant(state.minute + raised), state.instant(state.minute + raised + 30)
        ).any()
    )


def _with(history: History, rows) -> History:
    index = pd.DatetimeIndex([r.ts for r in rows], name="ts").as_unit("ms")
    live = (
        pd.DataFrame([r.values for r in rows], index=index)
        .reindex(columns=history.readings.columns)
        .astype(float)
    )
    return History(
        history.asset, pd.concat([history.readings, live]), history.events, history.event_types
    )


def _example(name: str) -> dict[str, object]:
    return yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
