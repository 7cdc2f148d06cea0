"""Drift on the day it happens: from stored readings to the alert to the engineer."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import Conflicting, UserError
from alerting.definitions.wording.language import language
from alerting.learning.metrics.day_drift import FEW_VALUES
from alerting.usecases.definitions.platform_alerts import DRIFTED
from alerting.usecases.definitions.sync import apply
from alerting.usecases.labels.marking import mark_interval
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.platform_health import drift
from alerting.usecases.platform_health.drift import check_drift, dismiss_drift, record_alerts
from tests.builders import T0, too_moist
from tests.helpers.drifting_line import (
    BEGAN,
    DAY,
    DAYS,
    NAME,
    NOW,
    TRAINED,
    drifting_line,
    promote,
    readings,
)


def drifted(platform):
    return [alert for alert in platform.platform_alerts.open() if alert.kind == DRIFTED]


def findings(platform, name=NAME):
    return platform.drift.get(name).findings


def test_a_sensor_that_is_off_is_told_once_to_the_engineer():
    platform, mail = drifting_line(readings(offset=3.0), NAME, "too-wet")
    assert check_drift(platform, NOW)[NAME] == "temperature of oven-1 moved"
    (alert,) = drifted(platform)
    assert alert.subject == "oven-1"
    assert "read by too-moist, too-wet" in alert.reason
    assert "Mend or calibrate the sensor" in alert.reason
    assert "kalibrieren Sie den Sensor. Siehe /models/" in language("de").translate(alert.reason)
    (finding,) = findings(platform)
    assert (finding.cause, finding.proposal) == ("sensor", "sensor")
    assert finding.variables == ("temperature",)
    assert abs(finding.since - BEGAN) <= timedelta(hours=3)
    (moved,) = finding.moved
    assert moved.level - moved.expected == pytest.approx(3.0, abs=0.3)
    assert finding.days[-1].level == pytest.approx(moved.level)

    deliver_due(platform, NOW)
    stored = platform.drift.get(NAME)
    check_drift(platform, NOW)
    assert platform.drift.get(NAME) == stored
    check_drift(platform, NOW + timedelta(hours=6))
    deliver_due(platform, NOW + timedelta(hours=6))
    assert len([m for m in mail.messages if "inputs drifted" in m.subject]) == 1
    assert findings(platform)[0].since == finding.since


def test_nothing_is_told_of_a_line_as_it_was():
    platform, _ = drifting_line(readings())
    assert check_drift(platform, NOW) == {NAME: "nothing moved"}
    assert drifted(platform) == []


def test_a_recipe_that_the_training_knows_is_no_drift_and_a_new_one_is_named():
    def known(day):
        return 30.0 if int(day) % 5 == 3 or day >= DAYS - 0.6 else 0.0

    platform, _ = drifting_line(readings(recipe=known))
    assert check_drift(platform, NOW) == {NAME: "nothing moved"}

    def new(day):
        return -40.0 if day >= DAYS - 1 else known(day) if day < TRAINED else 0.0

    platform, _ = drifting_line(readings(offset=-6.0, variable="moisture", recipe=new))
    check_drift(platform, NOW)
    (finding,) = findings(platform)
    assert (finding.cause, finding.proposal, finding.beside) == (
        "settings",
        "retrain",
        ("set_point",),
    )


def test_the_alert_ends_when_the_drift_is_over():
    platform, _ = drifting_line(readings(offset=3.0, until=DAYS - 1))
    check_drift(platform, NOW - DAY)
    assert len(drifted(platform)) == 1
    check_drift(platform, NOW)
    assert drifted(platform) == []
    assert findings(platform) == ()


def test_a_check_without_it_in_between_makes_no_second_alert():
    platform, mail = drifting_line(readings(offset=3.0, until=DAYS - 1))
    check_drift(platform, NOW - DAY)
    (first,) = findings(platform)
    back = NOW - DAY + timedelta(hours=18)
    check_drift(platform, back)
    deliver_due(platform, back)
    assert findings(platform) == (first,)
    assert len(drifted(platform)) == 1
    check_drift(platform, NOW)
    assert drifted(platform) == []
    assert len([m for m in mail.messages if "inputs drifted" in m.subject]) == 1


def test_the_alert_ends_when_a_model_is_in_service_that_knows_the_change():
    later = NOW + 14 * DAY
    platform, _ = drifting_line(readings(offset=3.0, until=DAYS + 20, days=DAYS + 14))
    check_drift(platform, later)
    assert len(drifted(platform)) == 1
    promote(platform, NAME, 2, BEGAN, later - DAY)
    check_drift(platform, later)
    assert drifted(platform) == []


def test_a_dismissal_ends_the_alert_for_a_time_and_is_in_the_audit():
    platform, _ = drifting_line(readings(offset=3.0))
    check_drift(platform, NOW)
    with pytest.raises(UserError, match="needs a reason"):
        dismiss_drift(platform, NAME, 14, " ", "ada", NOW)
    with pytest.raises(UserError, match="1 to 366, not 0"):
        dismiss_drift(platform, NAME, 0, "ordered", "ada", NOW)
    dismiss_drift(platform, NAME, 14, "sensor is ordered", "ada", NOW)
    record_alerts(platform, NOW)
    assert drifted(platform) == []
    (entry,) = [
        one for one in platform.audit.for_interval(T0, NOW + DAY) if one.what == "dismiss drift"
    ]
    assert (entry.actor, entry.subject, entry.why) == ("ada", NAME, "sensor is ordered")
    assert check_drift(platform, NOW + timedelta(hours=6)) == {NAME: "1 dismissed"}
    assert drifted(platform) == []
    record_alerts(platform, NOW + 15 * DAY)
    assert len(drifted(platform)) == 1, "what has not been mended by then is told again"
    with pytest.raises(Conflicting):
        dismiss_drift(platform, "unknown", 14, "x", "ada", NOW)


def test_a_dismissal_does_not_cover_another_variable():
    platform, _ = drifting_line(readings(offset=3.0))
    check_drift(platform, NOW)
    dismiss_drift(platform, NAME, 14, "sensor is ordered", "ada", NOW)
    dismissal = platform.drift.get(NAME).dismissals[0]
    assert dismissal.variables == ("temperature",)
    platform, _ = drifting_line(readings(offset=2.0, variable="burner"))
    check_drift(platform, NOW)
    platform.drift.add_dismissal(NAME, dismissal)
    record_alerts(platform, NOW)
    assert len(drifted(platform)) == 1


def test_without_values_it_cannot_be_told_and_what_was_told_stays():
    platform, _ = drifting_line(readings(offset=3.0))
    check_drift(platform, NOW)
    told = findings(platform)
    said = check_drift(platform, NOW + 2 * DAY)
    assert said[NAME].endswith(f"cannot tell all of oven-1: {FEW_VALUES}")
    assert findings(platform) == told
    assert len(drifted(platform)) == 1


def test_times_that_are_marked_do_not_count():
    platform, _ = drifting_line(readings(offset=3.0))
    mark_interval(
        platform,
        platform.audit,
        "oven-1",
        (),
        BEGAN,
        NOW,
        "not_to_learn_from",
        "trial of another dough",
        "ada",
        NOW,
    )
    assert "cannot tell" in check_drift(platform, NOW)[NAME]
    assert drifted(platform) == []


def test_a_definition_that_cannot_be_checked_stops_no_other(monkeypatch):
    platform, _ = drifting_line(readings(offset=3.0), NAME, "too-wet")
    read = drift.read_table

    def failing(platform, definition, *others):
        if definition.name == NAME:
            raise UserError("a value is no number")
        return read(platform, definition, *others)

    monkeypatch.setattr(drift, "read_table", failing)
    said = check_drift(platform, NOW)
    assert said[NAME] == "cannot tell: a value is no number"
    assert said["too-wet"] == "temperature of oven-1 moved"
    assert len(drifted(platform)) == 1


def test_a_definition_out_of_service_or_untrained_is_told_of_no_more():
    platform, _ = drifting_line(readings(offset=3.0))
    check_drift(platform, NOW)
    apply(platform, [too_moist(name="new")], "ada", NOW, "test")
    apply(platform, [too_moist(state="retired")], "ada", NOW, "test")
    said = check_drift(platform, NOW)
    assert said == {"new": "cannot tell all of new: no model is in service yet"}
    assert drifted(platform) == []
