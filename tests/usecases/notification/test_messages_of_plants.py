"""Messages of a plant are written in its language and time zone, and its flood is its own."""

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

PLANTS = {
    "north": {"time_zone": "Asia/Tokyo", "language": "de"},  # nine hours ahead of UTC
    "south": {"time_zone": "America/New_York", "language": "fr"},
}


def line(box, **route):
    """A platform of two plants, each with an oven, whose alarms go to one mailbox."""
    platform = in_memory_platform(box)
    platform.assets.store_assets(
        [
            *(Asset(name=name, plant=settings) for name, settings in PLANTS.items()),
            *(
                Asset(
                    name=f"{name}-oven",
                    parent=name,
                    variables={"temperature": Variable(type="number")},
                )
                for name in PLANTS
            ),
        ]
    )
    documents = [too_hot(name=f"hot-{i}", assets=["*-oven"], above=200 + i) for i in range(6)]
    apply(platform, documents, "engineer", at(0), "test")
    apply_routes(platform, [{"name": "all", "channels": ["mail"], **route}], "engineer", at(0))
    return platform


def raise_alarms(platform, instant, **temperatures):
    """Deliver a reading of each oven, evaluate and deliver what is due."""
    rows = [
        ReadingRow(f"{plant}-oven", at(instant - 1), {"temperature": value})
        for plant, value in temperatures.items()
    ]
    add_readings(platform, rows, at(instant - 1))
    platform.clock.instant = at(instant)
    evaluate(platform, None, at(instant))
    deliver_due(platform, at(instant))


def test_each_mail_has_the_language_and_the_clock_of_its_plant():
    box = Mailbox("mail")
    platform = line(box)
    raise_alarms(platform, 61, north=200.5, south=200.5)
    by_asset = {one.payload["asset"]: f"{one.subject}\n{one.text}" for one in box.messages}
    assert "10:00" in by_asset["north-oven"]  # 01:00 UTC
    assert "20:00" in by_asset["south-oven"]
    assert "Seit" in by_asset["north-oven"]
    assert "epuis" in by_asset["south-oven"]


def test_the_language_of_a_route_comes_first():
    box = Mailbox("mail")
    platform = line(box, language="en")
    raise_alarms(platform, 61, north=200.5)
    (mail,) = box.messages
    assert "Since" in mail.text
    assert "10:00" in mail.text


def test_a_flood_in_one_plant_leaves_the_notifications_of_the_other_alone():
    box = Mailbox("mail")
    platform = line(box, flood={"more_than": 2, "within": "10m"})
    raise_alarms(platform, 2, north=230.0, south=200.5)
    subjects = [one.payload.get("asset") for one in box.messages]
    assert subjects.count("south-oven") == 1
    assert subjects.count("north-oven") == 2  # the others wait for one message
    raise_alarms(platform, 4, north=230.0, south=201.5)
    assert [one.payload.get("asset") for one in box.messages].count("south-oven") == 2
    raise_alarms(platform, 14, north=230.0, south=201.5)
    summary = box.messages[-1]
    assert (summary.payload["asset"], summary.payload["plant"]) == ("north-oven", "north")
    assert "weitere" in summary.subject
    assert "09:0" in summary.text


@pytest.mark.parametrize("plants", [True, False])
def test_what_came_and_went_is_one_digest_for_each_plant(plants):
    """With one plant, or none, it is one message, as before."""
    box = Mailbox("mail")
    platform = line(box)
    if not plants:
        platform.assets.store_assets([Asset(name=name) for name in PLANTS])
    for instant, temperature in ((1, 200.5), (3, 100.0)):
        rows = [
            ReadingRow(f"{plant}-oven", at(instant), {"temperature": temperature})
            for plant in PLANTS
        ]
        add_readings(platform, rows, at(39))
    for instant in (40, 120):
        platform.clock.instant = at(instant)
        evaluate(platform, None, at(instant))
        deliver_due(platform, at(instant))
    found = [one.payload.get("plant") for one in box.messages]
    assert sorted(found, key=str) == (["north", "south"] if plants else [None])
