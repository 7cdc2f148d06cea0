"""Messages of a plant are written in its language and time zone, and its flood is its own."""

from dataclasses import replace

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes, recipients_now
from alerting.usecases.operators import operate, shelving
from tests.builders import at, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

PLANTS = {
    "north": {"time_zone": "Asia/Tokyo", "language": "de"},  # nine hours ahead of UTC
    "south": {"time_zone": "America/New_York", "language": "fr"},
}


def line(*boxes, **route):
    """A platform of two plants, each with an oven, whose alarms go to one mailbox."""
    platform = in_memory_platform(*boxes)
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


def test_an_interval_in_a_digest_is_one_of_the_language_with_its_duration():
    box = Mailbox("mail")
    platform = line(box)
    for instant, temperature in ((1, 200.5), (3, 100.0)):
        rows = [
            ReadingRow(f"{one}-oven", at(instant), {"temperature": temperature}) for one in PLANTS
        ]
        add_readings(platform, rows, at(39))
    for instant in (40, 120):
        platform.clock.instant = at(instant)
        evaluate(platform, None, at(instant))
        deliver_due(platform, at(instant))
    north = next(one for one in box.messages if one.payload["plant"] == "north")
    assert "09:01 bis 09:03 (2 min): Temperature" in north.text


def test_a_flood_lists_the_worst_of_too_many():
    box = Mailbox("mail")
    platform = line(box, flood={"more_than": 1, "within": "10m"}, language="en")
    mild = [
        too_hot(name=f"mild-{i}", assets=["*-oven"], above=200, severity="low") for i in range(25)
    ]
    apply(platform, mild, "engineer", at(0), "test")
    late = too_hot(name="late", assets=["*-oven"], above=205, severity="high")
    apply(platform, [late], "engineer", at(0), "test")
    raise_alarms(platform, 2, north=203.0)
    raise_alarms(platform, 4, north=230.0)
    raise_alarms(platform, 14, north=230.0)
    summary = box.messages[-1].text
    assert "HIGH: late" in summary
    assert summary.splitlines()[-1].startswith("and ")
    assert len(summary.splitlines()) == 22


@pytest.fixture
def boxes():
    return {name: Mailbox(name) for name in ("mail", "nord", "sud", "chief")}


def of_plant(name, box, **changes):
    """A route for one plant."""
    return {"name": name, "channels": [box], "match": {"plants": [name]}, **changes}


def heard(boxes):
    """Return of which assets each mailbox has got an alarm."""
    return {
        name: sorted({one.payload.get("asset") for one in box.messages})
        for name, box in boxes.items()
        if box.messages
    }


@pytest.fixture
def routed(boxes):
    """The platform of two plants, each with a route, an escalation and a heartbeat of its own."""
    platform = line(*boxes.values())
    platform.routes.remove("all")
    late = {"escalation": [{"after": "5m", "channels": ["chief"]}]}
    apply_routes(
        platform, [of_plant("north", "nord", **late), of_plant("south", "sud")], "ann", at(0)
    )
    return platform


def test_an_alert_reaches_the_route_of_its_plant_in_the_language_of_the_plant(routed, boxes):
    raise_alarms(routed, 61, north=200.5)
    assert heard(boxes) == {"nord": ["north-oven"]}
    (mail,) = boxes["nord"].messages
    assert "Seit" in mail.text
    raise_alarms(routed, 63, north=200.5, south=200.5)
    assert heard(boxes) == {"nord": ["north-oven"], "sud": ["south-oven"]}
    (mail,) = boxes["sud"].messages
    assert "epuis" in mail.text


def test_only_the_route_of_its_plant_escalates_an_alert(routed, boxes):
    raise_alarms(routed, 61, south=200.5)
    deliver_due(routed, at(75))
    assert heard(boxes) == {"sud": ["south-oven"]}
    raise_alarms(routed, 76, north=200.5, south=200.5)
    deliver_due(routed, at(90))
    assert heard(boxes)["chief"] == ["north-oven"]


def test_a_heartbeat_counts_the_open_alarms_of_its_plants(routed, boxes):
    beats = [
        of_plant(name, box, heartbeat="1h") for name, box in (("north", "nord"), ("south", "sud"))
    ]
    apply_routes(routed, beats, "ann", at(0))
    raise_alarms(routed, 61, north=205.5)
    for box in boxes.values():
        box.messages.clear()
    deliver_due(routed, at(125))
    assert boxes["nord"].messages[-1].payload["open"] == 6
    assert boxes["sud"].messages[-1].payload["open"] == 0


def test_what_is_open_after_a_shelf_goes_to_the_route_of_its_plant(routed, boxes):
    ann = operate.Actor("ann", "operator")
    raise_alarms(routed, 61, south=200.5)
    boxes["sud"].messages.clear()
    shelving.shelve(routed, "hot-0", "south-oven", ann, at(62), at(90), "cleaning")
    routed.clock.instant = at(100)
    deliver_due(routed, at(100))  # the shelf is over, and the alarm still open
    assert heard(boxes) == {"sud": ["south-oven"]}


def test_a_plant_that_is_gone_makes_its_route_fit_nothing_and_no_alert_is_lost(routed, boxes):
    routed.assets.store_assets([Asset(name="north")])
    raise_alarms(routed, 61, north=200.5, south=200.5)
    assert heard(boxes)["sud"] == ["south-oven"]
    assert "nord" not in heard(boxes)
    assert heard(boxes)["mail"] == ["north-oven"]


class CountingAssets:
    """Assets that count how often those of given names are read."""

    def __init__(self, assets):
        self._assets = assets
        self.read = []

    def find_matching(self, patterns):
        self.read.append([*patterns])
        return self._assets.find_matching(patterns)

    def __getattr__(self, name):
        return getattr(self._assets, name)


def test_assets_are_read_for_routes_only_if_one_names_a_plant(routed):
    counted = []
    for routes in (["north", "south"], []):
        for name in {"north", "south"} - {*routes}:
            routed.routes.remove(name)
        platform = replace(routed, assets=CountingAssets(routed.assets))
        for asset in PLANTS:
            revision = platform.definitions.newest_revision("hot-0")
            recipients_now(platform, revision.definition, f"{asset}-oven", "medium", at(0))
        counted.append(platform.assets.read)
    assert counted == [[["north-oven"], ["south-oven"]], []]
