"""Alarm figures per position, line and shift."""

from datetime import UTC, datetime, timedelta

import pytest

from alerting.alarm_kpis.groups import BETWEEN, by_asset, by_shift
from alerting.alarm_kpis.kpis import kpis
from alerting.definitions.assets import Asset, AssetTree
from alerting.definitions.faults import UserError
from alerting.definitions.routes import parse_route
from alerting.usecases.alarm_load.kpis import alarm_quality_by
from alerting.usecases.definitions.sync import apply
from tests.builders import at, oven, too_hot
from tests.helpers.episodes import episode
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.fast

DAY = 24 * 60
ASSETS = [
    Asset(name="line-1", position="lead"),
    oven().model_copy(update={"name": "oven-1", "parent": "line-1"}),
    oven().model_copy(update={"name": "packer-1", "parent": "line-1", "position": "packing"}),
    oven().model_copy(update={"name": "loose"}),
]
SHIFTS = [("early", "06:00", "14:00"), ("late", "14:00", "22:00"), ("night", "22:00", "06:00")]


def alarm(minute, asset="oven-1", **changes):
    ends = {"condition": "closed", "closed_at": at(minute + 1)}
    return episode(minute, id=f"{asset}-{minute}", asset=asset, **{**ends, **changes})


def shift(name, start, to, **more):
    return parse_route(
        {"name": name, "channels": ["log"], "shifts": [{"from": start, "to": to}], **more}
    )


def routes(**more):
    return [shift(*s, **more) for s in SHIFTS]


def counts(groups):
    return {group.name: group.kpis.alarms for group in groups}


# --- position and line
# --------------------------------------------------------------------------------------------------


def test_an_alarm_counts_at_the_position_of_its_asset_or_of_the_one_above():
    place = {a.name: AssetTree(ASSETS).position(a) for a in ASSETS}
    found = by_asset(
        [alarm(1), alarm(2, "packer-1"), alarm(3, "loose")], at(0), at(DAY), place, lambda _: 144
    )
    assert counts(found) == {"lead": 1, "packing": 1, "operators": 1}


def test_a_line_is_the_outermost_asset():
    place = {a.name: AssetTree(ASSETS).line(a) for a in ASSETS}
    found = by_asset(
        [alarm(1), alarm(2, "packer-1"), alarm(3, "loose")], at(0), at(DAY), place, lambda _: 144
    )
    assert counts(found) == {"line-1": 2, "loose": 1}


def test_a_position_without_an_alarm_is_there_too_and_each_has_its_own_budget():
    place = {a.name: AssetTree(ASSETS).position(a) for a in ASSETS}
    budget = {"lead": 0.5, "packing": 10, "operators": 144}.__getitem__
    found = {g.name: g for g in by_asset([alarm(1)], at(0), at(31 * DAY), place, budget)}
    assert found["packing"].kpis.alarms == 0
    assert found["lead"].budget == 0.5
    finding = next(f for f in found["lead"].kpis.findings if f.metric == "alarms per day")
    assert (finding.target, finding.met) == ("≤ 0.5", True)


# --- shift
# --------------------------------------------------------------------------------------------------


def test_each_shift_counts_its_own_hours_and_its_rates_are_per_its_own_time():
    found = by_shift([alarm(m) for m in range(6 * 60, 14 * 60, 10)], at(0), at(DAY), routes())
    assert counts(found) == {"early": 48, "late": 0, "night": 0}
    early = found[0].kpis
    assert (early.observed, early.per_ten_minutes, early.per_hour) == (
        timedelta(hours=8),
        pytest.approx(1),
        pytest.approx(6),
    )
    assert sum(b.periods for b in early.bands) == 48


def test_every_alarm_belongs_to_one_of_three_shifts():
    alarms = [alarm(m + 0.5) for m in range(0, 3 * DAY, 7)]
    found = by_shift(alarms, at(0), at(3 * DAY), routes())
    assert sum(g.kpis.alarms for g in found) == len(alarms)
    assert sum((g.kpis.observed for g in found), timedelta(0)) == timedelta(days=3)
    assert BETWEEN not in counts(found)


def test_what_is_raised_in_no_shift_stands_apart():
    found = by_shift([alarm(60), alarm(8 * 60)], at(0), at(DAY), routes()[:2])
    assert counts(found) == {"early": 1, "late": 0, BETWEEN: 1}
    assert found[-1].kpis.observed == timedelta(hours=8)


def test_a_shift_of_some_assets_does_not_count_those_of_others():
    found = by_shift(
        [alarm(7 * 60), alarm(7 * 60 + 1, "packer-1")],
        at(0),
        at(DAY),
        routes(match={"assets": ["packer-*"]}),
    )
    assert counts(found) == {"early": 1, "late": 0, "night": 0, BETWEEN: 1}


def test_shifts_are_kept_by_the_clock_on_the_wall_when_clocks_change():
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    night = shift("night", "22:00", "06:00", timezone="Europe/Berlin")
    [found] = by_shift([], start - timedelta(hours=3), start + timedelta(hours=12), [night])
    assert found.kpis.observed == timedelta(hours=9)


def test_a_shift_is_not_diluted_by_the_hours_of_others():
    """Eleven alarms in ten minutes of an eight-hour shift are two per cent of its periods, not two
    thirds of one."""
    found = by_shift([alarm(7 * 60 + i / 2) for i in range(11)], at(0), at(DAY), routes())
    assert found[0].kpis.periods_above == pytest.approx(1 / 48)
    assert kpis(
        [alarm(7 * 60 + i / 2) for i in range(11)], at(0), at(DAY)
    ).periods_above == pytest.approx(1 / 144)


# --- on a platform
# --------------------------------------------------------------------------------------------------


def plant():
    platform = in_memory_platform()
    platform.assets.store_assets(ASSETS)
    apply(platform, [too_hot(assets=["oven-1", "packer-1"])], "engineer", at(0), "test")
    for minute, asset in ((1, "oven-1"), (400, "packer-1"), (401, "packer-1")):
        platform.episodes.insert(alarm(minute, asset))
    return platform


def test_the_platform_knows_positions_and_lines_of_what_it_watches():
    platform = plant()
    assert counts(alarm_quality_by(platform, at(0), at(DAY), "position").groups) == {
        "lead": 1,
        "packing": 2,
    }
    assert counts(alarm_quality_by(platform, at(0), at(DAY), "line").groups) == {"line-1": 3}


def test_without_a_route_with_shifts_nobody_can_say_whose_shift_it_was():
    platform = plant()
    with pytest.raises(UserError, match="no route has shifts"):
        alarm_quality_by(platform, at(0), at(DAY), "shift")
    for name, start, to in SHIFTS:
        platform.routes.store_document(
            {"name": name, "channels": ["log"], "shifts": [{"from": start, "to": to}]}
        )
    assert counts(alarm_quality_by(platform, at(0), at(DAY), "shift").groups) == {
        "early": 2,
        "late": 0,
        "night": 1,
    }
