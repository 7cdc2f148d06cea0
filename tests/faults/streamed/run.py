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

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.episodes.episode import Episode
from alerting.notifications.notification import WAITING
from alerting.ports import Platform, ReadingRow
from alerting.readings.history import to_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, current_plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import _WRITER_GIVEN_UP, add_readings
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sources.status import SOURCES as KIND
from tests.faults.account import (
    Account,
    Recovered,
    compare,
    notifications_of,
    recovered_now,
    report,
)
from tests.faults.command import Say, run_as_command
from tests.faults.lines import (
    DEFINITIONS,
    SOURCES,
    Line,
    Lines,
    all_lines,
    instant_of_now,
    plain_assets,
)
from tests.faults.parts import Api, Broker, Database, Part, stream_parts
from tests.faults.storm import Storm, StreamStorm
from tests.faults.streamed.models import (
    AHEAD,
    Promotion,
    compare_scores,
    copy_champions,
    put_models_into_service,
    train_champions,
)
from tests.faults.world import CALM, STORMY, World, with_cache
from tests.in_memory_platform import HandClock, platform_on

LONGEST_FREEZE_S = 20.0
PATIENCE_S = 240.0
CALM_UNTIL = timedelta(minutes=4)
"""How far the undisturbed run evaluates beyond the last reading: further than any latency."""
ROUTE = {"name": "line", "channels": ["mes"]}


def run(folder: Path, minutes: float, seed: int, say: Say) -> Mapping[str, Any]:
    """Storm for some minutes, recover, compare. Returns the report; `wrong` in it is empty if all
    is well."""
    world = World.create(folder, seed)
    account = Account()
    broker = Broker(world)
    parts: list[Part] = [Database(world), broker]
    try:
        for part in parts:
            part.start()
        broker.await_start()
        with open_stores(world.uri, STORMY, prepare=True) as stores:
            now = datetime.now(UTC)
            began = now - timedelta(microseconds=now.microsecond)
            platform = _put_lines_into_service(stores, world, began)
            promotion = Promotion(world, train_champions(platform, began))
        parts += stream_parts(world, broker)
        for part in parts[2:]:
            part.start()
        [api] = (part for part in parts if isinstance(part, Api))
        lines = all_lines(broker.address, api.client, world.seed)
        storm = StreamStorm(parts, seed, LONGEST_FREEZE_S)
        recovered = _storm(account, world, storm, lines, minutes, promotion, began, say)
        for part in parts[2:]:
            part.stop()
        with (
            open_stores(world.uri, STORMY) as stormy,
            open_stores(world.uri, CALM, prepare=True) as undisturbed,
        ):
            platform = _put_lines_into_service(undisturbed, world, began)
            copy_champions(stormy, undisturbed)
            expected = calm_episodes(platform, began, lines)
            compare(account, world, stormy, lines.sent, expected, began)
            compare_scores(account, stormy, undisturbed, began, lines)
    finally:
        for part in reversed(parts):
            part.stop()
    return report(account, world, parts, minutes, recovered)


def _put_lines_into_service(stores: MongoStores, world: World, began: datetime) -> Platform:
    platform = with_cache(put_into_service(stores, began, *SOURCES), world)
    put_models_into_service(platform, began)
    return platform


def _storm(
    account: Account,
    world: World,
    storm: StreamStorm,
    lines: Lines,
    minutes: float,
    promotion: Promotion,
    began: datetime,
    say: Say,
) -> Recovered:
    """Send, storm, promote in the middle, and recover."""
    lines.start()

    def look(left: float) -> None:
        say(f"storm: {left:.0f} s left")
        if left < minutes * 30 + AHEAD.total_seconds():
            promotion.begin(instant_of_now())

    storm.rage(minutes * 60, look)
    account.counts["times without all services or rounds"] = dict(storm.turns)
    with open_stores(world.uri, STORMY) as stores:
        recovered = recovered_now(stores)
        recover(account, storm, stores, lines, began, say)
    promotion.check(account)
    account.counts["sent again in doubt"] = lines.repeated
    rounds = [note for note in world.notes("scheduler") if note["what"] == "round"]
    account.counts["rounds begun before a kill"] = sum(note["is_again"] for note in rounds)
    return recovered


def recover(
    account: Account,
    storm: Storm,
    stores: MongoStores,
    line: Line | Lines,
    since: datetime,
    say: Say,
) -> None:
    """End the line, and wait until everything is stored, evaluated and notified."""
    line.end()
    readings = stores.database["readings"]
    given_up_s = _WRITER_GIVEN_UP.total_seconds()
    steps = (
        ("the line that ends", lambda: line.is_over, 0),
        (
            "readings stored",
            lambda: readings.count_documents({"ts": {"$gt": since}}) >= len(line.sent),
            0,
        ),
        ("evaluation and delivery", lambda: is_done(stores, line), 0),
        ("arrivals of killed writers, routed", lambda: is_routed(stores), given_up_s),
        ("evaluation and delivery after these", lambda: is_done(stores, line), 0),
    )
    for what, done, longer_s in steps:
        say(f"recovering: {what}")
        late = [] if storm.calm(done, PATIENCE_S + longer_s) else [undone(stores)]
        account.expect_none(f"not done in time: {what}", late)


def put_into_service(stores: MongoStores, now: datetime, *sources: Mapping[str, Any]) -> Platform:
    """Put assets, definitions, the route and sources into service."""
    platform = platform_on(stores, [type("Named", (), {"name": "mes"})()], HandClock(now))
    platform.assets.store_assets(plain_assets(sources[0]["name"] if sources else None))
    KIND.apply(platform, sources, "engineer", now)
    apply(platform, DEFINITIONS, "engineer", now, "fault test")
    ROUTES.apply(platform, [ROUTE], "engineer", now)
    return platform


def is_done(stores: MongoStores, line: Line | Lines) -> bool:
    """Return whether all is evaluated and notified, except for arrivals whose writers were
    killed."""
    last = max(ts for _, ts in line.sent)
    evaluated = stores.arrivals.evaluated_until()
    is_open = any(episode.closed_at is None for episode in stores.episodes.find())
    if notifications_of(stores, *WAITING) or is_open or not (evaluated and evaluated > last):
        return False
    targets = current_plan(platform_on(stores, (), HandClock(last))).targets
    states = stores.states.load_many([target.key for target in targets])
    return bool((states.watermark > to_millis(last)).all())


def is_routed(stores: MongoStores) -> bool:
    """Return whether no arrival waits: that of a killed writer counts as complete after ten
    minutes, as it may only be slow."""
    late = stores.arrivals.unfinished()
    return not (late.arrivals or late.has_requests)


def undone(stores: MongoStores) -> str:
    is_open = [episode.id for episode in stores.episodes.find() if episode.closed_at is None]
    return (
        f"evaluated until {stores.arrivals.evaluated_until()}, open: {is_open[:3]}, "
        f"{len(notifications_of(stores, *WAITING))} notifications wait, "
        f"{str(stores.arrivals.unfinished())[:300]}"
    )


def calm_episodes(platform: Platform, began: datetime, line: Line | Lines) -> list[Episode]:
    """Return the episodes of one evaluation of all readings that were sent; it stores scores."""
    rows = [ReadingRow(asset, ts, dict(values)) for (asset, ts), values in line.sent.items()]
    add_readings(platform, rows, began)
    evaluate(platform, None, max(row.ts for row in rows) + CALM_UNTIL)
    return list(platform.episodes.find())


if __name__ == "__main__":
    run_as_command(__doc__ or "", run, 15.0)
