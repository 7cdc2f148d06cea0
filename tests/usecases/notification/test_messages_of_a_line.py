"""A route for line 1 carries nothing of line 2: alarms, floods, digests, reminders, heartbeats."""

import pytest

from alerting.definitions.assets import Asset
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.operators.operate import Actor
from alerting.usecases.operators.shelving import shelve
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

SECOND = "zweitelinie"
OVENS = ("line-1-oven", f"{SECOND}-oven")
RULES = {
    "escalation": [{"after": "15m", "channels": ["chief-1"]}],
    "repeat": "30m",
    "flood": {"more_than": 1, "within": "10m"},
    "heartbeat": "1h",
}


def plant(*routes, boxes=("line-1", "chief-1", "line-2")):
    platform = in_memory_platform(*map(Mailbox, boxes))
    platform.assets.store_assets([Asset(name=name) for name in ("line-1", SECOND)])
    platform.assets.store_assets([oven().model_copy(update={"name": name}) for name in OVENS])
    apply_routes(platform, routes, "ann", at(0))
    documents = [
        too_hot(name=f"{name}-{n}", assets=[name], stale_after="10h", title=f"Hot {name}")
        for name in OVENS
        for n in range(4)
    ]
    documents.append(too_hot(name="of-both", assets=[*OVENS], stale_after="10h"))
    apply(platform, documents, "engineer", at(0), "test")
    return platform


def live_a_day(platform):
    """Let both lines get hot, once while no process evaluates, with a shelf on each."""
    for minute, value in ((1, 230.0), (100, 200.0), (200, 230.0), (210, 200.0), (300, 230.0)):
        rows = [ReadingRow(name, at(minute), {"temperature": value}) for name in OVENS]
        add_readings(platform, rows, at(minute))
    for minute in (1, 2, 20, 40, 110, 290, 295, 300, 330, 410, 420):
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
        if minute == 300:
            for name in OVENS:
                act = Actor("ann", "operator")
                shelve(platform, f"{name}-0", name, act, at(300), at(420), f"test {name}")
        deliver_due(platform, at(minute))


def route(line, name, **rules):
    return {"name": name, "match": {"assets": [f"{line}*"]}, "channels": [name], **rules}


def all_of(platform, *boxes):
    return [message for box in boxes for message in platform.channels[box].messages]


def test_a_route_for_line_1_carries_nothing_of_line_2():
    platform = plant(route("line-1", "line-1", **RULES), route(SECOND, "line-2"))
    live_a_day(platform)
    found = all_of(platform, "line-1", "chief-1")
    kinds = {message.key.split(":")[0] for message in found}
    assert {"heartbeat", "flood", "digest"} <= kinds
    transitions = {message.payload.get("transition") for message in found}
    assert {"raised", "closed", "escalated", "repeated", "reminder"} <= transitions
    assert [message for message in found if SECOND in str(message)] == []
    assert SECOND in str(all_of(platform, "line-2"))


def test_a_heartbeat_counts_the_alarms_of_its_route_alone():
    alone = plant(route("line-1", "line-1", heartbeat="1h"))
    both = plant(route("line-1", "line-1", heartbeat="1h"), route("*", "line-2", heartbeat="1h"))
    add_readings(alone, [ReadingRow(OVENS[0], at(1), {"temperature": 230.0})], at(1))
    add_readings(both, [ReadingRow(o, at(1), {"temperature": 230.0}) for o in OVENS], at(1))
    for platform in (alone, both):
        platform.clock.instant = at(1)
        evaluate(platform, None, at(1))
        deliver_due(platform, at(1))
    [first], [second] = (
        [m.text for m in all_of(platform, "line-1") if m.key.startswith("heartbeat")]
        for platform in (alone, both)
    )
    assert first == second
    [of_all] = [m for m in all_of(both, "line-2") if m.key.startswith("heartbeat")]
    assert of_all.payload["open"] == 10


@pytest.mark.parametrize(
    ("routes", "boxes", "notified"),
    [
        ([route("line-1", "line-1")], ("line-1", "other", "log"), {"other", "log"}),
        ([route("line-1", "line-1")], ("line-1", "log"), {"line-1", "log"}),
        ([route(SECOND, "line-2", shifts=[{"from": "12:00", "to": "13:00"}]),
          route("line-1", "line-1")], ("line-1", "line-2", "log"), {"line-2", "log"}),
        ([], ("line-1", "line-2"), {"line-1", "line-2"}),
    ],
)  # fmt: skip
def test_an_alarm_without_a_route_is_not_lost_and_spares_the_channels_of_other_lines(
    routes, boxes, notified
):
    platform = plant(*routes, boxes=boxes)
    add_readings(platform, [ReadingRow(OVENS[1], at(1), {"temperature": 230.0})], at(1))
    platform.clock.instant = at(1)
    evaluate(platform, None, at(1))
    deliver_due(platform, at(1))
    assert {name for name in boxes if platform.channels[name].messages} == notified
