"""The fault test of a cluster: workers, APIs, stream services, scheduler, broker and the primary of
the database are killed under load, the primary also steps down.

Before it one worker is killed in the middle of a tick, which may cost 45 seconds.

Afterwards every reading that an API acknowledged is stored, and no other; episodes are those of
one evaluation of all of them; every live episode was notified, and every notification was received,
none again once everything had recovered.

`make faults OF=cluster MINUTES=20`, or `python -m tests.faults.clustered.run --minutes 20 --seed 1
--out faults.json`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.mongo import open_stores
from tests.cluster.death import GOAL_S, kill_in_mid_tick
from tests.cluster.walk import TICK, add_targets
from tests.cluster.whole import Whole, wait_for, whole_cluster
from tests.faults.account import Account, compare, recovered_now, report
from tests.faults.clustered.parts import ClusterStorm, all_parts
from tests.faults.command import Say, run_as_command
from tests.faults.lines import SendingLine
from tests.faults.parts import Program
from tests.faults.streamed.run import calm_episodes, put_into_service, recover
from tests.faults.world import CALM, World

PAUSE_S = (4.0, 16.0)


def run(folder: Path, minutes: float, seed: int, say: Say) -> Mapping[str, Any]:
    """Storm for some minutes, recover, and compare. Returns the report; `wrong` in it is empty if
    all is well."""
    world = World.create(folder / "world", seed)
    receiver = Program(world, "hook", "receivers")
    receiver.start()
    try:
        with whole_cluster(folder, **world.receivers) as whole:
            return _storm(world, whole, minutes, say)
    finally:
        receiver.stop()


def _storm(world: World, whole: Whole, minutes: float, say: Say) -> Mapping[str, Any]:
    account = Account()
    database = whole.cluster.settings.database
    began = datetime.now(UTC)
    with open_stores(whole.members.uri, database) as stores:
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
    parts = all_parts(world, whole)
    storm = ClusterStorm(parts, world.seed, longest_freeze_s=0.0, pause_s=PAUSE_S)
    before = _ticks(whole)
    try:
        storm.rage(minutes * 60, lambda left: say(f"storm: {left:.0f} s left"))
        whole.members.await_all()
        with (
            open_stores(whole.members.uri, database) as stores,
            open_stores(whole.members.uri, CALM, prepare=True) as undisturbed,
        ):
            recovered = recovered_now(stores)
            recover(account, storm, stores, line, began, say)
            ticks = _ticks(whole) - before
            expected = calm_episodes(put_into_service(undisturbed, began), began, line)
            compare(account, world, stores, line.sent, expected, began)
    finally:
        for part in parts:
            part.stop()
    account.counts |= {"ticks": ticks, "requests answered by each API": line.answered}
    account.expect_none("ticks: too few in a storm", [ticks] if ticks < minutes / 2 else [])
    return report(account, world, parts, minutes, recovered)


def _ticks(whole: Whole) -> int:
    """Return how many scheduled ticks succeeded."""
    query = {"limit": 1, "run_type": "scheduled", "state": "success"}
    answer = whole.cluster.airflow.http.get(f"/dags/{TICK}/dagRuns", params=query)
    return int(answer.raise_for_status().json()["total_entries"])


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 20.0)
