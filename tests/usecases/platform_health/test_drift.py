"""Drift on the day it happens: from stored readings to the alert to the engineer."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.assets import Asset, Variable
from alerting.ports import DecisionRecord, FixedClock, ReadingRow
from alerting.usecases.definitions.platform_alerts import DRIFTED
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.platform_health.drift import check_drift
from alerting.usecases.upkeep.rollups import roll_up
from tests.builders import T0, too_moist

DAY = timedelta(days=1)
TRAINED = 20
DAYS = 26
STEP = timedelta(minutes=15)
A_DAY = DAY // STEP
NOW = T0 + DAYS * DAY + timedelta(minutes=30)


def line(offset=0.0, variable="temperature", since=TRAINED + 4, until=DAYS, recipe=None, gap=False):
    """Return readings of an oven whose burner follows its temperature, and this by the set-point.

    `offset`: of the sensor of a variable in these days. `recipe`: the set-point by day.
    """
    random = np.random.default_rng(4)
    number = DAYS * A_DAY
    day = np.arange(number) // A_DAY
    set_point = 200.0 + np.array([recipe(d) if recipe else 0.0 for d in range(DAYS)])[day]
    process = np.repeat(random.normal(0, 1, number // 16), 16)
    values = {
        "set_point": set_point,
        "temperature": set_point + process + random.normal(0, 0.2, number),
        "burner": 50 + 0.2 * (set_point - 200) + 0.5 * process + random.normal(0, 0.2, number),
        "moisture": 3 + 0.1 * random.normal(0, 1, number),
    }
    values[variable] = values[variable] + offset * ((day >= since) & (day < until))
    if gap:
        values["temperature"][day >= DAYS - 1] = np.nan
    return [
        ReadingRow(
            "oven-1",
            T0 + STEP * i,
            {n: float(of[i]) for n, of in values.items() if np.isfinite(of[i])},
        )
        for i in range(number)
    ]


def plant(rows, *names):
    platform = replace(memory_platform(), clock=FixedClock(NOW))
    variables = {n: Variable() for n in ("temperature", "burner", "moisture")}
    variables["set_point"] = Variable(controllable=True, min=150, max=260)
    platform.assets.store_assets([Asset(name="oven-1", variables=variables)])
    for name in names or ("too-moist",):
        apply(platform, [too_moist(name=name)], "engineer", T0, "test")
        promote(platform, name, 1, T0, T0 + TRAINED * DAY)
    add_readings(platform, rows, NOW)
    roll_up(platform, NOW)
    return platform


def promote(platform, name, version, start, end):
    platform.decisions.add(
        DecisionRecord(
            definition=name,
            at=end,
            revision=1,
            challenger_version=version,
            champion_version=version - 1 or None,
            promoted=True,
            provisional=False,
            verdict="promote",
            reason="better",
            evidence={"learned": {"start": start.isoformat(), "end": end.isoformat()}},
            run_id=f"{name} {version}",
            actor="platform",
        )
    )


def drifted(platform):
    return [alert for alert in platform.platform_alerts.open() if alert.kind == DRIFTED]


def test_a_sensor_that_is_off_raises_one_alert_on_its_asset():
    platform = plant(line(offset=3.0), "too-moist", "too-wet")
    said = check_drift(platform, NOW)
    assert said["too-moist"] == "temperature of oven-1 moved"
    (alert,) = drifted(platform)
    assert alert.subject == "oven-1"
    assert "too-moist, too-wet" in alert.reason
    assert "Mend or calibrate the sensor" in alert.reason
    (finding,) = platform.drift.get("too-moist").findings
    assert (finding.cause, finding.proposal, finding.variables) == (
        "sensor",
        "sensor",
        ("temperature",),
    )
    assert abs(finding.since - (T0 + (TRAINED + 4) * DAY)) <= timedelta(hours=3)
    assert finding.moved[0].level - finding.moved[0].expected == pytest.approx(3.0, abs=0.3)


def test_nothing_is_told_of_a_line_as_it_was():
    platform = plant(line())
    assert check_drift(platform, NOW) == {"too-moist": "nothing moved"}
    assert drifted(platform) == []
