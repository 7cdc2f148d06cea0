"""Each plant has reports and figures of its own, of its definitions alone and in its time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.reporting.life.periods import read_period
from alerting.usecases.access.narrow import narrow
from alerting.usecases.access.visible import find_visible
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.reports.announce import announce_reports
from alerting.usecases.reports.issue import (
    create_again,
    issue_by_hand,
    make_due_plant_reports,
    make_due_reports,
)
from alerting.usecases.reports.plant_view import read_plant
from alerting.usecases.reports.plants import for_each_plant, plant_views, view_for_report
from alerting.usecases.reports.running import refresh_plant
from tests.builders import at, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60
WEEK = 7 * DAY
PLANTS = {
    "east": {"time_zone": "Asia/Tokyo", "language": "de", "report_recipients": ["east-mail"]},
    "west": {"time_zone": "America/New_York"},
}


@pytest.fixture
def platform():
    """Ten days of readings each hour on an oven of each plant, with an alarm a day."""
    made = in_memory_platform(Mailbox("mail"), Mailbox("east-mail"))
    made.assets.store_assets(
        [
            *(Asset(name=name, title=name.title(), plant=one) for name, one in PLANTS.items()),
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
    shared = {
        "schedule": {"every": "1h", "report": "week"},
        "stale_after": "3h",
        "notify": {"channels": []},
    }
    documents = [too_hot(name=f"{n}-hot", assets=[f"{n}-oven"], **shared) for n in PLANTS]
    documents.append(too_hot(name="all-hot", assets=["*-oven"], **shared))
    apply(made, documents, "engineer", at(0), "test")
    for minute in range(0, WEEK + 3 * DAY, 60):
        temperature = 230.0 if minute % DAY == 720 else 200.0
        rows = [ReadingRow(f"{n}-oven", at(minute), {"temperature": temperature}) for n in PLANTS]
        add_readings(made, rows, at(minute))
    made.clock.instant = at(WEEK + 3 * DAY)
    evaluate(made, None, made.clock.now())
    return made


def make_all(platform, instant):
    """Do what the DAG does; return the ids of what is stored then."""
    platform.clock.instant = instant
    for shard in range(16):
        for_each_plant(platform, lambda view, n=shard: make_due_reports(view, n, instant, print))
    for_each_plant(platform, lambda view: make_due_plant_reports(view, instant, print))
    for_each_plant(platform, lambda view: refresh_plant(view, instant, print))
    return {head.id for head in platform.reports.newest_reports(100)}


def test_the_views_are_the_platform_and_its_plants(platform):
    found = {
        view.plant_report.subject: sorted(r.name for r in view.definitions.latest_revisions())
        for view in plant_views(platform)
    }
    assert found == {
        None: ["all-hot", "east-hot", "west-hot"],
        "@east": ["east-hot"],
        "@west": ["west-hot"],
    }


def test_each_plant_has_its_report_when_its_own_week_is_over(platform):
    """The week of Tokyo ends nine hours before that of UTC, New York's five hours after it."""
    made = {}
    for hour in range(-12, 12):
        instant = at(WEEK + hour * 60 + 30)
        for id in make_all(platform, instant) - set(made):
            made[id] = hour
    assert made["@east:2026-W02:1"] == made["east-hot:2026-W02:1"] == -9
    assert made["2026-W02:1"] == made["all-hot:2026-W02:1"] == 0
    assert made["@west:2026-W02:1"] == made["west-hot:2026-W02:1"] == 5
    start = datetime(2026, 1, 5, tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC)
    assert platform.reports.get("@east:2026-W02:1").start == start
    assert platform.reports.get("east-hot:2026-W02:1").start == start


def test_the_report_on_a_plant_names_its_definitions_alone_in_its_language(platform):
    make_all(platform, at(WEEK + DAY))
    east = platform.reports.content("@east:2026-W02:1")
    names = [one["summary"]["name"] for one in east.metrics["ranked"]]
    assert names == ["east-hot"]
    assert "west" not in east.page
    assert "Werksbericht" in east.page
    assert "East" in east.page
    assert platform.reports.get("@east:2026-W02:1").language == "de"
    whole = platform.reports.content("2026-W02:1").metrics["ranked"]
    assert sorted(one["summary"]["name"] for one in whole) == ["all-hot", "east-hot", "west-hot"]
    head, again = create_again(view_for_report(platform, "@east"), "@east:2026-W02:1")
    assert again.content.page == platform.reports.page(head.id)


def test_the_recipients_of_a_plant_get_its_report_and_no_other(platform):
    make_all(platform, at(WEEK + DAY))
    announce_reports(platform, at(WEEK + DAY))
    due = platform.notifications.due(at(WEEK + DAY), 100)
    assert [(n.channel, n.content.subject) for n in due] == [
        ("east-mail", "Bericht 2026-W02: East")
    ]


def test_an_account_within_a_plant_sees_its_figures_and_its_report(platform):
    make_all(platform, at(WEEK + DAY))
    assets = platform.assets.all()
    part = find_visible((("east",),), assets, platform.definitions.latest_revisions())
    anna = narrow(platform, part, "anna")
    view = read_plant(anna, "week", None)
    assert view.weeks[-2].sums.alarms == 7
    assert [one.name for one in view.definitions] == ["east-hot"]
    assert {head.definition for head in anna.reports.newest_reports(100)} == {"@east", "east-hot"}
    assert anna.reports.get("@west:2026-W02:1") is None
    assert anna.reports.get("2026-W02:1") is None
    oven = find_visible((("east-oven",),), assets, platform.definitions.latest_revisions())
    assert narrow(platform, oven, "otto").reports.get("@east:2026-W02:1") is None


def test_a_report_by_hand_is_that_of_the_plant(platform):
    view = view_for_report(platform, "@east")
    head = issue_by_hand(view, "@east", read_period("2026-W02", view.zone), at(WEEK + DAY))
    assert head.id == "@east:2026-W02:1"
    assert view_for_report(platform, "west-hot").plant_report.subject == "@west"
    assert view_for_report(platform, "all-hot").plant_report.subject is None
    with pytest.raises(UserError, match="no plant 'north'"):
        view_for_report(platform, "@north")


def test_a_plant_whose_report_fails_stops_no_other(platform):
    made = []

    def act(view):
        if view.plant_report.subject == "@east":
            raise UserError("the east has failed")
        made.append(view.plant_report.subject)
        return 1

    with pytest.raises(UserError, match="the east has failed"):
        for_each_plant(platform, act)
    assert made == [None, "@west"]
