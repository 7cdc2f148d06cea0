"""The notifications that a scenario file states are those of a live platform, evaluated each
minute."""

import pytest

from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from alerting.usecases.operators import shelving
from tests.builders import T0, at, threshold
from tests.helpers.suppression import ANN, feed, plant, run
from tests.in_memory_platform import Mailbox

HEAT = [200, 230, 230, 230, 230, 200, 230, 240, 240, 230, 230, 230, 230, 230, 230, 200]
LEVELS = {"above": None, "levels": {"medium": {"above": 215}, "critical": {"above": 235}}}


def live(changes, line, shelf):
    """The minutes at which people were first told of each episode."""
    mail = Mailbox("mail")
    told = {}
    platform = plant(mail, **changes)
    for minute, (value, state) in enumerate(zip(HEAT, line, strict=True)):
        feed(platform, minute, value, state)
        if shelf and minute == shelf[0]:
            shelving.shelve(
                platform, "too-hot", "oven-1", ANN, at(minute), at(shelf[1]), "maintenance"
            )
        run(platform, minute)
        for message in mail.messages:
            told.setdefault(message.key.split(":")[0], minute)
    episodes = {episode.id for episode in platform.episodes.find()}
    # others are reminders of shelves
    return sorted(minute for id, minute in told.items() if id in episodes)


def in_a_file(changes, line, shelf):
    written = {
        "title": "t",
        "readings": {"temperature": HEAT, "line_state": line},
        "start": T0.isoformat(),
        "shelved": [{"from": f"{shelf[0]}m", "to": f"{shelf[1]}m"}] if shelf else [],
        "expect": [],
        "notified": [],
    }
    scenario = read_scenarios({"definition": "x", "scenarios": [written]}, "file").scenarios[0]
    found = run_scenario(threshold(stale_after="10h", **changes), scenario).found
    return [int(line.split("m")[0]) for line in found if line.endswith("notified")]


@pytest.mark.parametrize("shelf", [None, (1, 4), (2, 14)])
@pytest.mark.parametrize("stopped", [(0, 0), (0, 3), (6, 13), (0, 16)])
@pytest.mark.parametrize("still_notify", [[], ["critical"]])
def test_people_are_told_when_the_file_says_so(shelf, stopped, still_notify):
    line = [
        "stopped" if stopped[0] <= minute < stopped[1] else "running" for minute in range(len(HEAT))
    ]
    suppression = {
        "when": {"variable": "line_state", "equals": "stopped"},
        "still_notify": still_notify,
    }
    changes = {"suppression": suppression, **LEVELS}
    assert in_a_file(changes, line, shelf) == live(changes, line, shelf)
