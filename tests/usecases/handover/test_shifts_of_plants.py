"""The shift of a line, and the routes by which it is handed over, are those of its plant."""

from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound
from alerting.usecases.access.narrow import narrow
from alerting.usecases.access.visible import VisibleParts
from alerting.usecases.handover.choose import ShiftChoice, choose_shift
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.now.known_plant import read_plant
from tests.builders import at
from tests.in_memory_platform import Mailbox, in_memory_platform

UTC = ZoneInfo("UTC")


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    for plant in ("north", "south"):
        ovens = [Asset(name=f"{plant}-oven-{n}", parent=f"{plant}-line") for n in (1, 2)]
        line = Asset(name=f"{plant}-line", parent=plant)
        made.assets.store_assets([Asset(name=plant, plant={}), line, *ovens])
    routes = [
        {
            "name": name,
            "channels": ["mail"],
            "match": {"plants": [plant]},
            "shifts": [{"from": start, "to": end}],
        }
        for name, plant, start, end in (
            ("north-day", "north", "00:00", "12:00"),
            ("south-day", "south", "00:00", "08:00"),
        )
    ]
    apply_routes(made, [*routes, {"name": "all", "channels": ["mail"]}], "ann", at(0))
    made.clock.instant = at(60)
    return made


def chosen(platform, line=None, sees_all=True):
    choice = ShiftChoice(line=line)
    return choose_shift(platform, read_plant(platform), choice, sees_all, UTC, at(60))


@pytest.mark.parametrize(("plant", "until"), [("north", 12), ("south", 8)])
def test_a_line_has_the_shifts_and_routes_of_its_plant(platform, plant, until):
    found = chosen(platform, plant)
    assert (found.shift.name, found.shift.end) == (f"{plant}-day", at(until * 60))
    assert [route.name for route in found.routes] == ["all", f"{plant}-day"]


def test_the_whole_platform_has_the_shifts_of_all_plants(platform):
    found = chosen(platform)
    names = {found.shift.name, *(other.name for other in found.others)}
    assert names == {"north-day", "south-day"}


@pytest.mark.parametrize("scope", ["north", "north-line"])
def test_a_person_who_sees_one_line_hands_over_by_the_routes_of_its_plant(platform, scope):
    """Also where the plant itself, which lies above the line, is out of scope."""
    part = VisibleParts().find(
        ((scope,),), platform.assets, platform.definitions, platform.evaluation_plans, at(0)
    )
    found = chosen(narrow(platform, part, "otto"), sees_all=False)
    assert (found.part, found.shift.name) == (scope, "north-day")
    assert [route.name for route in found.routes] == ["north-day"]


def test_without_the_plant_its_line_has_usual_hours(platform):
    platform.assets.store_assets([Asset(name="north")])
    found = chosen(platform, "north")
    assert not found.is_configured
    assert [route.name for route in found.routes] == ["all"]
    with pytest.raises(NotFound):
        chosen(platform, "east")
