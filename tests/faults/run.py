"""The fault test: a simulated plant whose platform is killed and frozen every few seconds, against
an undisturbed run.

`make faults MINUTES=30`, or `python -m tests.faults.run --minutes 30 --seed 1 --out faults.json`.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.episodes.notifications import _read
from alerting.adapters.mongo.indexes import SCHEMA
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.notifications.notification import WAITING, Notification
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from tests.faults.account import (
    Account,
    check_after_recovery,
    compare_episodes,
    compare_notifications,
    compare_readings,
)
from tests.faults.command import Say, run_as_command
from tests.faults.held_back import (
    CROWD,
    SHELVED,
    not_ended,
    told_on_shelves,
    untold_after_shelves,
    untold_in_floods,
)
from tests.faults.parts import Part, all_parts
from tests.faults.plant import EVERY_S, LEASE_S, MODEL, START, acknowledged_until, found, rows
from tests.faults.storm import OUTAGE_MINUTES, Storm
from tests.faults.world import CALM, STORMY, World, with_cache
from tests.in_memory_platform import HandClock, Mailbox, platform_on
from tests.support import free_port

SPEED = 6.0
LONGEST_FREEZE_S = 14.0
SETTLE_S = 2.0
AFTERWARDS_S = 8.0
PATIENCE_S = 400.0
RECEIVERS = ("mail", "hook")
SENDERS = ("notifier-1", "notifier-2")
CHANNELS = ("shift", "mes", "chief", CROWD)
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
    world = World(str(folder), seed, speed, free_port(), free_port(), free_port())
    world.save()
    begun = time.time()
    with EmbeddedMongod(world.path("mongod"), world.mongod_port):
        _found_twice(world)
    say(f"plant founded and its model trained after {time.time() - begun:.0f} s; data in {folder}")
    parts = all_parts(world)
    outage_s = OUTAGE_MINUTES * 60 / speed
    has_outage = minutes * 60 >= 3 * outage_s
    storm = Storm(parts, seed, longest_freeze_s, outage_s if has_outage else 0.0)
    try:
        for part in parts:
            part.start()
        storm.rage(minutes * 60, lambda left: say(f"storm: {left:.0f} s left"))
        account = _recover(world, storm, say)
    finally:
        for part in reversed(parts):
            part.stop()
    return _report(world, parts, account, minutes, has_outage)


def _found_twice(world: World) -> None:
    """One founding, copied: both runs begin with the very same documents."""
    with (
        open_stores(world.uri, CALM, prepare=True) as calm,
        open_stores(world.uri, STORMY, prepare=True) as stormy,
    ):
        found(world, calm)
        for name in set(calm.database.list_collection_names()) - {SCHEMA}:
            if documents := list(calm.database[name].find()):
                stormy.database[name].delete_many({})  # as preparing left it
                stormy.database[name].insert_many(documents)
        # the plant will move it
        MongoClock(stormy.database).start(START, speed=0, lease=timedelta(0))


def _notifications(stores: MongoStores, *statuses: str) -> list[Notification]:
    """Return the notifications of these statuses, without any: all."""
    query = {"status": {"$in": statuses}} if statuses else {}
    return list(_read(stores.database["notifications"].find(query)))


def _recover(world: World, storm: Storm, say: Say) -> Account:
    account = Account()
    with open_stores(world.uri, STORMY) as stores:
        time.sleep(SETTLE_S)
        sent_before = {n.key for n in _notifications(stores, "sent")}
        # after that reading: what is first delivered meanwhile is not told again
        recovered_at = time.time()
        now = MongoClock(stores.database).now()
        end = START + timedelta(seconds=((now - START).total_seconds() // EVERY_S + 12) * EVERY_S)
        world.set_end(end)
        say(f"the storm is over at {now:%H:%M:%S} of the plant; it goes on until {end:%H:%M:%S}")
        is_done = storm.calm(
            lambda: _is_judged(world, end) and not _notifications(stores, *WAITING), PATIENCE_S
        )
        # the plant: its clock stands a few seconds later, and nothing new falls due
        storm.parts[1].stop()
        stood_at = time.time() + LEASE_S
        is_delivered = storm.calm(
            lambda: _has_looked(world, stood_at) and not _notifications(stores, *WAITING),
            PATIENCE_S,
        )
        late = [what for what, done in (("all", is_done), ("delivery", is_delivered)) if not done]
        account.expect_none(f"not done within {PATIENCE_S:g} s of calm", late)
        restarted_at = time.time()
        for part in storm.parts[2:]:
            part.stop()
            part.start()
        time.sleep(AFTERWARDS_S)
        for part in storm.parts[2:]:
            part.stop()
        with open_stores(world.uri, CALM) as calm:
            say(f"the undisturbed run delivered {_run_calmly(world, calm, end)} messages")
            _compare(account, world, stores, calm)
    notes = world.notes(*RECEIVERS)
    accepted = [n for n in notes if n["what"] == "accepted"]
    check_after_recovery(account, accepted, sent_before, recovered_at)
    account.expect_none(
        "received after a restart with nothing to tell",
        [n for n in accepted if n["t"] > restarted_at],
    )
    account.expect_none(
        "deliveries with a wrong signature", [n for n in notes if n["what"] == "forged"]
    )
    return account


def _run_calmly(world: World, stores: MongoStores, end: datetime) -> int:
    """Evaluate and deliver the same plant tick after tick in one process, in which nothing ever
    dies. Returns how many messages were delivered."""
    boxes = [Mailbox(name) for name in CHANNELS]
    clock = HandClock(START)
    platform = with_cache(platform_on(stores, boxes, clock), world)
    add_readings(platform, rows(world.seed, START - TICK, end), START)
    while clock.instant < end:
        clock.instant = min(clock.instant + TICK, end)
        evaluate(platform, None, clock.instant)
        deliver_due(platform, clock.instant)
    return sum(len(box.messages) for box in boxes)


def _compare(account: Account, world: World, stormy: MongoStores, calm: MongoStores) -> None:
    acknowledged = rows(world.seed, START - TICK, acknowledged_until(world))
    since = {"ts": {"$gte": START}}
    compare_readings(
        account,
        {(r.asset, r.ts): dict(r.values) for r in acknowledged},
        {(d["asset"], d["ts"]): d["v"] for d in stormy.database["readings"].find(since)},
    )
    episodes = list(stormy.episodes.find())
    notifications = _notifications(stormy)
    times = Counter(n["key"] for n in world.notes(*RECEIVERS) if n["what"] == "accepted")
    compare_episodes(account, episodes, list(calm.episodes.find()))
    in_view = [e for e in episodes if (e.definition, e.asset) not in SHELVED]
    compare_notifications(account, in_view, notifications, times)
    keys = {n.key for n in notifications}
    account.expect_none("received and in no outbox", sorted(times.keys() - keys))
    shelves = [shelf for pair in SHELVED for shelf in stormy.shelves.for_target(*pair)]
    sent = [n for n in notifications if n.status == "sent"]
    account.counts |= {
        "recorded as sent": len(sent),
        "episodes of the model": sum(e.definition == MODEL for e in episodes),
        "digests delivered": sum(n.key.startswith("digest:") for n in sent),
        "told in summaries of floods": sum(
            n.status == "grouped" and n.channel == CROWD for n in notifications
        ),
        "shelves that ended": sum(s.ended_at is not None for s in shelves),
    }
    by_id = {e.id: e for e in episodes}
    rounds = [n["t"] for n in world.notes(*SENDERS) if n["what"] == "round"]
    gap = max((b - a for a, b in pairwise(rounds)), default=0.0)
    longest = timedelta(seconds=2 * world.speed * gap + 60)
    account.expect_none("held back in a flood and not told", untold_in_floods(notifications))
    account.expect_none("told while shelved", told_on_shelves(by_id, notifications, shelves))
    account.expect_none(
        "open after a shelf and not told",
        untold_after_shelves(by_id, notifications, shelves, longest),
    )
    account.expect_none("shelves that did not end", not_ended(shelves, world.end))


def _is_judged(world: World, end: datetime) -> bool:
    rounds = (n for n in world.notes("evaluator-1", "evaluator-2") if n["what"] == "round")
    return sum(n["as_of"] == end.isoformat() for n in rounds) >= 2


def _has_looked(world: World, since: float) -> bool:
    """Return whether a whole round of notifications was made after an instant."""
    rounds = [n for n in world.notes(*SENDERS) if n["what"] == "round" and n["t"] > since]
    return len(rounds) >= 3


def _report(
    world: World, parts: Sequence[Part], account: Account, minutes: float, has_outage: bool
) -> dict[str, Any]:
    account.expect_none(
        "processes that ended by themselves",
        [p.name for p in parts if p.counts["ended by itself"]],
    )
    # without these situations the test proves nothing
    wanted = ["told in summaries of floods", "episodes of the model"]
    wanted += ["digests delivered"] if has_outage else []
    account.expect_none("situations not reached", [w for w in wanted if not account.counts[w]])
    return {
        "minutes": minutes,
        "seed": world.seed,
        "speed": world.speed,
        "kills": {p.name: p.counts["kill"] for p in parts},
        "freezes": {p.name: p.counts["freeze"] for p in parts},
        **account.counts,
        "wrong": account.wrong,
    }


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 30.0)
