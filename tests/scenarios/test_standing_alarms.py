"""An alarm that stands says what is true now: its reason follows the condition that keeps it open,
whoever was told is told once, and whatever was late says the same."""

from typing import NamedTuple

import pytest

from alerting.ports import ReadingRow
from alerting.reporting.sentences import headline
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, too_hot
from tests.helpers.late_line import Line, told

BATH = {"stale_after": "1m", "no_data": "alert", "severity": "high", "above": 100}
HOT = "Zone 2 temperature is 150 °C, above 100 °C"
SILENT = "no reading of Zone 2 temperature within 1 min"


class Standing(NamedTuple):
    """A story in minutes, with the reason and the told messages that it must end with."""

    fields: dict
    readings: dict
    until: float
    reason: str
    told: list


STANDING = {
    "silent, then hot": Standing(
        BATH, {1: 20, 4: 150, 4.5: 150, 5: 150}, 5.5, HOT, ["raised", "renewed"]
    ),
    "hot, then silent": Standing(BATH, {1: 150}, 5, SILENT, ["raised", "renewed"]),
    "hot, then not known": Standing(
        {**BATH, "no_data": "hold"},
        {1: 150},
        5,
        f"not known since 2026-01-05 00:02 UTC: {SILENT}; it was: {HOT}",
        ["raised"],
    ),
    "hot, not known, hot again": Standing(
        {**BATH, "no_data": "hold"},
        {1: 150, 5: 160, 5.5: 160},
        6,
        HOT.replace("150", "160"),
        ["raised"],
    ),
    "too high, then too low": Standing(
        {**BATH, "below": 10, "stale_after": "1h"},
        {1: 150, 3: 5},
        5,
        "Zone 2 temperature is 5 °C, below 10 °C",
        ["raised", "renewed"],
    ),
    "a blink is no other condition before its on-delay": Standing(
        {**BATH, "below": 10, "stale_after": "1h", "for": "2m"},
        {1: 150, 5: 5, 6: 150},
        9,
        f"{HOT} for 2 min",
        ["raised"],
    ),
    "worse, then better": Standing(
        {"above": None, "levels": {"low": {"above": 100}, "critical": {"above": 200}}},
        {1: 150, 3: 250, 5: 120},
        7,
        "Zone 2 temperature is 120 °C, above 100 °C",
        ["raised", "severity_rose"],
    ),
}


def stand(story, step):
    line = Line(**story.fields)
    line.feed(story.readings)
    minute = step
    while minute <= story.until:
        line.run(minute)
        minute += step
    line.run(story.until)
    return line


@pytest.mark.parametrize("name", STANDING)
def test_the_reason_is_the_condition_that_is_true_now(name):
    story = STANDING[name]
    line = stand(story, 0.5)
    (episode,) = line.episodes()
    assert (episode.condition, str(headline(episode))) == ("open", story.reason)
    assert told(line) == [
        t if t != "severity_rose" else "severity_rose-critical" for t in story.told
    ]
    (caught_up,) = stand(story, story.until).episodes()
    assert (caught_up.evaluation, caught_up.renewals) == (episode.evaluation, episode.renewals)
    assert caught_up.transitions == episode.transitions


def test_a_condition_that_comes_and_goes_is_told_once(stores):
    line = Line(stores=stores, **{**BATH, "below": 10, "stale_after": "1h"})
    for minute in range(1, 40):
        line.feed({minute: 150 if minute % 2 else 5}, minute)
        line.run(minute)
    (episode,) = line.episodes()
    assert told(line) == ["raised", "renewed"]
    assert [t.kind for t in episode.transitions] == ["raised", "renewed"]
    assert headline(episode) == HOT
    assert len(episode.renewals) == 2


def test_the_message_says_the_condition_in_its_subject_and_text():
    line = stand(STANDING["silent, then hot"], 0.5)
    message = line.mail.messages[-1]
    assert message.subject == "Another reason: HIGH: too-hot on oven-1"
    assert f"Now: {HOT}." in message.text


def test_readings_that_come_late_change_the_reason_too():
    """The sensor was not silent: its readings were on their way."""
    line = Line(**BATH)
    line.feed({1: 20})
    line.run(4)
    assert headline(line.episodes()[0]) == SILENT
    line.feed({1.5: 150, 2: 150, 2.5: 150, 3: 150, 3.5: 150, 4: 150, 4.5: 150}, 4.5)
    line.run(4.6)
    (episode,) = line.episodes()
    assert headline(episode) == HOT
    assert told(line) == ["raised", "renewed"]
    line.run(4.8)
    assert told(line) == ["raised", "renewed"]


def test_late_readings_that_refute_another_condition_give_the_earlier_reason_back():
    line = Line(**{**BATH, "below": 10, "stale_after": "3m"})
    line.feed({1: 150, 2: 150})
    line.run(6)
    assert "no reading" in headline(line.episodes()[0])
    line.feed({3: 150, 4: 150, 5: 150, 6: 150}, 6.5)
    line.run(6.6)
    assert headline(line.episodes()[0]) == HOT


def test_a_new_limit_is_said_by_the_open_alarm():
    line = Line(**{**BATH, "stale_after": "1h"})
    line.feed({1: 150})
    line.run(3)
    apply(
        line.platform,
        [too_hot(**{**BATH, "stale_after": "1h", "above": 120})],
        "engineer",
        at(4),
        "higher",
    )
    line.run(6)
    (episode,) = line.episodes()
    assert headline(episode).endswith("above 120 °C")
    assert told(line) == ["raised"]


def test_which_of_several_conditions_is_true_is_said():
    line = Line()
    document = {
        "name": "too-hot", "kind": "threshold", "assets": ["oven-1"],
        "any": [
            {"variable": "temperature", "above": 215, "stale_after": "1h"},
            {"variable": "moisture", "above": 4.5, "stale_after": "1h"},
        ],
    }  # fmt: skip
    apply(line.platform, [document], "engineer", at(0.5), "several")

    def feed(minute, **values):
        add_readings(line.platform, [ReadingRow("oven-1", at(minute), values)], at(minute))
        line.run(minute)

    feed(1, temperature=220.0, moisture=4.0)
    feed(2, moisture=5.0)
    assert headline(line.episodes()[0]).count("above") == 2
    feed(3, temperature=200.0)
    (episode,) = line.episodes()
    assert headline(episode) == "moisture is 5 %, above 4.5 %"
    assert told(line) == ["raised", "renewed"]
    feed(4, temperature=230.0)
    feed(5, moisture=4.0)
    assert headline(line.episodes()[0]) == "Zone 2 temperature is 230 °C, above 215 °C"
    assert told(line) == ["raised", "renewed"]


def test_a_message_that_comes_late_says_what_is_true_meanwhile():
    """The platform was away: raise and renewal are found in one round, and told in one message."""
    line = stand(STANDING["silent, then hot"], 5.5)
    [message] = line.mail.messages
    assert f"Meanwhile: {HOT}." in message.text
    line.feed({6: 20, 6.5: 20})
    line.run(7)
    end = line.mail.messages[-1]
    assert "It was: No reading" in end.text
    assert f"Now: {HOT}." in end.text


def test_another_condition_that_is_worse_is_told_once():
    limits = {"low": {"above": 100, "below": 20}, "critical": {"above": 200, "below": 10}}
    line = Line(above=None, levels=limits, stale_after="1h")
    line.feed({1: 150})
    line.run(2)
    line.feed({3: 5})
    for minute in (4, 5):
        line.run(minute)
    (episode,) = line.episodes()
    assert headline(episode) == "Zone 2 temperature is 5 °C, below 10 °C"
    assert told(line) == ["raised", "severity_rose-critical"]


def test_another_condition_has_the_on_delay_of_its_severity():
    limits = {
        "low": {"above": 100, "below": 20, "for": "9m"},
        "critical": {"above": 200, "below": 10},
    }
    line = Line(above=None, levels=limits, stale_after="1h")
    line.feed({1: 250})
    line.run(2)
    line.feed({3: 5})
    line.run(4)
    (episode,) = line.episodes()
    assert headline(episode) == "Zone 2 temperature is 5 °C, below 10 °C"
