"""The fault test of a cluster: workers, APIs, stream services, scheduler, broker and the primary of
the database are killed under load, the primary also steps down.

Before it one worker is killed in the middle of a tick, which may cost 45 seconds.

Afterwards every reading that an API acknowledged is stored, and no other; episodes are those of
one evaluation of all of them; every live episode was notified, and every notification was received,
none again once everything had recovered. No tick ends more than a minute late beside the times
without broker or database.

`make faults OF=cluster MINUTES=20`, or `python -m tests.faults.clustered.run --minutes 20 --seed 1
--out faults.json`.
"""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.episodes.notifications import _read
from alerting.adapters.mongo.mongo import open_stores
from alerting.usecases.ingestion.lateness import _WRITER_GIVEN_UP
from tests.cluster.death import GOAL_S, kill_in_mid_tick
from tests.cluster.walk import TICK, add_targets
from tests.cluster.whole import Whole, wait_for, whole_cluster
from tests.faults.account import Account, check_after_recovery
from tests.faults.clustered.line import SendingLine
from tests.faults.clustered.parts import BROKER, DATABASE, ClusterStorm, all_parts
from tests.faults.clustered.ticks import Tick, late_ticks, left_out, outages
from tests.faults.command import Say, run_as_command
from tests.faults.parts import Program
from tests.faults.storm import Storm
from tests.faults.streamed.run import (
    calm_episodes,
    compare,
    is_done,
    is_routed,
    put_into_service,
    undone,
)
from tests.faults.world import CALM, World
from tests.support import free_port

PAUSE_S = (4.0, 16.0)
PATIENCE_S = 240.0


def run(folder: Path, minutes: float, seed: int, say: Say) -> Mapping[str, Any]:
    """Storm for some minutes, recover, and compare. Returns the report; `wrong` in it is empty if
    all is well."""
    own = folder / "world"
    own.mkdir()
    world = World(str(own), seed, 1.0, free_port(), free_port(), free_port())
    world.save()
    receiver = Program(world, "hook", "hook")
    receiver.start()
    try:
        with whole_cluster(folder, **world.receivers) as whole:
            return _storm(world, whole, minutes, say)
    finally:
        receiver.stop()


def _storm(world: World, whole: Whole, minutes: float, say: Say) -> Mapping[str, Any]:
    account = Account()
    settings = whole.cluster.settings
    began = datetime.now(UTC)
    with open_stores(whole.members.uri, settings.database) as stores:
        put_into_service(stores, began)
        add_targets(stores)
    whole.cluster.airflow.unpause(TICK)
    line = SendingLine([whole.client(api) for api in whole.addresses], world.seed)
    line.start()
    wait_for(lambda: _ticks(whole), "the first tick")
    death = kill_in_mid_tick(whole)
    account.counts["death of a worker"] = death
    late = [death] if death["done"] > GOAL_S else []
    account.expect_none("shards of a dead worker that took too long", late)
    say(f"a worker died: {death}")
    parts = all_parts(world, whole)
    storm = ClusterStorm(parts, world.seed, longest_freeze_s=0.0, pause_s=PAUSE_S)
    since = time.time()
    try:
        storm.rage(
            minutes * 60,
            lambda left: say(f"storm: {left:.0f} s left, {len(line.sent)} readings sent"),
        )
        whole.members.await_all()
        with open_stores(whole.members.uri, settings.database) as stores:
            sent = stores.database["notifications"].find({"status": "sent"})
            sent_before = {notification.key for notification in _read(sent)}
            recovered_at = time.time()
            say("recovering")
            _recover(account, storm, stores, line)
            ticks = _ticks(whole)
            with open_stores(whole.members.uri, CALM, prepare=True) as undisturbed:
                expected = calm_episodes(undisturbed, began, line)
                compare(account, world, line, stores, expected, began)
    finally:
        for part in parts:
            part.stop()
    accepted = [note for note in world.notes("hook") if note["what"] == "accepted"]
    check_after_recovery(account, accepted, sent_before, recovered_at)
    _check_ticks(account, world, [tick for tick in ticks if tick.due > since - 60])
    account.counts["requests answered by each API"] = line.answered
    account.counts["kills"] = {part.name: dict(part.counts) for part in parts}
    account.expect_none(
        "processes that ended by themselves",
        [part.name for part in parts if part.counts["ended by itself"]],
    )
    return {
        "minutes": minutes,
        "seed": world.seed,
        "load_average": round(os.getloadavg()[0], 1),
        "counts": account.counts,
        "wrong": account.wrong,
    }


def _recover(account: Account, storm: Storm, stores: Any, line: SendingLine) -> None:
    line.end()
    steps = (
        ("the line that ends", lambda: line.is_over, PATIENCE_S),
        ("evaluation and delivery", lambda: is_done(stores, line), PATIENCE_S),
        (
            "arrivals of killed APIs, routed",
            lambda: is_routed(stores),
            _WRITER_GIVEN_UP.total_seconds() + PATIENCE_S,
        ),
        ("evaluation and delivery after these", lambda: is_done(stores, line), PATIENCE_S),
    )
    for what, done, patience in steps:
        late = [] if storm.calm(done, patience) else [undone(stores)]
        account.expect_none(f"not done in time: {what}", late)


def _ticks(whole: Whole) -> list[Tick]:
    """Return the scheduled ticks that ended."""
    query = {"limit": 1000, "run_type": "scheduled"}
    answer = whole.cluster.airflow.http.get(f"/dags/{TICK}/dagRuns", params=query)
    runs = answer.raise_for_status().json()["dag_runs"]
    return [
        Tick(*(datetime.fromisoformat(run[name]).timestamp() for name in ("run_after", "end_date")))
        for run in runs
        if run["end_date"]
    ]


def _check_ticks(account: Account, world: World, ticks: Sequence[Tick]) -> None:
    notes = world.notes("storm")
    away = outages(notes, (DATABASE, BROKER))
    account.counts |= {
        "ticks": len(ticks),
        "outages of database and broker (s)": [round(end - start, 1) for start, end in away],
        "from due to done (s)": sorted(round(tick.ended - tick.due, 1) for tick in ticks),
    }
    account.expect_none("ticks more than a minute late", late_ticks(ticks, away))
    account.expect_none("minutes without a tick", left_out(ticks, away))


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 20.0)
