"""Sentences of mails on the values of an alarm: its variable, its limit, how bad it was."""

import pytest

from tests.helpers import episode_messages as told

pytestmark = pytest.mark.models
HIGH = {
    "name": "moist",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "moisture",
    "above": 5.0,
}


def lines(episode, beginning):
    found = [line for one in episode.messages() for line in one.text.splitlines()]
    return [line for line in found if line.startswith(beginning)]


def test_the_end_of_an_alarm_that_got_worse_says_when_and_by_what():
    assert told.threshold().messages()[-1].text.splitlines()[2:4] == [
        "It was: Moisture is 5.4 %, above 5 % for 3 min.",
        "Worse Thu 1 Jan 00:28: medium → critical: Moisture is 6.3 %, above 6 % for 3 min.",
    ]


def test_the_last_value_of_a_variable_that_the_model_chose_has_its_name():
    assert lines(told.of_event("lasting"), "Last value")[0] == (
        "Last value (Thu 1 Jan 00:15): Belt speed 2.1 m/min, steady."
    )


def test_what_a_model_expects_is_no_limit():
    assert lines(told.anomaly(), "Last value") == [
        "Last value (Tue 27 Jan 11:10): flow 63, rising."
    ]


def test_a_risk_that_is_low_again_stands_before_the_advice_of_the_raise():
    mail = told.does_not_come()
    assert [line.split(".")[0] for line in lines(mail, "What to do: The")] == [
        "What to do: The risk is 0"
    ]
    assert lines(mail, "What to do: The")[0].endswith(
        "Before (advice of Thu 1 Jan 00:05): Set Belt speed from 2.1 to 1.9 m/min. "
        "Risk 85 % → 0.3 %."
    )


def last_values_of(changes, until, run):
    mails = told.told_platform(told.START, "4h")
    mails.platform.assets.store_assets([told.Asset(name="oven-1", variables=told.VARIABLES)])
    told.apply(mails.platform, [{**HIGH, **changes}], "engineer", told.START, "test")
    mails.feed("oven-1", range(1, until), moisture=lambda m: 4.0 if m < 10 else 5.5)
    mails.run(run)
    return lines(mails, "Last value")


def test_a_reminder_of_an_alarm_whose_values_stay_away_says_since_when():
    assert last_values_of({"for": "3m"}, 30, [*range(1, 30), 300]) == [
        "Last value (Thu 1 Jan 00:29): 5.5 %; limit 5 %. No value has come since. "
        "Not evaluated now: no reading of Moisture within 10 min."
    ]


def test_a_reminder_of_a_sensor_that_repeats_its_value_says_so():
    assert last_values_of({"frozen_after": "30m"}, 301, [*range(1, 20), 300]) == [
        "Last value (Thu 1 Jan 05:00): 5.5 %, steady; limit 5 %. "
        "Not evaluated now: Moisture has not changed for 30 min: the sensor may be frozen."
    ]


def test_a_problem_that_has_come_is_no_reason_of_not_being_evaluated():
    assert lines(told.of_event("lasting"), "It is happening")
    assert not any("Not evaluated" in line for line in lines(told.of_event("lasting"), "Last"))
