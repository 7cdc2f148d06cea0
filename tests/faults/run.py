"""The fault test: a simulated plant whose platform is killed and frozen every few seconds, against
an undisturbed run.

`make faults MINUTES=30`, or `python -m tests.faults.run --minutes 30 --seed 1 --out faults.json`.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoClock, MongoStores, open_stores
from alerting.episodes.episode import Episode
from alerting.notifications.notification import WAITING, Notification
from alerting.operators.actions_and_mutes import Mute
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.faults.account import (
    Account,
    Recovered,
    compare,
    notifications_of,
    recovered_now,
    report,
)
from tests.faults.command import Say, run_as_command
from tests.faults.parts import plant_parts
from tests.faults.plant import (
    CHANNELS,
    CROWD,
    EVERY_S,
    LEASE_S,
    MUTED,
    START,
    acknowledged_until,
    put_into_service,
    rows,
)
from tests.faults.storm import OUTAGE_MINUTES, Storm
from tests.faults.world import CALM, STORMY, World
from tests.in_memory_platform import HandClock, Mailbox, platform_on

SPEED = 6.0
LONGEST_FREEZE_S = 14.0
SETTLE_S = 2.0
AFTERWARDS_S = 8.0
PATIENCE_S = 400.0
SENDERS = ("notifier-1", "notifier-2")
TICK = timedelta(seconds=30)
"""Step of the undisturbed run."""


def run(
    folder: Path,
    minutes: float,
    seed: int,
    say: Say,
    speed: float = SPEED,
    longest_freeze_s: float = LONGEST_FREEZE_S,
) -> dict[str, Any]:
    """Storm for so many minutes of the wall, recover, compare. Returns the report; `wrong` in it is
    empty if all is well."""
    world = World.create(folder, seed, speed)
    with EmbeddedMongod(world.path("mongod"), world.mongod_port):
        for name in (CALM, STORMY):
            with open_stores(world.uri, name, prepare=True) as stores:
                put_into_service(stores)
                # the plant will move it
                MongoClock(stores.database).start(START, speed=0, lease=timedelta(0))
    parts = plant_parts(world)
    outage_s = OUTAGE_MINUTES * 60 / speed
    has_outage = minutes * 60 >= 3 * outage_s
    storm = Storm(parts, seed, longest_freeze_s, outage_s if has_outage else 0.0)
    account = Account()
    try:
        for part in parts:
            part.start()
        storm.rage(minutes * 60, lambda left: say(f"storm: {left:.0f} s left"))
        recovered = _recover(account, world, storm, say)
    finally:
        for part in reversed(parts):
            part.stop()
    # without these situations the test proves nothing
    wanted = ["told in summaries of floods", *(["digests delivered"] if has_outage else [])]
    account.expect_none("situations not reached", [w for w in wanted if not account.counts[w]])
    return report(account, world, parts, minutes, recovered)


def _recover(account: Account, world: World, storm: Storm, say: Say) -> Recovered:
    _, plant, *others = storm.parts
    with open_stores(world.uri, STORMY) as stores:
        time.sleep(SETTLE_S)
        recovered = recovered_now(stores)
        now = MongoClock(stores.database).now()
        end = START + timedelta(seconds=((now - START).total_seconds() // EVERY_S + 12) * EVERY_S)
        world.replace_text("end.txt", end.isoformat())
        say(f"the storm is over at {now:%H:%M:%S} of the plant; it goes on until {end:%H:%M:%S}")

        def is_told() -> bool:
            return not notifications_of(stores, *WAITING)

        is_done = storm.calm(lambda: _is_judged(world, end) and is_told(), PATIENCE_S)
        plant.stop()  # its clock stands a few seconds later, and nothing new falls due
        stood_at = time.time() + LEASE_S
        is_delivered = storm.calm(lambda: _has_looked(world, stood_at) and is_told(), PATIENCE_S)
        late = [what for what, done in (("all", is_done), ("delivery", is_delivered)) if not done]
        account.expect_none(f"not done within {PATIENCE_S:g} s of calm", late)
        restarted_at = time.time()
        for part in others:
            part.stop()
            part.start()
        time.sleep(AFTERWARDS_S)
        for part in others:
            part.stop()
        with open_stores(world.uri, CALM) as calm:
            _run_calmly(world, calm, end)
            acknowledged = rows(world.seed, START - TICK, acknowledged_until(world))
            sent = {(row.asset, row.ts): row.values for row in acknowledged}
            expected = list(calm.episodes.find())
            compare(account, world, stores, sent, expected, START - TICK, MUTED)
            _compare_held_back(account, world, stores)
    account.expect_none(
        "received after a restart with nothing to tell",
        [note for note in world.accepted if note["t"] > restarted_at],
    )
    return recovered


def _run_calmly(world: World, stores: MongoStores, end: datetime) -> None:
    """Evaluate and deliver the same plant tick after tick in one process, in which nothing ever
    dies."""
    clock = HandClock(START)
    platform = platform_on(stores, [Mailbox(name) for name in CHANNELS], clock)
    add_readings(platform, rows(world.seed, START - TICK, end), START)
    while clock.instant < end:
        clock.instant = min(clock.instant + TICK, end)
        evaluate(platform, None, clock.instant)
        deliver_due(platform, clock.instant)


def _compare_held_back(account: Account, world: World, stores: MongoStores) -> None:
    mutes = [one for one in stores.mutes.overlapping(None, world.end) if one.is_target]
    notifications = notifications_of(stores)
    sent = [n for n in notifications if n.status == "sent"]
    grouped = [n for n in notifications if n.status == "grouped"]
    account.counts |= {
        "recorded as sent": len(sent),
        "digests delivered": sum(n.key.startswith("digest:") for n in sent),
        "told in summaries of floods": sum(n.channel == CROWD for n in grouped),
        "mutes that ended": sum(one.ended_at is not None for one in mutes),
    }
    by_id = {e.id: e for e in stores.episodes.find()}
    rounds = [n["t"] for n in world.notes(*SENDERS) if n["what"] == "round"]
    gap = max((b - a for a, b in pairwise(rounds)), default=0.0)
    longest = timedelta(seconds=2 * world.speed * gap + 60)
    account.expect_none("told while muted", told_while_muted(by_id, notifications, mutes))
    account.expect_none(
        "open after a mute and not told",
        untold_after_mutes(by_id, notifications, mutes, longest),
    )
    over = [one for one in mutes if one.until is not None and one.until <= world.end]
    account.expect_none("mutes that did not end", [one.id for one in over if one.ended_at is None])


def told_while_muted(
    episodes: Mapping[str, Episode], notices: Iterable[Notification], mutes: Iterable[Mute]
) -> list[str]:
    """Keys of what was made known of a muted pair while it was muted."""
    ends = {(s.definition, s.asset): s.until for s in mutes}
    sent = ((episodes[n.episode], n) for n in notices if n.episode and n.status == "sent")
    return [
        n.key
        for e, n in sent
        if (until := ends.get((e.definition, e.asset))) and n.created_at < until
    ]


def untold_after_mutes(
    episodes: Mapping[str, Episode],
    notices: Iterable[Notification],
    mutes: Iterable[Mute],
    longest_gap: timedelta,
) -> list[str]:
    """Episodes without a notification that lasted long enough after the end of their mute for
    one."""
    ends = {(s.definition, s.asset): s.ended_at for s in mutes}
    told = {n.episode for n in notices if n.status == "sent"}
    return [
        e.id
        for e in episodes.values()
        if (end := ends.get((e.definition, e.asset))) is not None
        and e.raised_at < end
        and (e.closed_at is None or e.closed_at - end > longest_gap)
        and e.id not in told
    ]


def _is_judged(world: World, end: datetime) -> bool:
    rounds = (n for n in world.notes("evaluator-1", "evaluator-2") if n["what"] == "round")
    return sum(n["as_of"] == end.isoformat() for n in rounds) >= 2


def _has_looked(world: World, since: float) -> bool:
    """Return whether a whole round of notifications was made after an instant."""
    rounds = [n for n in world.notes(*SENDERS) if n["what"] == "round" and n["t"] > since]
    return len(rounds) >= 3


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 30.0)
