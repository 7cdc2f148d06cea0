"""A route for line 1 carries nothing of line 2: alarms, floods, digests, reminders, heartbeats."""

from alerting.definitions.asset_documents import Asset
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot
from tests.helpers.mutes import mute_target
from tests.helpers.ovens import ANN, run
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
    ROUTES.apply(platform, routes, "ann", at(0))
    documents = [
        too_hot(name=f"{name}-{n}", assets=[name], stale_after="10h", title=f"Hot {name}")
        for name in OVENS
        for n in range(4)
    ]
    documents.append(too_hot(name="of-both", assets=[*OVENS], stale_after="10h"))
    apply(platform, documents, "engineer", at(0), "test")
    return platform


def feed(platform, minute, value=230.0, ovens=OVENS):
    rows = [ReadingRow(name, at(minute), {"temperature": value}) for name in ovens]
    add_readings(platform, rows, at(minute))


def route(line, name, **rules):
    return {"name": name, "match": {"assets": [f"{line}*"]}, "channels": [name], **rules}


def all_of(platform, *boxes):
    return [message for box in boxes for message in platform.channels[box].messages]


def test_a_route_for_line_1_carries_nothing_of_line_2():
    """Both lines get hot, once while no process evaluates, with a mute on each."""
    platform = plant(route("line-1", "line-1", **RULES), route(SECOND, "line-2"))
    for minute, value in ((1, 230.0), (100, 200.0), (200, 230.0), (210, 200.0), (300, 230.0)):
        feed(platform, minute, value)
    run(platform, 1, 2, 20, 40, 110, 290, 295)
    for name in OVENS:
        mute_target(platform, f"{name}-0", name, ANN, at(300), at(420), f"test {name}")
    run(platform, 300, 330, 410, 420)
    found = all_of(platform, "line-1", "chief-1")
    kinds = {message.key.split(":")[0] for message in found}
    assert {"heartbeat", "flood", "digest"} <= kinds
    transitions = {message.payload.get("transition") for message in found}
    assert {"raised", "closed", "escalated", "repeated"} <= transitions
    assert [message for message in found if SECOND in str(message)] == []
    assert SECOND in str(all_of(platform, "line-2"))


NOT_NOW = route(SECOND, "line-2", shifts=[{"from": "12:00", "to": "13:00"}])
FIRST = route("line-1", "line-1")
UNROUTED = [
    ([FIRST], ("line-1", "other", "log"), {"other", "log"}),
    ([FIRST], ("line-1", "log"), {"line-1", "log"}),
    ([NOT_NOW, FIRST], ("line-1", "line-2", "log"), {"line-2", "log"}),
    ([], ("line-1", "line-2"), {"line-1", "line-2"}),
]


def test_an_alarm_without_a_route_is_not_lost_and_spares_the_channels_of_other_lines():
    notified = []
    for routes, boxes, _ in UNROUTED:
        platform = plant(*routes, boxes=boxes)
        feed(platform, 1, ovens=OVENS[1:])
        run(platform, 1)
        notified.append({name for name in boxes if platform.channels[name].messages})
    assert notified == [expected for *_, expected in UNROUTED]
