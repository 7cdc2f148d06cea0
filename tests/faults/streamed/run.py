"""The fault test of streams: broker, two stream services, API, database and the ticks of the
scheduler are killed and frozen under load, and by turns no service or no tick works.

Lines have thresholds, classifiers, a control chart and an anomaly definition; in the middle the
champions of the classifiers are replaced. Afterwards every reading that the broker or the API has
confirmed is stored, and no other; episodes and scores are those of one evaluation of all of them;
every live episode was notified, and every notification was received, none again once everything
had recovered.

`make faults OF=streams MINUTES=15`, or `python -m tests.faults.streamed.run --minutes 15 --seed 1
--out faults.json`.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from alerting.adapters.mongo.episodes.notifications import _read
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.adapters.platform import Platform
from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import Episode
from alerting.notifications.notification import WAITING
from alerting.readings.instants import to_millis
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.ingestion.lateness import _WRITER_GIVEN_UP
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.sources.documents import apply_sources
from tests.faults.account import (
    Account,
    check_after_recovery,
    compare_episodes,
    compare_notifications,
    compare_readings,
)
from tests.faults.command import Say, run_as_command
from tests.faults.parts import Database, Part
from tests.faults.storm import Storm
from tests.faults.streamed.champions import (
    AHEAD,
    Promotion,
    copy_champions,
    put_models_into_service,
    train_champions,
)
from tests.faults.streamed.humid import Lines, all_lines, steady_source
from tests.faults.streamed.line import (
    ASSETS,
    DEFINITIONS,
    Line,
    _name,
    documents,
    instant_of_now,
)
from tests.faults.streamed.parts import Api, Broker, StreamStorm, all_parts
from tests.faults.streamed.scores import compare_scores
from tests.faults.world import CALM, STORMY, World, with_cache
from tests.in_memory_platform import HandClock, platform_on
from tests.support import free_port

LONGEST_FREEZE_S = 20.0
PATIENCE_S = 240.0
CALM_UNTIL = timedelta(minutes=4)
"""How far the undisturbed run evaluates beyond the last reading: further than any latency."""
ROUTE = {"name": "line", "channels": ["mes"]}


def run(folder: Path, minutes: float, seed: int, say: Say) -> Mapping[str, Any]:
    """Storm for some minutes, recover, compare. Returns the report; `wrong` in it is empty if all
    is well."""
    world = World(str(folder), seed, 1.0, free_port(), free_port(), free_port())
    world.save()
    broker = Broker(world)
    database = Database(world)
    account = Account()
    parts: list[Part] = [database, broker]
    try:
        database.start()
        parts = all_parts(world, database, broker)
        broker.start()
        broker.await_start()
        with open_stores(world.uri, STORMY, prepare=True) as stores:
            began = datetime.now(UTC)
            began -= timedelta(microseconds=began.microsecond)
            platform = put_into_service(stores, began, documents(), steady_source())
            platform = with_cache(platform, world)
            put_models_into_service(platform, began)
            promotion = Promotion(world, train_champions(platform, began))
        line, recovered = _storm(account, world, parts, broker, minutes, promotion, began, say)
        for part in parts[2:]:
            part.stop()
        with (
            open_stores(world.uri, STORMY) as stormy,
            open_stores(world.uri, CALM, prepare=True) as undisturbed,
        ):
            account.counts["kills and freezes"] = {part.name: dict(part.counts) for part in parts}
            promotion.check(account)
            expected = _calm_episodes_and_scores(stormy, undisturbed, world, began, line)
            compare(account, world, line, stormy, expected, began)
            compare_scores(account, stormy, undisturbed, began, line)
        accepted = [note for note in world.notes("hook") if note["what"] == "accepted"]
        check_after_recovery(account, accepted, recovered.sent_before, recovered.at)
    finally:
        for part in reversed(parts):
            part.stop()
    ended = sum(part.counts["ended by itself"] for part in parts)
    account.expect_none(
        "processes that ended by themselves",
        [part.name for part in parts if part.counts["ended by itself"]],
    )
    say(f"{line.count} readings, {ended} processes ended by themselves")
    return {"minutes": minutes, "seed": seed, "counts": account.counts, "wrong": account.wrong}


class Recovered(NamedTuple):
    """When everything ran again (s since 1970), and the keys of the notifications that were
    recorded as sent by then."""

    at: float
    sent_before: set[str]


def _storm(
    account: Account,
    world: World,
    parts: Sequence[Part],
    broker: Broker,
    minutes: float,
    promotion: Promotion,
    began: datetime,
    say: Say,
) -> tuple[Lines, Recovered]:
    """Start everything beside broker and database, storm, and recover; return the lines."""
    for part in parts[2:]:
        part.start()
    [api] = (part for part in parts if isinstance(part, Api))
    lines = all_lines(broker.address, api.client, world.seed)
    lines.start()
    storm = StreamStorm(parts, world.seed, LONGEST_FREEZE_S)

    def look(left: float) -> None:
        say(f"storm: {left:.0f} s left, {lines.count} readings sent")
        if left < minutes * 30 + AHEAD.total_seconds():
            promotion.begin(instant_of_now())

    storm.rage(minutes * 60, look)
    account.counts["times without all services or rounds"] = dict(storm.turns)
    with open_stores(world.uri, STORMY) as stores:
        sent = stores.database["notifications"].find({"status": "sent"})
        recovered = Recovered(time.time(), {notification.key for notification in _read(sent)})
        lines.end()
        _recover(account, storm, stores, lines, began, say)
    return lines, recovered


def _recover(
    account: Account, storm: Storm, stores: MongoStores, line: Lines, began: datetime, say: Say
) -> None:
    """Wait until everything is stored, evaluated and notified."""
    say("recovering")
    account.expect_none(
        "line that did not end",
        [] if storm.calm(lambda: line.is_over, PATIENCE_S) else ["the line"],
    )
    readings = stores.database["readings"]
    since = {"ts": {"$gt": began}}
    is_stored = storm.calm(lambda: readings.count_documents(since) >= len(line.sent), PATIENCE_S)
    account.expect_none(
        "readings that are not stored in time", [] if is_stored else [len(line.sent)]
    )
    calm = storm.calm(lambda: is_done(stores, line), PATIENCE_S)
    account.expect_none("work that is not done in time", [] if calm else [undone(stores)])
    say("waiting for arrival records of killed writers")
    calm = storm.calm(lambda: is_routed(stores), _WRITER_GIVEN_UP.total_seconds() + PATIENCE_S)
    account.expect_none("arrivals that are not routed in time", [] if calm else [undone(stores)])
    calm = storm.calm(lambda: is_done(stores, line), PATIENCE_S)
    account.expect_none(
        "work after these arrivals that is not done in time", [] if calm else [undone(stores)]
    )


def put_into_service(stores: MongoStores, now: datetime, *sources: Mapping[str, Any]) -> Platform:
    """Put assets, definitions, the route and sources into service."""
    platform = platform_on(stores, [type("Named", (), {"name": "mes"})()], HandClock(now))
    source = sources[0]["name"] if sources else None
    platform.assets.store_assets(
        [
            Asset(name=_name(i), variables={"temperature": Variable(source=source)})
            for i in range(ASSETS)
        ]
    )
    apply_sources(platform, sources, "engineer", now)
    apply(platform, DEFINITIONS, "engineer", now, "fault test")
    apply_routes(platform, [ROUTE], "engineer", now)
    return platform


def is_done(stores: MongoStores, line: Line | Lines) -> bool:
    """Return whether all is evaluated and notified, except for arrivals whose writers were
    killed."""
    last = max(ts for _, ts in line.sent)
    evaluated = stores.arrivals.evaluated_until()
    waiting = stores.database["notifications"].count_documents({"status": {"$in": list(WAITING)}})
    is_open = any(episode.closed_at is None for episode in stores.episodes.find())
    if waiting or is_open or not (evaluated and evaluated > last):
        return False
    platform = platform_on(stores, (), HandClock(last))
    targets = current_plan(platform).targets
    states = stores.states.load_many([target.key for target in targets])
    return bool((states.watermark > to_millis(last)).all())


def is_routed(stores: MongoStores) -> bool:
    """Return whether no arrival waits: that of a killed writer counts as complete after ten
    minutes, as it may only be slow."""
    late = stores.arrivals.unfinished()
    return not (late.arrivals or late.has_requests)


def undone(stores: MongoStores) -> str:
    waiting = stores.database["notifications"].count_documents({"status": {"$in": list(WAITING)}})
    is_open = [episode.id for episode in stores.episodes.find() if episode.closed_at is None]
    until = stores.arrivals.evaluated_until()
    late = stores.arrivals.unfinished()
    return (
        f"evaluated until {until}, {waiting} notifications wait, {len(is_open)} episodes are open, "
        f"{str(late)[:300]}"
    )


def calm_episodes(
    stores: MongoStores, began: datetime, line: Line, *sources: Mapping[str, Any]
) -> list[Episode]:
    """Return the episodes of one evaluation of all readings that were sent."""
    platform = put_into_service(stores, began, *sources)
    add_readings(platform, line.rows(), began)
    evaluate(platform, None, max(ts for _, ts in line.sent) + timedelta(minutes=1))
    return list(stores.episodes.find())


def _calm_episodes_and_scores(
    stormy: MongoStores, stores: MongoStores, world: World, began: datetime, line: Lines
) -> list[Episode]:
    """Return the episodes of one evaluation of all readings that were sent, with the champions of
    the storm; it stores the scores."""
    platform = put_into_service(stores, began, documents(), steady_source())
    platform = with_cache(platform, world)
    put_models_into_service(platform, began)
    copy_champions(stormy, stores)
    add_readings(platform, line.rows(), began)
    evaluate(platform, None, max(ts for _, ts in line.sent) + CALM_UNTIL)
    return list(stores.episodes.find())


def compare(
    account: Account,
    world: World,
    line: Line | Lines,
    stormy: MongoStores,
    calm: list[Episode],
    began: datetime,
) -> None:
    """Compare readings, episodes and notifications with what was sent, and the undisturbed run."""
    since = {"ts": {"$gt": began}}
    stored = {(d["asset"], d["ts"]): d["v"] for d in stormy.database["readings"].find(since)}
    compare_readings(account, line.sent, stored)
    account.counts["sent again in doubt"] = line.repeated
    account.expect_none("messages put aside", list(stormy.database["dead_messages"].find()))

    found = list(stormy.episodes.find())
    compare_episodes(account, found, calm)
    accepted = Counter(note["key"] for note in world.notes("hook") if note["what"] == "accepted")
    rounds = [note for note in world.notes("scheduler") if note["what"] == "round"]
    account.counts["scheduler rounds"] = len(rounds)
    account.counts["of these begun before a kill"] = sum(
        bool(note.get("is_again")) for note in rounds
    )
    compare_notifications(
        account, found, list(_read(stormy.database["notifications"].find())), accepted
    )


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 15.0)
