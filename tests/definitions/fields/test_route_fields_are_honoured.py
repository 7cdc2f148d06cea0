"""Every field of a route changes whom somebody tells, or when: a field that nothing reads fails
here."""

from dataclasses import replace
from datetime import timedelta

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.definitions.routes_and_sinks import Route
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at, oven, too_hot
from tests.helpers.fields import leaves, once_per_change
from tests.in_memory_platform import Mailbox, in_memory_platform

PLAIN = {"name": "r", "channels": ["mail"]}
NIGHT = {"from": "00:00", "to": "01:00"}


@once_per_change
def told(**changes):
    """Return the deliveries of three hours with six alerts of one oven, one of another, and no
    answer."""
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    links = SignedLinks(b"k" * 40, "http://plant.example", timedelta(hours=1), lambda: at(0))
    platform = replace(in_memory_platform(mail, pager), links=links)
    mill = oven().model_copy(update={"name": "mill-1"})
    platform.assets.store_assets([oven(), mill])
    names = [f"too-hot-{i}" for i in range(6)]
    definitions = [
        too_hot(name=n, stale_after="1d", severity="high", tags=["line-3"]) for n in names
    ]
    definitions += [too_hot(name="mill-hot", assets=["mill-1"], stale_after="1d")]
    apply(platform, definitions, "engineer", at(0), "test")
    document = {**PLAIN, **changes}
    named = [
        *document["channels"],
        *(c for s in document.get("escalation", ()) for c in s["channels"]),
    ]
    known = {**platform.channels, **dict.fromkeys(named)}
    ROUTES.apply(replace(platform, channels=known), [document], "engineer", at(0))
    add_readings(
        platform,
        [ReadingRow(a, at(5), {"temperature": 230.0}) for a in ("oven-1", "mill-1")],
        at(5),
    )
    platform.clock.instant = at(5)
    evaluate(platform, None, at(5))  # all alerts are raised here; from here on time alone passes
    platform.platform_alerts.report("definition faulty", "too-cold", "no limit", at(5))
    heard = []
    for minute in range(5, 180, 5):
        platform.clock.instant = at(minute)
        deliver_due(platform, at(minute))
        for box in (mail, pager):
            heard += [
                (minute, box.name, m.key, m.subject, *(link.label for link in m.links))
                for m in box.messages
            ]
            box.messages.clear()
    return heard


FIELDS = {
    "match.severity": ({}, {"match": {"severity": ["high"]}}),
    "match.assets": ({}, {"match": {"assets": ["oven-*"]}}),
    "match.definitions": ({}, {"match": {"definitions": ["mill-*"]}}),
    "match.tags": ({}, {"match": {"tags": ["line-3"]}}),
    "channels": ({}, {"channels": ["pager"]}),
    "timezone": ({"quiet": [NIGHT]}, {"quiet": [NIGHT], "timezone": "Asia/Kathmandu"}),
    "shifts.days": ({"shifts": [NIGHT]}, {"shifts": [{**NIGHT, "days": ["tue"]}]}),
    "shifts.from": ({"shifts": [NIGHT]}, {"shifts": [{**NIGHT, "from": "00:30"}]}),
    "shifts.to": ({"shifts": [NIGHT]}, {"shifts": [{**NIGHT, "to": "00:05"}]}),
    "quiet.days": ({"quiet": [NIGHT]}, {"quiet": [{**NIGHT, "days": ["tue"]}]}),
    "quiet.from": ({"quiet": [NIGHT]}, {"quiet": [{**NIGHT, "from": "00:30"}]}),
    "quiet.to": ({"quiet": [NIGHT]}, {"quiet": [{**NIGHT, "to": "02:00"}]}),
    "repeat": ({}, {"repeat": "1h"}),
    "escalation.after": (
        {"escalation": [{"after": "1h", "channels": ["pager"]}]},
        {"escalation": [{"after": "15m", "channels": ["pager"]}]},
    ),
    "escalation.channels": (
        {"escalation": [{"after": "1h", "channels": ["pager"]}]},
        {"escalation": [{"after": "1h", "channels": ["log-book"]}]},
    ),
    "flood.more_than": ({"flood": {"more_than": 2}}, {"flood": {"more_than": 3}}),
    "flood.within": ({"flood": {"more_than": 2}}, {"flood": {"more_than": 2, "within": "30m"}}),
    "heartbeat": ({}, {"heartbeat": "1h"}),
    "language": ({}, {"language": "de"}),
    "acknowledge_by_link": ({}, {"acknowledge_by_link": True}),
    "platform": ({}, {"platform": True}),
}


def test_each_field_of_a_route_changes_whom_it_tells_or_when():
    assert [field for field, (one, other) in FIELDS.items() if told(**one) == told(**other)] == []
    assert sorted(leaves(Route)) == sorted({*FIELDS, "name"})  # the name is what people call it
